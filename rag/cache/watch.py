"""The semantic level's watch: which hits are answered anew, and when the level goes off."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from rag.cache import shadow
from rag.cache.store import Store
from rag.cache.values import Limits, ShadowReport

_LOG = logging.getLogger(__name__)
_NUMBERS = (
    *("shadow_turn", "shadow_checked", "shadow_false", "shadow_undecided", "semantic_off"),
    *("exact_hits", "semantic_hits", "joules_saved", "tokens_saved"),
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Counts in the file, so that restarts and other processes go on where it stands."""

    limits: Limits

    def is_on(self, store: Store) -> bool:
        """Return whether the semantic level is in use."""
        return not store.numbers().get("semantic_off")

    def due(self, store: Store) -> bool:
        """Return whether the semantic hit at hand is to be answered anew; each call is one hit."""
        with store.changing():
            store.count(shadow_turn=1)
            turn = int(store.numbers()["shadow_turn"])
        return shadow.is_due(turn, self.limits.shadow_share)

    def note(self, store: Store, agrees: bool | None) -> None:
        """Count a check, undecided if None; switch the level off where too many are false."""
        with store.changing():
            decided = agrees is not None
            store.count(
                shadow_checked=int(decided),
                shadow_false=int(agrees is False),
                shadow_undecided=int(not decided),
            )
            report = self.report(store)
            surely = report.surely or 0.0
            newly = report.on and surely > self.limits.most_false
            if newly:
                store.put(semantic_off=1.0)
        if newly:
            fields = {"checked": report.checked, "false": report.false, "surely_over": surely}
            _LOG.warning("cache-semantic-off", extra={"fields": fields})

    def report(self, store: Store) -> ShadowReport:
        """Return what the checks have shown so far."""
        numbers = store.numbers()
        checked = int(numbers.get("shadow_checked", 0))
        false = int(numbers.get("shadow_false", 0))
        undecided = int(numbers.get("shadow_undecided", 0))
        on = not numbers.get("semantic_off")
        if not checked:
            return ShadowReport(0, 0, undecided, None, None, None, on)
        low, high = shadow.bounds(false, checked)
        surely = shadow.surely(false, checked)
        return ShadowReport(checked, false, undecided, low, high, surely, on)

    def reset(self, store: Store) -> None:
        """Forget all checks and hits, and switch the level on; within a transaction."""
        store.put(**dict.fromkeys(_NUMBERS, 0.0))
