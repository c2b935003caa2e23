"""The rules of the house that a reader of one file cannot see, checked on the syntax trees."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rag", "ingest", "eval")

# Lowest first; a module imports from its own layer and from those below.
LAYERS = {
    "values": (
        "",
        (
            "types errors labels access tracing protocols settings settings_server settings_service"
            " results place grid grid.intensity generating"
            " provider_calls relay generators settings_generators"
        ),
    ),
    "pure functions": (
        "",
        (
            "acronyms kinds phrases bm25 dates fuse impact leaning links worth pack payload terms"
            " filetree claims quantities opposites meaning grounding_signals ledger_entry"
            " grid.untrusted"
            " grid.answers grid.http grid.electricity_maps grid.watttime grid.packaged grid.file"
            " sci grid.live grid.siting grid.forecast grid.forecast_file grid.waiting durations"
            " saved frontier metering metering.machine metering.processor metering.power"
            " metering.usable"
            " generation_energy generation_energy.equations generation_energy.hardware"
            " generation_energy.models generation_energy.serving generation_energy.estimate"
            " provider_replies thread_clock remote listening streamed"
            " defusing addressing prompting followup spans loopback appending document_kinds"
            " windows upload_names packed_vectors"
        ),
    ),
    "stages": (
        "",
        (
            "retrieve rerank hops finding spelling short answer verify guard meter generation"
            " live_index demand grounding ledger_file ledger_sums ledger_sci ledger_run ledger"
            " cache cache.answer_cache cache.clues cache.eviction cache.grounds cache.keys"
            " cache.memory cache.neighbours cache.opened cache.purge cache.reading cache.record"
            " cache.rewriting cache.rows cache.schema cache.shadow cache.store cache.values"
            " cache.vector_rows cache.verifier cache.watch cache.wording"
            " sources soundness doctor doctoring doctoring.place doctoring.risks doctoring.meter"
            " doctoring.running doctoring.collection doctoring.records doctoring.keeping"
            " backup backup.catalogue"
            " backup.storing backup.reading backup.formats backup.gathering backup.making"
            " backup.placing backup.restoring"
            " cited routing writing condensing caching keys keyring audit documents"
            " upload_table uploads document_desk jobs jobs.job jobs.room jobs.file jobs.store"
            " jobs.green jobs.queue jobs.runner jobs.batch jobs.parts jobs.child jobs.ingest_job"
        ),
    ),
    "pipeline": (
        "",
        "pipeline answering confined audited quotas trace_export recording budgets single_flight",
    ),
    "composition root": (
        "",
        (
            "build build_power build_generators build_upkeep build_doctor build_traces build_jobs"
            " build_quotas build_server"
        ),
    ),
    "logs": ("", "logs question_log"),
    "service": (
        "service.",
        (
            "asgi examples limits problems refusals saved_schemas grid_schemas bodies schemas"
            " chat_bodies chat_schemas chat_routes metrics impact_schemas impact_routes"
            " frontier_routes"
            " cache_routes hearing streaming replies questions tool_bodies tool_schemas"
            " page_routes source_routes boundary served"
            " receiving connections shedding admission job_schemas batch_lines batch_routes"
            " job_runs document_schemas document_routes door traced app server"
        ),
    ),
    "inside other frameworks": ("", "llama_index_parts mcp_server"),
    "command line": (
        "",
        (
            "receipts impact_text terminal options costs mcp_command build_service serve_command"
            " upkeep run_jobs jobs_command keys_command cli"
        ),
    ),
}
BELOW_ADAPTERS = ("values", "pure functions")

SEVERAL_IMPORTERS = {
    "numpy": "the type of a vector, passed between all that compute with them",
    "pydantic": "at the edges: settings, HTTP bodies, what an evaluation reads, its rivals",
    "fastapi": "inside the service only",
    "starlette": "inside the service only",
    "qdrant_client": "the benchmark's rival brings its own; the server's client and its values",
    "llama_index": "connectors of models, our parts inside it, and the benchmark's rival",
    "uvicorn": "inside the service only: what runs it, and its connections",
    "httpx": "below the clients of the Qdrant server and of model providers",
}
WHERE_ALLOWED: dict[str, str | tuple[str, ...]] = {
    "fastapi": "rag.service.",
    "starlette": "rag.service.",
    "pydantic": ("rag.settings", "rag.service.", "eval."),
    "qdrant_client": ("rag.adapters.server_", "eval.systems."),
    "llama_index": ("rag.adapters.llama_index_", "rag.llama_index_parts", "eval.systems."),
    "uvicorn": "rag.service.",
    "httpx": (
        "rag.adapters.server_client",
        "rag.adapters.server_connection",
        "rag.adapters.provider_http",
    ),
}
COMPOSITION_ROOTS = ("rag.build", "ingest.build", "eval.")
PRINTING = re.compile(r"(.*\.cli|eval\.commands\..*|eval\.bench\..*|eval\.demo|.*\.__main__)")
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
MANY_PARAMETERS: dict[str, str] = {}


@dataclass(frozen=True)
class Module:
    """One source file and its syntax tree."""

    name: str
    path: Path

    @cached_property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def package(self) -> str:
        return self.name.split(".")[0]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _modules() -> Iterator[Module]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield Module(dotted.removesuffix(".__init__"), path)


MODULES = tuple(_modules())
NAMES = {module.name for module in MODULES}


def imports(node: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported anywhere below a node."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, f"relative import of {each.module}"
            for alias in each.names:
                inner = f"{each.module}.{alias.name}"
                yield inner if inner in NAMES else str(each.module)


def at_load(module: Module) -> Iterator[str]:
    """Yield what a module imports while it is loaded: neither in functions nor for types only."""
    for statement in module.tree.body:
        for_types = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        if not for_types and not isinstance(statement, Function | ast.ClassDef):
            yield from imports(statement)


def functions(module: Module) -> Iterator[tuple[str, Function]]:
    """Yield every function and method with its dotted name."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function | ast.ClassDef):
                name = f"{prefix}.{child.name}"
                if isinstance(child, Function):
                    yield name, child
                yield from below(child, name)
            else:
                yield from below(child, prefix)

    return below(module.tree, module.name)


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 60
    assert {module.package for module in MODULES} == set(PACKAGES)


@pytest.mark.parametrize(
    ("package", "others"), [("rag", ("ingest", "eval")), ("ingest", ("eval",))]
)
def test_imports_go_one_way(package: str, others: tuple[str, ...]) -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in MODULES
        if module.package == package
        for name in imports(module.tree)
        if name.split(".")[0] in others
    ]
    assert not wrong


def test_no_module_imports_its_own_package_root() -> None:
    wrong = [
        f"{module.name}: {ast.unparse(node)}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and module.package in imports(node)
        and not (isinstance(node, ast.ImportFrom) and "__version__" in {a.name for a in node.names})
    ]
    assert not wrong


def test_there_are_no_import_cycles() -> None:
    graph = {module.name: set(at_load(module)) & NAMES for module in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
    assert done == NAMES


def third_party() -> dict[str, set[str]]:
    """Return the modules that import each third-party library."""
    importers = defaultdict(set)
    for module in MODULES:
        for name in imports(module.tree):
            library = name.split(".")[0]
            if library not in sys.stdlib_module_names and library not in PACKAGES:
                importers[library].add(module.name)
    return importers


def test_each_third_party_library_has_one_importer() -> None:
    several = {
        library: sorted(modules)
        for library, modules in third_party().items()
        if len(modules) > 1 and library not in SEVERAL_IMPORTERS
    }
    assert not several


def test_libraries_with_several_importers_stay_where_they_belong() -> None:
    importers = third_party()
    for library, places in WHERE_ALLOWED.items():
        astray = [name for name in importers[library] if not name.startswith(places)]
        assert not astray, library


def test_the_layers_of_rag() -> None:
    rank = {
        f"rag.{prefix}{name}": level
        for level, (prefix, names) in enumerate(LAYERS.values())
        for name in names.split()
    }
    adapters_above = max(list(LAYERS).index(layer) for layer in BELOW_ADAPTERS)
    root = list(LAYERS).index("composition root")
    roots = {"rag", "rag.service", "rag.adapters"}
    ranked = [m for m in MODULES if m.package == "rag" and m.name not in roots]
    wrong = []
    for module in ranked:
        adapter = module.name.startswith("rag.adapters.")
        assert adapter or module.name in rank, f"give {module.name} a layer in this test"
        for name in set(imports(module.tree)) & NAMES - roots:
            if name.startswith("rag.adapters."):
                allowed = adapter or rank[module.name] == root
            else:
                allowed = rank[name] <= (adapters_above if adapter else rank[module.name])
            if not allowed:
                wrong.append(f"{module.name} imports {name}")
    assert not wrong
    assert rank.keys() <= NAMES


def test_only_composition_roots_build_adapters() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in MODULES
        if not module.name.startswith((*COMPOSITION_ROOTS, "rag.adapters."))
        for name in imports(module.tree)
        if name.startswith("rag.adapters.")
    ]
    assert not wrong


def test_what_answers_is_given_no_index_but_a_confined_one() -> None:
    given, confined = [], []
    for module in MODULES:
        for node in ast.walk(module.tree) if module.package == "rag" else ():
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in {"build_pipeline", "SourceReader"}:
                given.append(f"{module.name}:{node.lineno}: {name}")
                if "ConfinedIndex(" in ast.unparse(node):
                    confined.append(given[-1])
    assert given == confined
    assert len(confined) >= 2


def test_only_command_lines_print() -> None:
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in MODULES
        if not PRINTING.fullmatch(module.name)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not wrong


def test_a_broad_except_gives_its_reason() -> None:
    wrong = []
    for module in MODULES:
        comments = _comment_lines(module.source)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                near = {node.lineno - 1, node.lineno, node.lineno + 1}
                if re.search(r"\b(Base)?Exception\b", caught) and not near & comments:
                    wrong.append(f"{module.name}:{node.lineno}")
    assert not wrong


def _comment_lines(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}


def undocumented(module: Module) -> Iterator[str]:
    """Yield the public modules, classes and functions without a docstring."""

    def below(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
        for child in node.body:
            if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
                if not ast.get_docstring(child) and not _is_overload(child):
                    yield f"{prefix}.{child.name}"
                if isinstance(child, ast.ClassDef):
                    yield from below(child, f"{prefix}.{child.name}")

    if not ast.get_docstring(module.tree):
        yield module.name
    yield from below(module.tree, module.name)


def _is_overload(node: Function | ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def test_everything_public_is_documented() -> None:
    assert not [name for module in MODULES for name in undocumented(module)]


def test_files_are_short_enough_to_read() -> None:
    long = {
        module.name: lines
        for module in MODULES
        if (lines := module.source.count("\n")) > 350 and module.name not in LONG_FILES
    }
    assert not long


def test_functions_are_short_enough_to_read() -> None:
    long = {
        name: lines
        for module in MODULES
        for name, node in functions(module)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > 40 and name not in LONG_FUNCTIONS
    }
    assert not long


def test_functions_take_few_parameters() -> None:
    many = {}
    for module in MODULES:
        for name, node in functions(module):
            given = node.args
            names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len([n for n in names if n not in {"self", "cls"}])
            if count > 5 and name not in MANY_PARAMETERS:
                many[name] = count
    assert not many


def test_the_exceptions_are_still_needed() -> None:
    every = {name for module in MODULES for name, _ in functions(module)}
    assert LONG_FUNCTIONS.keys() | MANY_PARAMETERS.keys() <= every
    assert LONG_FILES.keys() <= NAMES
    assert {library for library, m in third_party().items() if len(m) > 1} <= set(SEVERAL_IMPORTERS)


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Yield the name and text of every file that is or would be in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in sorted(filter(None, listed.stdout.decode().split("\0"))):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 1_000_000:
            content = path.read_bytes()
            if b"\0" not in content:
                yield name, content.decode("utf-8", "replace")


# Written in two halves, so that this file does not hold what it looks for.
MACHINE_WORDS = (
    r"(?<![\w.~/-])/wo" + r"rk/",
    r"(?<![\w.~/-])/tm" + r"p/w\b",
    r"(?<![\w.~/-])/ho" + r"me/\w",
    r"(?<![\w.~/-])/ro" + r"ot/",
    "py" + r"pi\.org",
    "pythonh" + "osted",
    "index-" + r"url[ =]*http",
)


def test_no_file_names_a_machine_or_a_registry() -> None:
    pattern = re.compile("|".join(MACHINE_WORDS))
    checked, found = 0, []
    for name, text in tracked_texts():
        checked += 1
        found += [f"{name}: {match.group()}" for match in pattern.finditer(text)]
    assert not found
    assert checked > 100
