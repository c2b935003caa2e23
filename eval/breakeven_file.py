"""Plans for ``rag-eval breakeven`` as TOML: the models, what is done now, and the other ways."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.breakeven import Model, Plan, Unit, Way
from rag.errors import LoadError, UsageError, ValueRangeError
from rag.types import Interval

_MILLION = 1e6  # prices are told for so many tokens
_Amount: TypeAlias = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
_Range: TypeAlias = _Amount | tuple[_Amount, _Amount] | None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Model(_Table):
    joules_per_prompt_token: _Range = None
    joules_per_completion_token: _Range = None
    price_per_million_prompt_tokens: _Range = None
    price_per_million_completion_tokens: _Range = None


class _Now(_Table):
    model: str
    prompt_tokens: _Amount
    completion_tokens: _Amount


class _Way(_Now):
    once_tokens: _Range = None
    once_joules: _Range = None
    once_money: _Range = None


class _Plan(_Table):
    questions_per_day: Annotated[float, Field(gt=0, le=1e15)]
    days: Annotated[float, Field(gt=0, le=1e6)] = 365.0  # a year, where the plan says nothing
    currency: str = "EUR"
    models: dict[str, _Model]
    now: _Now
    ways: Annotated[dict[str, _Way], Field(min_length=1)]


def read_plan(path: Path, questions_per_day: float | None = None) -> Plan:
    """Return the plan in a file; the questions a day are those given, if any.

    Raises:
        UsageError: There is no such file.
        LoadError: It is no TOML, or not a plan.
        ValueRangeError: A number is out of bounds, or a way's model is not described.
    """
    try:
        state = tomllib.loads(path.read_text(encoding="utf-8"))
        if questions_per_day is not None:
            state["questions_per_day"] = questions_per_day
        return _plan(_Plan.model_validate(state))
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise UsageError("no such plan", path, "write one as docs/evaluation.md shows") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise LoadError(
            "not a plan",
            f"{path} ({place}: {first['msg']})",
            "write it as docs/evaluation.md shows",
        ) from exc
    except ValueRangeError:
        raise
    except (OSError, ValueError) as exc:
        raise LoadError(
            "not a plan", f"{path} ({exc})", "write its TOML as docs/evaluation.md shows"
        ) from exc


def _plan(read: _Plan) -> Plan:
    return Plan(
        read.questions_per_day,
        read.days,
        read.currency,
        {name: _model(model) for name, model in read.models.items()},
        _way("now", read.now, {}),
        tuple(_way(name, way, _once(way)) for name, way in read.ways.items()),
    )


def _model(read: _Model) -> Model:
    return Model(
        _interval(read.joules_per_prompt_token),
        _interval(read.joules_per_completion_token),
        _interval(read.price_per_million_prompt_tokens, _MILLION),
        _interval(read.price_per_million_completion_tokens, _MILLION),
    )


def _once(read: _Way) -> dict[Unit, Interval | None]:
    return {
        "tokens": _interval(read.once_tokens),
        "joules": _interval(read.once_joules),
        "money": _interval(read.once_money),
    }


def _way(name: str, read: _Now, once: dict[Unit, Interval | None]) -> Way:
    return Way(name, read.model, read.prompt_tokens, read.completion_tokens, once)


def _interval(value: _Range, per: float = 1.0) -> Interval | None:
    if value is None:
        return None
    low, high = value if isinstance(value, tuple) else (value, value)
    return Interval(low / per, high / per)
