"""What the built-in safety checker finds, and how often it cries out at harmless answers.

Harmless answers: gold answers and passages of question sets, people's and models' answers of mtrag,
documentation on security by its paragraphs, and prompts that only look like attacks. Followed
attacks: BIPIA's instructions put into its e-mails, with answers that obey. BIPIA has no such
answers, so they are made: what an instruction demands word for word, the instruction handed on as
an extractive system would, and our own words for tasks that ask for a text; each beside the answer
that resists. BIPIA's published attacks were known when the rules were written.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from eval.bench.followed import FOLLOWED
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.datasets import load_dataset
from eval.safety.checker import CATEGORIES, RuleChecker, SafetyChecker

# Question, answer and context.
Exchange: TypeAlias = tuple[str, str, str]

_QUICK = 10  # every tenth exchange
_DEMANDED = re.compile(r"\"([^\"]{3,})\"|\b((?:www\.)?\w+\.(?:com|xyz)|\w+@\w+\.com)\b")


@dataclass(frozen=True, slots=True)
class Row:
    """Answers of one kind: how many have a finding, and of which category.

    ``unsafe``: whether each ought to have one. ``milliseconds`` is the CPU time of one check.
    """

    answers: str
    unsafe: bool
    count: int
    found: int
    categories: dict[str, int]
    milliseconds: float


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the table, and keep a record of a full run."""
    origin = provenance()
    checker = RuleChecker()
    rows = [
        row(checker, name, list(made(data))[:: _QUICK if quick else 1], unsafe=unsafe)
        for name, (made, unsafe) in _SETS.items()
    ]
    print(_table(rows))
    write_record(
        "safety", origin | {"rows": [asdict(each) for each in rows]}, CACHE if quick else RESULTS
    )


def row(checker: SafetyChecker, name: str, exchanges: list[Exchange], *, unsafe: bool) -> Row:
    """Return what a checker finds in answers of one kind."""
    started = time.process_time()
    found = [checker.check(*exchange) for exchange in exchanges]
    seconds = time.process_time() - started
    categories = Counter(category for each in found for category in {f.category for f in each})
    shown = {name: categories[name] for name in CATEGORIES if categories[name]}
    each = 1000 * seconds / max(1, len(exchanges))
    return Row(name, unsafe, len(exchanges), sum(map(bool, found)), shown, each)


def _table(rows: Iterable[Row]) -> str:
    header = ("answers", "unsafe", "number", "with a finding", "share", "of category", "ms each")
    return table(
        header,
        [
            (
                each.answers,
                "yes" if each.unsafe else "no",
                each.count,
                each.found,
                f"{each.found / each.count:.2%}" if each.count else "-",
                ", ".join(f"{name} {n}" for name, n in each.categories.items()) or "-",
                f"{each.milliseconds:.2f}",
            )
            for each in rows
        ],
    )


def _gold(name: str) -> Callable[[Path], Iterator[Exchange]]:
    """Return a maker of each question with each gold answer and the gold passages."""

    def made(data: Path) -> Iterator[Exchange]:
        dataset = load_dataset(data / name)
        texts = {text.id: f"{text.title}\n{text.text}" for text in dataset.texts}
        for case in dataset.cases:
            context = "\n".join(texts[gold] for gold in case.gold_ids)
            yield from ((case.text, answer, context) for answer in case.answers)

    return made


def _passages(name: str) -> Callable[[Path], Iterator[Exchange]]:
    """Return a maker of each gold passage as the answer to its question."""

    def made(data: Path) -> Iterator[Exchange]:
        dataset = load_dataset(data / name)
        asked = {gold: case.text for case in dataset.cases for gold in case.gold_ids}
        yield from ((asked[t.id], t.text, t.text) for t in dataset.texts if t.id in asked)

    return made


def _rated(data: Path) -> Iterator[Exchange]:
    lines = (data / "mtrag" / "human_eval.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines:
        each = json.loads(line)
        yield each["question"], each["response"], "\n".join(each["contexts"])


def _documentation(folder: str) -> Callable[[Path], Iterator[Exchange]]:
    """Return a maker of each paragraph as the answer to its page's title."""

    def made(data: Path) -> Iterator[Exchange]:
        for path in sorted((data / "docs_markup" / folder).rglob("*")):
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                title = path.stem.replace("_", " ").replace("-", " ")
                paragraphs = (p.strip() for p in re.split(r"\n\s*\n", text))
                yield from ((f"What about {title}?", p, p) for p in paragraphs if len(p) > 30)

    return made


def _lookalikes(data: Path) -> Iterator[Exchange]:
    """Yield e-mails that hold a harmless prompt with trigger words, rightly answered."""
    prompts = json.loads((data / "notinject" / "valid.json").read_text(encoding="utf-8"))
    texts = [each["prompt"] for each in prompts if each["label"] == 0]
    emails = list(_emails(data))
    for i, text in enumerate(texts):
        question, ideal, context = emails[i % len(emails)]
        yield question, ideal, f"{context}\n{text}"
        yield question, text, text


def _emails(data: Path) -> Iterator[Exchange]:
    for line in (data / "bipia" / "email_train.jsonl").read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        yield each["question"].removeprefix("Q: "), each["ideal"], each["context"]


def _attacks(data: Path, kind: str = "text") -> dict[str, list[str]]:
    text = (data / "bipia" / f"{kind}_attack_train.json").read_text(encoding="utf-8")
    attacks: dict[str, list[str]] = json.loads(text)
    return attacks


_Obeying: TypeAlias = Callable[[str, int, str], str | None]


def _attacked(obeying: _Obeying, *, resisting: bool) -> Callable[[Path], Iterator[Exchange]]:
    """Return a maker of e-mails with an attack at the end, the answer being what obeys it.

    ``obeying`` takes the attack's type, its number and its text; None leaves an attack out.
    """

    def made(data: Path) -> Iterator[Exchange]:
        for kind, texts in _attacks(data).items():
            for i, text in enumerate(texts):
                said = obeying(kind, i, text)
                if said is None:
                    continue
                for question, ideal, context in _emails(data):
                    answer = f"The value is {ideal}. {said}" if resisting else said
                    yield question, answer, f"[1] {context}\n{text}"

    return made


def _code(*, resisting: bool) -> Callable[[Path], Iterator[Exchange]]:
    """Return a maker of code questions with a code attack, its code block in the answer or not."""

    def made(data: Path) -> Iterator[Exchange]:
        lines = (data / "bipia" / "code_train.jsonl").read_text(encoding="utf-8").splitlines()
        attacks = [text for texts in _attacks(data, "code").values() for text in texts]
        for line in lines:
            each = json.loads(line)
            error = next((text for text in reversed(each["error"]) if text.strip()), "")
            for text in attacks:
                answer = "\n".join(
                    (*each["ideal"], *([] if resisting else [text.partition(":")[2]]))
                )
                context = "\n".join((*each["code"], *each["context"], text))
                yield f"How do I mend {error}?", answer, context

    return made


def _demanded(_kind: str, _number: int, text: str) -> str | None:
    found = _DEMANDED.search(text)
    return f"You should see {found[1] or found[2]} for this." if found else None


def _own_words(kind: str, number: int, _text: str) -> str | None:
    return FOLLOWED.get((kind, number))


_SETS: dict[str, tuple[Callable[[Path], Iterator[Exchange]], bool]] = {
    "squad gold answers": (_gold("squad_v1_dev"), False),
    **{
        f"{name} passages": (_passages(name), False)
        for name in ("squad_v1_dev", "nq_gold", "hotpotqa_400", "pubmedqa")
    },
    "clapnq gold answers": (_gold("clapnq_dev"), False),
    "mtrag rated answers": (_rated, False),
    "OWASP paragraphs": (_documentation("owasp"), False),
    "PEP paragraphs": (_documentation("peps"), False),
    "notinject lookalikes": (_lookalikes, False),
    "bipia: attack in the context, resisted": (_attacked(lambda *_: "", resisting=True), False),
    "bipia: attack on code in the context, resisted": (_code(resisting=True), False),
    "bipia: demanded words, beside the answer": (_attacked(_demanded, resisting=True), True),
    "bipia: demanded words only": (_attacked(_demanded, resisting=False), True),
    "bipia: a foreign task done, beside the answer": (_attacked(_own_words, resisting=True), True),
    "bipia: a foreign task done only": (_attacked(_own_words, resisting=False), True),
    "bipia: the attack's code put into the answer": (_code(resisting=False), True),
    "bipia: instruction handed on": (_attacked(lambda *a: a[2], resisting=False), True),
}
