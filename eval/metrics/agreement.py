"""How far a person and a program agree on yes and no."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of cases by what the person and the program said."""

    both_yes: int
    person_only: int
    automatic_only: int
    both_no: int

    @property
    def n(self) -> int:
        """Cases that both judged."""
        return self.both_yes + self.person_only + self.automatic_only + self.both_no

    @property
    def raw(self) -> float | None:
        """Share of the cases that both judged alike; None without cases."""
        return (self.both_yes + self.both_no) / self.n if self.n else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where both always say the same thing, so that chance explains all.

        ``(p_o - p_e) / (1 - p_e)`` with the observed agreement p_o and the one expected of two
        judges who say yes as often as these do, independently of each other:
        ``p_e = yes_1 yes_2 + no_1 no_2`` in shares.

        Source: Cohen 1960, A Coefficient of Agreement for Nominal Scales, equation 1.
        """
        if self.raw is None:
            return None
        person = (self.both_yes + self.person_only) / self.n
        automatic = (self.both_yes + self.automatic_only) / self.n
        chance = person * automatic + (1 - person) * (1 - automatic)
        return None if chance == 1 else (self.raw - chance) / (1 - chance)

    def to_fields(self) -> dict[str, float | int | None]:
        """Return counts, raw agreement and kappa as JSON values."""
        return {**asdict(self), "n": self.n, "raw": self.raw, "kappa": self.kappa}

    def to_text(self) -> str:
        """Return it for a person, in one line."""
        if not self.n:
            return "nothing judged by both"
        kappa = (
            "undefined: one of the two never varies" if self.kappa is None else f"{self.kappa:.2f}"
        )
        return (
            f"{self.n} judged, agreement {self.raw:.2f}, kappa {kappa} (both yes {self.both_yes}, "
            f"person only {self.person_only}, automatic only {self.automatic_only}, "
            f"both no {self.both_no})"
        )


def agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """Return how far they agree; each pair is what the person and the program said."""
    judged = list(pairs)
    return Agreement(
        both_yes=judged.count((True, True)),
        person_only=judged.count((True, False)),
        automatic_only=judged.count((False, True)),
        both_no=judged.count((False, False)),
    )
