"""The policy's file: what it may say, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.gating.policy import Policy, baseline_path, load_policy
from eval.measures import MEASURES
from rag.errors import SettingsError

ROOT = Path(__file__).parents[3]


def policy(folder: Path, text: str) -> Policy:
    path = folder / "eval.toml"
    path.write_text(text, encoding="utf-8")
    return load_policy(path)


def test_a_policy(tmp_path: Path) -> None:
    found = policy(
        tmp_path,
        """
        baseline = "kept/base.json"
        [measures.groundedness]
        kind = "hard"
        at_least = 0.9
        may_lose = 0.01
        [measures.cpu_seconds]
        kind = "soft"
        may_lose_share = 0.25
        """,
    )
    assert baseline_path(found, tmp_path / "eval.toml") == tmp_path / "kept" / "base.json"
    grounded, cpu = found.measures["groundedness"], found.measures["cpu_seconds"]
    assert (grounded.kind, grounded.bound, grounded.allowed(0.95)) == ("hard", 0.9, 0.01)
    assert (cpu.kind, cpu.bound, cpu.allowed(2.0)) == ("soft", None, 0.5)


def test_a_policy_without_a_baseline(tmp_path: Path) -> None:
    found = policy(tmp_path, '[measures.cap_tokens]\nkind = "hard"\nat_most = 256\n')
    assert baseline_path(found, tmp_path / "eval.toml") is None
    assert found.measures["cap_tokens"].bound == 256
    assert found.measures["cap_tokens"].allowed(256) is None


HARD = '[measures.mrr]\nkind = "hard"\n'


@pytest.mark.parametrize(
    ("text", "key", "value", "remedy"),
    [
        ('baseline = "x"', "measures", "{'baseline': 'x'}", "it is missing: add it"),
        ("[measures]", "measures", "{}", "at least 1 item"),
        (f"basline = 'x'\n{HARD}may_lose = 1", "basline", "'x'", "did you mean baseline"),
        (f"{HARD}may_loose = 1", "measures.mrr.may_loose", "1", "did you mean may_lose or"),
        (f"{HARD}zzz = 1", "measures.mrr.zzz", "1", "one of kind, at_least, at_most, may_lose, "),
        ("[measure.mrr]\nkind = 'hard'", "measure", "'mrr'", "did you mean measures"),
        (f"{HARD}may_lose = -1", "measures.mrr.may_lose", "-1", "greater than or equal to 0"),
        (f"{HARD}may_lose = nan", "measures.mrr.may_lose", "nan", "finite"),
        (f"{HARD}may_lose = '1'", "measures.mrr.may_lose", "'1'", "valid number"),
        (f"{HARD}at_least = 4", "measures.mrr.at_least", "4", "a share is at most 1"),
        (f"{HARD}at_most = 0.4", "measures.mrr.at_most", "0.4", "higher is better; use at_least"),
        (f"{HARD}may_lose_share = 11", "measures.mrr.may_lose_share", "11", "less than or equal"),
        (f"{HARD}may_lose = 1\nmay_lose_share = 1", "measures.mrr", "'may_lose': 1", "not both"),
        (HARD, "measures.mrr", "{'kind': 'hard'}", "give at_least, at_most, may_lose or"),
        (
            "[measures.seconds]\nkind = 'soft'\nat_least = 1.5",
            "measures.seconds.at_least",
            "1.5",
            "lower is better; use at_most",
        ),
        ("[measures.mrr]\nkind = 'firm'\nmay_lose = 1", "measures.mrr.kind", "'firm'", "'soft'"),
        (
            "[measures.groundednes]\nkind = 'hard'\nmay_lose = 0.1",
            "measures.groundednes",
            "'may_lose': 0.1",
            "no such measure; did you mean groundedness or grounded",
        ),
        (
            "[measures.xyz]\nkind = 'hard'\nmay_lose = 0.1",
            "measures.xyz",
            "'may_lose': 0.1",
            "no such measure; one of recall_at_5, ",
        ),
    ],
)
def test_a_wrong_policy_is_told_by_key_value_and_remedy(
    tmp_path: Path, text: str, key: str, value: str, remedy: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        policy(tmp_path, text)
    assert f"eval.toml: {key} cannot be used" in caught.value.what
    assert value in str(caught.value.value)
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 2


def test_a_missing_policy_and_one_that_is_not_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no policy"):
        load_policy(tmp_path / "eval.toml")
    with pytest.raises(SettingsError, match="Mend its TOML"):
        policy(tmp_path, "x =")
    with pytest.raises(SettingsError, match=r"the policy is a folder: .*\. Name a file in it"):
        load_policy(tmp_path)
    with pytest.raises(SettingsError, match=r"the policy is empty: .*eval.toml. Write a table"):
        policy(tmp_path, "# nothing yet")


def test_the_shipped_policy_guards_what_it_is_for() -> None:
    found = load_policy(ROOT / "eval.toml")
    hard = {name for name, rule in found.measures.items() if rule.kind == "hard"}
    assert hard >= {
        "groundedness",
        "answer_recall",
        "right_when_answered",
        "refusal_precision",
        "refusal_recall",
        "citation_precision",
        "safe",
        "context_tokens",
        "cap_tokens",
        "cpu_seconds",
        "joules",
    }
    assert found.measures["seconds"].kind == "soft"
    assert found.baseline == "eval/baseline/samples.json"
    assert found.measures.keys() <= MEASURES.keys()
