"""Ingest killed at random moments, under a service that is asked all the while."""

from pathlib import Path

import pytest

from eval.bench.kill import Trial, run_trial

TOPICS = ("valve", "pump", "sensor", "gauge", "motor", "filter")


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_by_kills(fast_path: Path) -> None:
    docs = fast_path / "source"
    docs.mkdir()
    for number in range(24):
        topic = TOPICS[number % len(TOPICS)]
        parts = [f"# The {topic} {number // 8}"]
        parts += [f"The {topic} of line {i} was seen on day {i * 3}." for i in range(40)]
        (docs / f"{number:02}.md").write_text("\n\n".join(parts), encoding="utf-8")
    place = fast_path / "work"
    place.mkdir()
    outcome = run_trial(Trial(docs, kills=3, tier="lexical", seed=7), place)
    assert outcome.faults == []
    assert outcome.chunks > 24
    assert outcome.killed == 3
    assert outcome.questions > 2 * outcome.rounds
    assert outcome.last_generation > 1
