"""How well the groundedness score tells supported responses from others, beside simple baselines.

Fitted on one half of each set and reported on the other; and on each other half with the whole
family of that set left out of the fit, which is what an unseen set is like. All sets count the
same in a fit, and their supported and unsupported responses do. One threshold holds for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.bench.attributed import FAITHFUL, FAMILIES, Judged, judged
from eval.bench.discrimination import (
    Within,
    at_share,
    balanced_accuracy,
    best_threshold,
    equal_weights,
    fit_signed,
    interval,
    rank_correlation,
    ranked_auroc,
)
from eval.bench.grounding_scores import Responses, baselines, responses
from eval.bench.logistic import Matrix, calibration_error, reliability
from eval.bench.records import RESULTS, provenance, table, write_record
from eval.bench.reliability_plot import Bins, drawn
from rag.build import build_splitter
from rag.grounding import LEXICAL, NEURAL, Weights
from rag.grounding_signals import Signals

Mask = NDArray[np.bool_]

_SETS = tuple(name for name in FAMILIES if name != "planted")
_PLANTED = "planted"
_SHARES = {_PLANTED: 0.5}  # of a set's weight: errors that the sets of people's verdicts lack
_SIGNS = Signals(coverage=1, quoted=1, numbers=-1, names=-1, negation=-1, contrary=-1)
_RESAMPLES, _QUICK_RESAMPLES = 1000, 50
_FEWEST = 5  # responses of a kind that is shown
_PRODUCT: dict[str, Weights] = {"neural": NEURAL, "lexical": LEXICAL}
_RULE = {
    "begin": "Fully attributable, against the rest",
    "faithdial_audit": "grounded; what people called neither is left out",
    "scifact": "SUPPORT, against CONTRADICT and NOT_ENOUGH_INFO; the evidence is the abstract",
    "mtrag": f"mean faithfulness of {FAITHFUL:g} or more",
    "planted": "as made from passages of SQuAD",
}
_QUALITY = (
    *("set", "method", "responses", "balanced accuracy (95 % interval)", "AUROC (95 % interval)"),
    *("balanced accuracy, set left out", "AUROC, set left out"),
)


class Method(Protocol):
    """Something that can be fitted on some responses and scores all."""

    def scores(self, chosen: Mask) -> tuple[Matrix, float]:
        """Return (responses,) after fitting on the chosen, and the threshold of support."""


@dataclass(frozen=True, slots=True)
class Sets:
    """All responses as arrays: ``right`` is 1, 0, or nan where people called it neither."""

    names: NDArray[np.str_]
    right: Matrix
    halves: NDArray[np.int64]
    items: Sequence[Judged]

    def fitted_on(self, left_out: str | None = None) -> Mask:
        """Return which are fitted on, with a set's family left out."""
        families = np.array([FAMILIES[name] for name in self.names])
        known: Mask = ~np.isnan(self.right) & (self.halves == 0)
        return known if left_out is None else known & (families != FAMILIES[left_out])

    def reported(self, name: str) -> Mask:
        """Return which are reported on in a set."""
        mask: Mask = (self.names == name) & (self.halves == 1) & ~np.isnan(self.right)
        return mask


@dataclass(frozen=True, slots=True)
class Logistic:
    """The product's model, fitted anew."""

    sets: Sets
    responses: Responses

    def weights(self, chosen: Mask) -> Matrix:
        """Return (intercept, weights)."""
        right = self.sets.right[chosen]
        weight = equal_weights([*self.sets.names[chosen]], right, _SHARES)
        return fit_signed(self.responses.mean[chosen], right, weight, [int(s) for s in _SIGNS])

    def scores(self, chosen: Mask) -> tuple[Matrix, float]:
        """Return the expected shares of support."""
        return self.responses.share(self.weights(chosen)), 0.5


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score as it is, with the threshold that fits best; planted errors are left out of it."""

    sets: Sets
    score: Matrix

    def scores(self, chosen: Mask) -> tuple[Matrix, float]:
        """Return the score and its threshold."""
        chosen = chosen & (self.sets.names != _PLANTED)
        right = self.sets.right[chosen]
        weight = equal_weights([*self.sets.names[chosen]], right, {})
        return self.score, best_threshold(self.score[chosen], right, weight)


@dataclass(frozen=True, slots=True)
class Quality:
    """One method on the other half of one set; the last two with its family left out of the fit."""

    name: str
    method: str
    responses: int
    supported: float
    accuracy: Within
    auroc: Within
    left_out_accuracy: float
    left_out_auroc: float


def bench(data: Path, *, quick: bool) -> None:
    """Print the tables and leave ``groundedness.json`` and ``groundedness.svg``."""
    begun = provenance()
    items = judged(data, build_splitter(), quick=quick)
    sets = Sets(
        np.array([item.name for item in items]),
        np.array([np.nan if i.supported is None else float(i.supported) for i in items]),
        np.array([item.half for item in items]),
        items,
    )
    models = {tier: Logistic(sets, responses(items, tier)) for tier in _PRODUCT}
    simple = {name: Threshold(sets, score) for name, score in baselines(items).items()}
    methods: dict[str, Method] = {**models, **simple}
    resamples = _QUICK_RESAMPLES if quick else _RESAMPLES
    body = {
        **begun,
        "supported": _RULE,
        "sizes": _sizes(sets),
        "quality": [asdict(q) for q in _qualities(methods, sets, resamples)],
        "kinds": list(_kinds(methods, sets)),
        "calibration": list(_calibration(models, sets)),
        "weights": {tier: _weights(model) for tier, model in models.items()},
        "cpu_seconds_a_response": {t: m.responses.cpu_seconds for t, m in models.items()},
    }
    _show(body)
    if not quick:
        write_record("groundedness", body)
        picture = drawn(_panels(models["neural"], sets))
        (RESULTS / "groundedness.svg").write_text(picture, encoding="utf-8")


def _qualities(methods: Mapping[str, Method], sets: Sets, resamples: int) -> Iterator[Quality]:
    """Yield one for each set and method."""
    for name in (*_SETS, _PLANTED):
        here = sets.reported(name)
        right, groups = (
            sets.right[here],
            [i.group for i, in_ in zip(sets.items, here, strict=True) if in_],
        )
        for method, fitted in methods.items():
            score, threshold = fitted.scores(sets.fitted_on())
            other, other_threshold = fitted.scores(sets.fitted_on(name))

            def accuracy(p: Matrix, y: Matrix, threshold: float = threshold) -> float:
                return balanced_accuracy(p, y, threshold)

            yield Quality(
                name,
                method,
                len(right),
                float(right.mean()),
                interval(accuracy, score[here], right, groups, resamples),
                interval(ranked_auroc, score[here], right, groups, resamples),
                balanced_accuracy(other[here], right, other_threshold),
                ranked_auroc(other[here], right),
            )


def _kinds(methods: Mapping[str, Method], sets: Sets) -> Iterator[dict[str, Any]]:
    """Yield for each kind of response the share that each method judges rightly.

    What people called neither is right where it is not judged supported.
    """
    judgements = {}
    for method, fitted in methods.items():
        score, threshold = fitted.scores(sets.fitted_on())
        judgements[method] = score >= threshold
    names = dict.fromkeys((i.name, kind) for i in sets.items for kind in i.slices)
    for name, kind in sorted(names, key=lambda pair: (tuple(FAMILIES).index(pair[0]), pair[1])):
        here = np.array([i.name == name and kind in i.slices and i.half == 1 for i in sets.items])
        wanted = sets.right[here] == 1
        if len(wanted) >= _FEWEST:
            yield {
                "set": name,
                "kind": kind,
                "responses": len(wanted),
                "supported": float(wanted.mean()),
                **{m: float((said[here] == wanted).mean()) for m, said in judgements.items()},
            }


def _calibration(models: Mapping[str, Logistic], sets: Sets) -> Iterator[dict[str, Any]]:
    for tier, model in models.items():
        score, _ = model.scores(sets.fitted_on())
        for name in (*_SETS, _PLANTED):
            here = sets.reported(name)
            rated = [i.rating for i, in_ in zip(sets.items, here, strict=True) if in_]
            known = [rating for rating in rated if rating is not None]
            own_odds = at_share(score[here], float(sets.right[here].mean()))
            yield {
                "set": name,
                "method": tier,
                "responses": int(here.sum()),
                "supported": float(sets.right[here].mean()),
                "mean probability": float(score[here].mean()),
                "ECE": calibration_error(score[here], sets.right[here]),
                "ECE at the set's share": calibration_error(own_odds, sets.right[here]),
                "rank correlation": rank_correlation(score[here], np.array(known))
                if known
                else None,
            }


def _panels(model: Logistic, sets: Sets) -> dict[str, tuple[str, Bins]]:
    score, _ = model.scores(sets.fitted_on())
    panels: dict[str, tuple[str, Bins]] = {}
    for name in (*_SETS, _PLANTED):
        here = sets.reported(name)
        error = calibration_error(score[here], sets.right[here])
        note = f"{here.sum()} responses, calibration error {error:.3f}"
        panels[name] = (note, reliability(score[here], sets.right[here]))
    return panels


def _weights(model: Logistic) -> dict[str, float]:
    fitted = model.weights(model.sets.fitted_on())
    return dict(zip(("intercept", *Signals._fields), map(float, fitted), strict=True))


def _sizes(sets: Sets) -> dict[str, dict[str, int]]:
    return {
        name: {
            "fitted on": int(((sets.names == name) & sets.fitted_on()).sum()),
            "reported on": int(sets.reported(name).sum()),
            "called neither": int(((sets.names == name) & np.isnan(sets.right)).sum()),
        }
        for name in FAMILIES
    }


def _show(body: Mapping[str, Any]) -> None:
    print(table(_QUALITY, list(_quality_rows(body["quality"]))), "\n")
    for part in ("kinds", "calibration"):
        rows = body[part]
        print(table(list(rows[0]), [[_shown(v) for v in row.values()] for row in rows]), "\n")
    print("CPU seconds a response:", body["cpu_seconds_a_response"], "\n")
    for tier, fitted in body["weights"].items():
        product = _PRODUCT[tier]
        print(f"{tier}: fitted {[round(weight, 2) for weight in fitted.values()]}")
        print(f"{tier}: product {[product.intercept, *product.signals]}")


def _quality_rows(quality: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for q in quality:
        yield [
            q["name"],
            q["method"],
            str(q["responses"]),
            *(
                f"{100 * w['value']:.1f} ({100 * w['low']:.1f} to {100 * w['high']:.1f})"
                for w in (q["accuracy"], q["auroc"])
            ),
            f"{100 * q['left_out_accuracy']:.1f}",
            f"{100 * q['left_out_auroc']:.1f}",
        ]
    for method in dict.fromkeys(q["method"] for q in quality):
        own = [q for q in quality if q["method"] == method and q["name"] in _SETS]
        means = [fmean(q[part]["value"] for q in own) for part in ("accuracy", "auroc")]
        means += [fmean(q[part] for q in own) for part in ("left_out_accuracy", "left_out_auroc")]
        yield ["mean without planted", method, "", *(f"{100 * mean:.1f}" for mean in means)]


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
