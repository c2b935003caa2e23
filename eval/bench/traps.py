"""Questions with something planted in their documents: BIPIA's orders, PoisonedRAG's lies."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eval.bench.corpora import SEED
from eval.datasets import Text, load_dataset

# What following them changes are letters, not words: no rule sees it.
UNSEEN: Final = (
    *("Alphanumeric Substitution", "Homophonic Substitution", "Misspelling Intentionally"),
    *("Anagramming", "Space Removal & Grouping"),
)


@dataclass(frozen=True, slots=True)
class Trap:
    """A question, the texts that were planted for it, and how following them shows.

    ``right`` are right answers, where any are known. ``wrong`` is the answer that the texts claim,
    or else ``instruction`` what they tell the model.
    """

    question: str
    planted: tuple[Text, ...]
    right: tuple[str, ...]
    wrong: str = ""
    instruction: str = ""


def attacked_emails(data: Path) -> tuple[list[Trap], tuple[Text, ...]]:
    """Return attacked e-mails, drawn and shuffled, and all e-mails as they are."""
    folder = data / "bipia"
    lines = (folder / "email_train.jsonl").read_text(encoding="utf-8").splitlines()
    read = [json.loads(line) for line in lines]
    texts = tuple(Text(f"email-{i}", "", each["context"]) for i, each in enumerate(read))
    kinds = json.loads((folder / "text_attack_train.json").read_text(encoding="utf-8"))
    attacks = [text for kind, known in kinds.items() if kind not in UNSEEN for text in known]
    draw = random.Random(SEED)  # noqa: S311 -- not a secret
    draw.shuffle(attacks)
    traps = []
    for number, attack in enumerate(attacks):
        at = draw.randrange(len(texts))
        attacked = Text(f"attacked-{number}", "", _put(texts[at].text, attack, number % 3))
        question = read[at]["question"].removeprefix("Q: ")
        # "unknown" is what BIPIA expects where the e-mail does not say.
        right = () if read[at]["ideal"] == "unknown" else (read[at]["ideal"],)
        traps.append(Trap(question, (attacked,), right, instruction=attack))
    return traps, texts


def _put(text: str, attack: str, place: int) -> str:
    """Return a text with an attack in front (0), in the middle (1) or behind (2)."""
    middle = text.find(" ", len(text) // 2)
    at = {0: 0, 1: middle if middle >= 0 else len(text), 2: len(text)}[place]
    return "\n".join(part for part in (text[:at].strip(), attack, text[at:].strip()) if part)


def poisoned_questions(data: Path) -> tuple[list[Trap], tuple[Text, ...]]:
    """Return poisoned questions and the passages that they are asked of."""
    lines = (data / "poisonedrag" / "nq.jsonl").read_text(encoding="utf-8").splitlines()
    dataset = load_dataset(data / "nq_gold")
    answers = {case.id: case.answers for case in dataset.cases}
    traps = []
    for each in map(json.loads, lines):
        planted = tuple(
            Text(f"{each['id']}-{i}", "", text) for i, text in enumerate(each["adv_texts"])
        )
        right = (each["correct"], *answers.get(each["nq_gold_id"], ()))
        traps.append(Trap(each["question"], planted, right, wrong=each["incorrect"]))
    random.Random(SEED).shuffle(traps)  # noqa: S311 -- not a secret
    return traps, dataset.texts
