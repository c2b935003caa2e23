"""When another way pays: the equations, what they do with the unknown, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.breakeven import UNITS, Model, Plan, Unit, Way, longest_prompt, pays, result, results
from eval.breakeven_file import read_plan
from eval.cli import main
from rag.errors import LoadError, RagError, UsageError, ValueRangeError
from rag.results import SignedInterval
from rag.types import Interval


def exactly(value: float) -> Interval:
    return Interval(value, value)


FREE: dict[Unit, Interval | None] = dict.fromkeys(UNITS, exactly(0))
LARGE = Model(Interval(0.02, 0.2), Interval(0.5, 4), exactly(2.5e-6), exactly(1e-5))
SMALL = Model(Interval(0.002, 0.01), Interval(0.05, 0.3), exactly(1.5e-7), exactly(6e-7))
NOW = Way("now", "large", 1800, 150, {})
TUNED = Way(
    "tuned",
    "large",
    300,
    150,
    {"tokens": exactly(2e7), "joules": Interval(4e7, 4e8), "money": exactly(500)},
)
LONGER = Way("longer", "small", 6000, 150, FREE)


def plan(*ways: Way, now: Way = NOW) -> Plan:
    return Plan(2000, 365, "EUR", {"large": LARGE, "small": SMALL}, now, ways)


def test_fine_tuning_pays_when_its_cost_is_earned_by_shorter_prompts() -> None:
    tokens = result(plan(TUNED), TUNED, "tokens")
    assert (tokens.verdict, tokens.in_time) == ("pays after", True)
    assert tokens.questions_low == tokens.questions_high == pytest.approx(2e7 / 1500)
    money = result(plan(TUNED), TUNED, "money")
    assert money.questions_low == pytest.approx(500 / (1500 * 2.5e-6))


def test_what_is_unknown_of_one_model_is_the_same_on_both_sides() -> None:
    joules = result(plan(TUNED), TUNED, "joules")
    assert joules.saving is not None
    assert (joules.saving.low, joules.saving.high) == pytest.approx((1500 * 0.02, 1500 * 0.2))
    assert joules.questions_low == pytest.approx(4e7 / 300)
    assert joules.questions_high == pytest.approx(4e8 / 30)
    assert joules.in_time is None  # 730,000 questions lie between


def test_a_smaller_model_with_a_longer_prompt_pays_in_joules_and_money_but_not_in_tokens() -> None:
    tokens, joules, money = (result(plan(LONGER), LONGER, unit) for unit in UNITS)
    assert (tokens.verdict, tokens.in_time) == ("never pays", False)
    assert (joules.verdict, joules.in_time) == ("pays at once", True)
    assert joules.then is not None
    assert joules.then.high == pytest.approx(6000 * 0.01 + 150 * 0.3)
    assert (money.verdict, money.questions_high) == ("pays at once", 0)


def test_the_same_again_costs_the_same() -> None:
    again = replace(NOW, name="again", once=FREE)
    assert {found.verdict for found in results(plan(again))} == {"costs the same"}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("way", [TUNED, LONGER])
def test_the_longest_prompt_just_pays(way: Way, unit: Unit) -> None:
    found = longest_prompt(plan(way), way, unit)
    assert found is not None
    if found.low > 0:
        surely = result(plan(way), replace(way, prompt_tokens=found.low * 0.999), unit)
        assert surely.in_time is True
    never = result(plan(way), replace(way, prompt_tokens=found.high * 1.001), unit)
    assert never.in_time is False


def test_unknown_stays_unknown_and_is_never_divided_by() -> None:
    dark = Model(None, None, exactly(0), exactly(0))
    models = {"large": LARGE, "dark": dark}
    way = Way("way", "dark", 10, 10, {"tokens": exactly(5), "joules": None, "money": None})
    asked = Plan(10, 10, "EUR", models, NOW, (way,))
    tokens, joules, money = (result(asked, way, unit) for unit in UNITS)
    assert tokens.verdict == "pays after"
    assert (joules.verdict, joules.then, joules.saving) == ("unknown", None, None)
    assert (money.verdict, money.in_time) == ("unknown", None)
    assert joules.longest_prompt is money.longest_prompt is None
    free_of_charge = replace(way, once=FREE)
    assert result(asked, free_of_charge, "money").longest_prompt is None


rates = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(lambda ends: Interval(*sorted(ends)))
signed = st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)).map(
    lambda ends: SignedInterval(*sorted(ends))
)


@given(signed, rates)
def test_the_range_of_questions_never_inverts(saved: SignedInterval, once: Interval) -> None:
    verdict, low, high = pays(saved, once)
    assert low is None or low >= 0
    assert high is None or (low is not None and low <= high)
    assert (verdict in ("never pays", "costs the same")) == (saved.high <= 0)


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_saving_holds_that_of_every_rate_it_may_be(
    prompt: float, completion: float, low: float, s: float, t: float
) -> None:
    model = Model(Interval(low, 2 * low), Interval(3 * low, 9 * low), None, None)
    way = Way("way", "m", prompt, completion, FREE)
    now = Way("now", "m", 1000, 100, {})
    found = result(Plan(1, 1, "EUR", {"m": model}, now, (way,)), way, "joules").saving
    assert found is not None
    p, d = low * (1 + s), low * (3 + 6 * t)
    true = (1000 - prompt) * p + (100 - completion) * d
    assert found.low - 1e-6 <= true <= found.high + 1e-6


shares = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))


@given(st.floats(0.01, 1), st.floats(0, 300), shares, st.booleans())
def test_the_longest_prompt_holds_that_of_every_rate_it_may_be(
    low: float, completion: float, within: tuple[float, float, float], same: bool
) -> None:
    s, t, u = within
    model = Model(Interval(low, 2 * low), Interval(3 * low, 9 * low), None, None)
    once = Interval(10, 3000)
    way = Way("way", "m" if same else "n", 0, completion, {"joules": once})
    now = Way("now", "m", 1000, 100, {})
    found = longest_prompt(Plan(1, 10, "EUR", {"m": model, "n": model}, now, (way,)), way, "joules")
    assert found is not None
    p, d, paid = low * (1 + s), low * (3 + 6 * t), 10 + 2990 * u
    true = 1000 + ((100 - completion) * d - paid / 10) / p
    assert found.low - 1e-6 <= max(0.0, true) <= found.high + 1e-6


TOML = """
questions_per_day = 2000
[models.large]
joules_per_prompt_token = [0.02, 0.2]
joules_per_completion_token = [0.5, 4]
price_per_million_prompt_tokens = 2.5
price_per_million_completion_tokens = 10
[now]
model = "large"
prompt_tokens = 1800
completion_tokens = 150
[ways.tuned]
model = "large"
prompt_tokens = 300
completion_tokens = 150
once_tokens = 20_000_000
once_joules = [4e7, 4e8]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(TOML)
    return file


def test_a_plan_is_read(path: Path) -> None:
    read = read_plan(path)
    assert (read.questions_per_day, read.days, read.currency) == (2000, 365, "EUR")
    assert read.models["large"].prompt_money == exactly(2.5e-6)
    assert read.models["large"].prompt_joules == Interval(0.02, 0.2)
    assert read.ways == (replace(TUNED, once=TUNED.once | {"money": None}),)
    assert read_plan(path, 5.0).questions_per_day == 5


@pytest.mark.parametrize(
    ("before", "after", "error", "words"),
    [
        ("2000", "0", LoadError, "questions_per_day"),
        ("prompt_tokens = 300", "prompt_tokens = -1", LoadError, "ways.tuned.prompt_tokens"),
        ("[0.5, 4]", "[4, 0.5]", ValueRangeError, "low <= high"),
        ("[0.5, 4]", "nan", LoadError, "joules_per_completion_token"),
        (
            'model = "large"\nprompt_tokens = 300',
            'model = "x"\nprompt_tokens = 3',
            ValueRangeError,
            "use one of large",
        ),
        ("once_tokens", "one_tokens", LoadError, "one_tokens"),
        ("[now]", "[now", LoadError, "TOML"),
    ],
)
def test_what_is_no_plan_says_where(
    path: Path, before: str, after: str, error: type[RagError], words: str
) -> None:
    assert before in TOML
    path.write_text(TOML.replace(before, after, 1))
    with pytest.raises(error) as raised:
        read_plan(path)
    assert words.lower() in str(raised.value).lower()


def test_a_plan_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_plan(tmp_path / "none.toml")


def test_the_command_tells_what_pays_what_is_assumed_and_what_is_not_known(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["breakeven", str(path)]) == 0
    text = capsys.readouterr().out
    assert "pays after 13,333 questions (6.67 days)" in text
    assert "the ways answer equally well" in text
    assert "- money of tuned: what it costs once" in text
    assert main(["breakeven", str(path), "--questions-per-day", "10", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["unit"] for each in told["results"]] == list(UNITS)
    assert told["results"][0]["in_time"] is False
    assert told["results"][2]["verdict"] == "unknown"
    assert told["plan"]["questions_per_day"] == 10
    assert main(["breakeven", str(path), "--questions-per-day", "-1"]) == 1
