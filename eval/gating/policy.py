"""The gate's policy, ``eval.toml``: what every measure must reach and how much it may lose."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.measures import MEASURES
from rag.errors import SettingsError

Kind: TypeAlias = Literal["hard", "soft"]
_Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Rule(BaseModel):
    """What one measure is held to; what is not given is not looked at.

    ``hard`` blocks, ``soft`` warns. ``at_least`` (where higher is better) and ``at_most`` (where
    lower is) bound the value itself; ``may_lose`` bounds what it may be worse than the baseline, in
    the measure's unit, ``may_lose_share`` the same as a share of the baseline.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Kind
    at_least: _Amount | None = None
    at_most: _Amount | None = None
    may_lose: _Amount | None = None
    may_lose_share: Annotated[float, Field(ge=0, le=10)] | None = None

    @model_validator(mode="after")
    def _says_something_once(self) -> Rule:
        given = self.model_dump(exclude={"kind"}, exclude_none=True)
        if not given:
            raise ValueError("give at_least, at_most, may_lose or may_lose_share")
        if {"may_lose", "may_lose_share"} <= given.keys():
            raise ValueError("give may_lose or may_lose_share, not both")
        return self

    @property
    def bound(self) -> float | None:
        """The absolute bound, whichever way it is; None where there is none."""
        return self.at_most if self.at_least is None else self.at_least

    def allowed(self, baseline: float) -> float | None:
        """Return what may be lost against a baseline's value; None where nothing is said."""
        if self.may_lose_share is not None:
            return self.may_lose_share * abs(baseline)
        return self.may_lose


class Policy(BaseModel):
    """The rules by measure, and the record that they compare with.

    ``baseline`` is a path from the policy's own folder; without one only absolute bounds are held.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    baseline: str | None = Field(None, min_length=1)
    measures: Mapping[str, Rule] = Field(min_length=1)

    @model_validator(mode="after")
    def _rules_fit_their_measures(self) -> Policy:
        for name, rule in self.measures.items():
            _check(name, rule)
        return self


def load_policy(path: Path) -> Policy:
    """Return the policy in a file.

    Raises:
        SettingsError: The file is missing, is not TOML, or says something that cannot be used.
    """
    if path.is_dir():
        raise SettingsError("the policy is a folder", path, "name a file in it with --policy")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise SettingsError("no policy", path, "write it, or name another with --policy") from exc
    except (OSError, ValueError) as exc:
        raise SettingsError("policy cannot be read", path, f"mend its TOML ({exc})") from exc
    if not given:
        raise SettingsError("the policy is empty", path, "write a table [measures.NAME] in it")
    try:
        return Policy.model_validate(given)
    except ValidationError as exc:
        raise _explained(path, exc) from exc


def baseline_path(policy: Policy, at: Path) -> Path | None:
    """Return where the baseline of the policy in the file ``at`` stands."""
    return None if policy.baseline is None else at.parent / policy.baseline


def _check(name: str, rule: Rule) -> None:
    """Raise ValueError, as pydantic's validators do, where a rule does not fit its measure."""
    measure = MEASURES.get(name)
    if measure is None:
        near = difflib.get_close_matches(name, MEASURES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}" if near else f"one of {', '.join(MEASURES)}"
        raise ValueError(f"measures.{name}: there is no such measure; {hint}")
    wrong, right = ("at_most", "at_least")[:: 1 if measure.better == "higher" else -1]
    if getattr(rule, wrong) is not None:
        raise ValueError(f"measures.{name}.{wrong}: {measure.better} is better; use {right}")
    for key in ("at_least", "at_most", "may_lose"):
        if measure.unit == "share" and (getattr(rule, key) or 0) > 1:
            raise ValueError(f"measures.{name}.{key}: a share is at most 1")


def _explained(path: Path, exc: ValidationError) -> SettingsError:
    # A key with a typo comes first: what is missing is missing because of it.
    first = min(exc.errors(), key=lambda error: error["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = _known_keys(first["loc"])
    elif first["type"] == "missing":
        message = "it is missing: add it"
    if not key:
        key, _, message = message.partition(": ")
    return SettingsError(f"{path}: {key} cannot be used", _shown(first["input"], key), message)


def _known_keys(place: tuple[int | str, ...]) -> str:
    """Return what to write instead of a key that there is not."""
    fields = (Policy if len(place) == 1 else Rule).model_fields
    near = difflib.get_close_matches(str(place[-1]), fields, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}" if near else f"one of {', '.join(fields)}"
    return f"there is no such key; {hint}"


def _shown(value: object, key: str) -> str:
    """Return the value; one measure's own where a check over all of them has named its key."""
    for part in key.split(".")[1:]:
        inside = value.get("measures", value) if isinstance(value, dict) else {}
        value = inside.get(part, value)
    return repr(value)[:200]
