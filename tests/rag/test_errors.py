import pickle
import re
from collections.abc import Iterator

import pytest

from rag import errors
from rag.errors import RagError

_LINE = re.compile(
    r"^    (?P<branch>[│ ]*(?:[├└]── )?)(?P<name>\w+Error) +(\d+) +(\d+)(?:   (.+))?$"
)


def every_error(base: type[RagError] = RagError) -> Iterator[type[RagError]]:
    if base.__module__ == errors.__name__:
        yield base
    for child in base.__subclasses__():
        yield from every_error(child)


def drawn_tree() -> dict[str, tuple[str | None, int, int]]:
    """Return what the module's docstring draws: parent, exit status and HTTP status by name."""
    tree: dict[str, tuple[str | None, int, int]] = {"RagError": (None, 1, 500)}
    path = ["RagError"]
    for line in (errors.__doc__ or "").splitlines():
        match = _LINE.match(line)
        if match:
            depth = len(match["branch"]) // 4
            path[depth:] = [match["name"]]
            tree[match["name"]] = (path[depth - 1], int(match[3]), int(match[4]))
    return tree


ERRORS = tuple(every_error())


def test_the_tree_drawn_at_the_top_is_the_real_one() -> None:
    real = {
        error.__name__: (
            error.__base__.__name__ if error is not RagError and error.__base__ else None,
            error.exit_code,
            error.http_status,
        )
        for error in ERRORS
    }
    assert drawn_tree() == real


def test_every_error_of_the_module_is_in_the_tree() -> None:
    named = {name for name in vars(errors) if name.endswith("Error")}
    assert named == {error.__name__ for error in ERRORS}
    assert len(ERRORS) > 10


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_survives_the_way_between_processes(error: type[RagError]) -> None:
    raised = error("it failed", ("a", 1), "try again")
    copy = pickle.loads(pickle.dumps(raised))  # noqa: S301 - made one line above
    assert type(copy) is error
    assert (copy.what, copy.value, copy.remedy) == ("it failed", ("a", 1), "try again")
    assert str(copy) == str(raised)


@pytest.mark.parametrize("error", ERRORS)
def test_a_message_says_what_happened_the_value_and_what_to_do(error: type[RagError]) -> None:
    message = str(error("the file is too large", "12 MB", "split it"))
    assert message == "the file is too large: 12 MB. Split it."


@pytest.mark.parametrize("error", ERRORS)
def test_statuses_are_those_a_caller_can_act_on(error: type[RagError]) -> None:
    assert error.exit_code in {1, 2}
    assert 400 <= error.http_status < 600
    assert error.__doc__


def test_a_value_out_of_range_is_a_value_error_too() -> None:
    assert issubclass(errors.ValueRangeError, ValueError)
