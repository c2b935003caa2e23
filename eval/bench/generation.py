"""What an answered question costs where a small model may write, beside LlamaIndex's own engine.

One model (the packaged SmolLM2) with the same sampling on both sides, the same questions and
documents, in one run: ours from the question to the answer with nothing kept, and LlamaIndex's
default query engine. Each side has a copy of the model to itself, so that none finds its prompt's
beginning thrown out by the other.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from eval.bench import cascade_cuts
from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.generated import Generated, KeptGenerations
from eval.bench.generation_tables import beside_table, costs_table, cuts_text, quality_table
from eval.bench.records import CACHE, RESULTS, provenance, write_record
from eval.bench.said import Said, beside, summary
from eval.bench.vectors import cached
from eval.datasets import Case
from eval.systems.frugal import FrugalRag
from eval.systems.indexed import built_index, chunked
from eval.systems.subjects import neural
from rag.build import build_pipeline, build_tokenizer
from rag.generating import Prompt, Sampling
from rag.results import Writing
from rag.settings import Settings, load_settings
from rag.settings_generators import GeneratorSettings

LLAMA: Final = "LlamaIndex"
OURS: Final[dict[str, Writing]] = {"cascade": "auto", "always": "always", "extract": "never"}
CONTEXT_TOKENS: Final = 4096  # LlamaIndex's two nodes and an answer fit into one prompt
SAMPLING: Final = Sampling()  # temperature 0, up to 160 tokens
_BLOCK: Final = 10  # questions of one way before the next one's turn: the load is shared alike
_WARM_UP: Final = Case("", "What is the first thing to know?", (), (), answerable=False, meta={})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: sets of questions by name, and how many of each."""

    data: Path
    sets: tuple[tuple[str, int], ...] = (("squad_small", 60), ("nq_pooled", 40))


class System(Protocol):
    """One way to an answer."""

    def ask(self, case: Case) -> Said:
        """Return what it says to a question."""


def bench(data: Path, *, quick: bool) -> None:
    """Ask all ways all questions; a quick run asks four of them."""
    run(Plan(data, (("squad_small", 4),)) if quick else Plan(data))


def run(plan: Plan) -> None:
    """Measure, print the tables, and leave ``generation.json``."""
    origin = provenance()
    said: list[Said] = []
    about = []
    body: dict[str, Any] = {}
    for name, count in plan.sets:
        corpus = corpora(plan.data, count)[name]()
        about.append(corpus.about())
        said += _asked(corpus)
        # Of a long run, what is there so far.
        body = _settings(about) | _results(said)
        write_record("generation", origin | body, CACHE)
    if plan == Plan(plan.data):
        write_record("generation", origin | body, RESULTS)


def _asked(corpus: Corpus) -> list[Said]:
    """Return what each way says to each question, by turns."""
    said = []
    with _systems(corpus) as systems:
        for system in systems.values():
            system.ask(_WARM_UP)
        for start in range(0, len(corpus.cases), _BLOCK):
            for way, system in systems.items():
                for case in corpus.cases[start : start + _BLOCK]:
                    said.append(system.ask(case))
                    _progress(said[-1], way)
    return said


def _progress(said: Said, way: str) -> None:
    spent = f"{said.cpu_seconds:.2f} s, {said.prompt_tokens} + {said.completion_tokens} tokens"
    print(f"{said.corpus} {said.question}: {way}, {spent}", file=sys.stderr, flush=True)


def settings_with_model() -> Settings:
    """Return the defaults with the packaged model as the only generator."""
    model = {"name": "small", "kind": "embedded", "context_tokens": CONTEXT_TOKENS}
    return load_settings(generators=(GeneratorSettings.model_validate(model),))


@contextmanager
def _systems(corpus: Corpus) -> Iterator[dict[str, System]]:
    settings = settings_with_model()
    embedder = neural(settings)
    vectors = cached(embedder)
    rival = Rival(corpus, settings)
    chunks = chunked(corpus.documents, settings)
    with (
        tempfile.TemporaryDirectory(prefix="rag-bench-") as folder,
        built_index(Path(folder) / "index", chunks, vectors, settings.tenant) as index,
    ):
        vectors.flush()
        system = FrugalRag(build_pipeline(settings, index, lambda: None, embedder), settings)
        ours = {
            way: Ours(replace(system, generate=writing), corpus.name, way)
            for way, writing in OURS.items()
        }
        yield {**ours, LLAMA: rival}


@dataclass(frozen=True, slots=True)
class Ours:
    """Our pipeline in one of its ways."""

    system: FrugalRag
    corpus: str
    way: str

    def ask(self, case: Case) -> Said:
        """Return what the pipeline says."""
        before = time.process_time()
        outcome, _ = self.system.ask(case)
        spent = time.process_time() - before
        return Said(
            corpus=self.corpus,
            way=self.way,
            question=case.id,
            golds=case.answers,
            text=outcome.answer,
            short=outcome.short,
            confidence=outcome.confidence,
            cpu_seconds=spent,
            prompt_tokens=outcome.prompt_tokens or 0,
            completion_tokens=outcome.completion_tokens or 0,
            stood=outcome.calls[-1].endswith("accepted") if outcome.calls else None,
        )


class Rival:
    """LlamaIndex's default query engine; what its model has written before is not written again."""

    def __init__(self, corpus: Corpus, settings: Settings) -> None:
        from eval.systems import llama_index
        from eval.systems.llama_engine import GeneratorLLM, default_engine
        from eval.systems.llama_subject import CHUNK_TOKENS, NODES, OVERLAP_TOKENS
        from rag.adapters.embedded_llm import EmbeddedGenerator, packaged_model

        embedder = neural(settings)
        vectors = cached(embedder)
        nodes = llama_index.split(corpus.documents, CHUNK_TOKENS, OVERLAP_TOKENS)
        index = llama_index.vector_index(nodes, vectors, queries=embedder)
        vectors.flush()
        llm = GeneratorLLM(
            self._write,
            build_tokenizer(settings),
            context_tokens=CONTEXT_TOKENS,
            answer_tokens=SAMPLING.max_tokens,
        )
        model = EmbeddedGenerator(packaged_model(), CONTEXT_TOKENS)
        self._corpus = corpus.name
        self._kept = KeptGenerations(model, CACHE / "generations")
        self._engine = default_engine(index, llm, NODES)
        self._calls: list[_Call] = []

    def ask(self, case: Case) -> Said:
        """Return its whole answer."""
        self._calls.clear()
        before = time.process_time()
        answered = self._engine.ask(case.text)
        spent = time.process_time() - before
        made = [call.generated for call in self._calls]
        # What the model took is what it took when it wrote, even if that was another day.
        beside_it = spent - sum(call.cpu_seconds for call in self._calls)
        return Said(
            corpus=self._corpus,
            way=LLAMA,
            question=case.id,
            golds=case.answers,
            text=answered.text,
            short=None,
            confidence=None,
            cpu_seconds=beside_it + sum(each.cpu_seconds for each in made),
            prompt_tokens=sum(each.prompt_tokens or 0 for each in made),
            completion_tokens=sum(each.completion_tokens or 0 for each in made),
            stood=True,
        )

    def _write(self, prompt: Prompt) -> str:
        before = time.process_time()
        generated = self._kept.answer(prompt, SAMPLING)
        self._calls.append(_Call(generated, time.process_time() - before))
        return generated.text


@dataclass(frozen=True, slots=True)
class _Call:
    """What the model wrote, and the processor time of getting it now [s]."""

    generated: Generated
    cpu_seconds: float


def _results(said: Sequence[Said]) -> dict[str, Any]:
    """Print the tables and return what they were made from; no text of the sets is in it."""
    ways = [*OURS, LLAMA]
    names = list(dict.fromkeys(each.corpus for each in said))
    by = {way: [each for each in said if each.way == way] for way in ways}
    groups = {name: {w: [s for s in by[w] if s.corpus == name] for w in ways} for name in names}
    if len(names) > 1:
        groups["all"] = by
    found = {name: [summary(group[way]) for way in ways] for name, group in groups.items()}
    pairs = {
        name: [beside(group[way], group[LLAMA]) for way in OURS] for name, group in groups.items()
    }
    print(quality_table(found), costs_table(found), beside_table(pairs), sep="\n\n")
    cuts = _cuts(by)
    return {
        "summaries": {name: [asdict(each) for each in rows] for name, rows in found.items()},
        "beside_llama_index": {name: [asdict(e) for e in rows] for name, rows in pairs.items()},
        "cuts": cuts,
        "questions": [_numbers(each) for each in said],
    }


def _cuts(by: dict[str, list[Said]]) -> dict[str, Any]:
    """Choose thresholds on the first half; print and return what they give on the second."""
    halves: tuple[dict[str, list[Said]], ...] = tuple(
        {w: [s for s in by[w] if cascade_cuts.is_first_half(s.question) is first] for w in by}
        for first in (True, False)
    )
    first, second = halves
    if not all(first.values()) or not all(second.values()):
        return {}
    tried = cascade_cuts.tried(first["always"], first["extract"])
    best = cascade_cuts.chosen(tried)
    confirmed = cascade_cuts.composed(second["always"], second["extract"], best.cuts)
    rows = [summary(confirmed), *(summary(second[way]) for way in second)]
    against = [beside(each, second[LLAMA]) for each in (confirmed, *(second[w] for w in OURS))]
    print(f"\n{cuts_text(best, len(first[LLAMA]))}\n")
    print(quality_table({"second half": rows}), costs_table({"second half": rows}), sep="\n\n")
    print(f"\n{beside_table({'second half': against})}")
    return {
        "chosen": asdict(best),
        "tried": [asdict(each) for each in tried],
        "second_half": [asdict(each) for each in rows],
        "second_half_beside": [asdict(each) for each in against],
    }


def _numbers(said: Said) -> dict[str, Any]:
    identity = {"corpus": said.corpus, "way": said.way, "question": said.question}
    more = {"confidence": said.confidence, "stood": said.stood}
    return identity | dict(said.scores()) | more


def _settings(about: Sequence[dict[str, Any]]) -> dict[str, Any]:
    settings = settings_with_model()
    return {
        "seed": SEED,
        "corpora": list(about),
        "sampling": asdict(SAMPLING),
        "frugal_rag": settings.answering(),
        "llama_index": "SentenceSplitter 1024/200, similarity_top_k 2, compact, default prompts",
        "exclusions": "building the indexes; loading the model and the first question of each way",
        "cpu_seconds": "of the whole process; of LlamaIndex's model, when it first wrote an answer",
    }
