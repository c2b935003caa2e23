"""Parts that a team brings along: ``module:factory``, imported and called once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import RagError, UsageError

_Part = TypeVar("_Part")


def loaded(spec: str, kind: Callable[..., _Part]) -> _Part:
    """Return what the factory named by ``spec`` makes, checked to have the methods of ``kind``.

    Args:
        spec: ``package.module:factory``; the factory (a function or a class, dots allowed) takes
            no argument. Modules in the current folder are found.
        kind: The protocol to be met, such as ``SafetyChecker``. Only that its methods are there is
            checked, not what they take.

    Raises:
        UsageError: The spec cannot be read, there is no such module or attribute, it cannot be
            imported or called, or what it makes lacks a method.
    """
    factory = _named(spec)
    if not callable(factory):
        raise UsageError(
            "plug-in is not callable", spec, f"name a function or class that makes a {_name(kind)}"
        )
    try:
        made: _Part = factory()
    except RagError:
        raise
    # A team's own code may raise anything; the command line says whose it was.
    except Exception as exc:
        raise UsageError("plug-in could not be made", _with(spec, exc), "mend it") from exc
    lacking = [name for name in _methods(kind) if not callable(getattr(made, name, None))]
    if lacking:
        what = f"plug-in is no {_name(kind)}"
        lacks = f"{spec} makes a {type(made).__name__} without {lacking[0]}()"
        raise UsageError(what, lacks, f"give it the method {lacking[0]}")
    return made


def called(
    spec: str, call: Callable[[], object], kind: type[_Part], *passing: type[Exception]
) -> _Part:
    """Return what a plug-in's method returns, checked to be of the type ``kind``.

    Args:
        spec: The plug-in, to be named where something is wrong with it.
        call: Calls the method.
        kind: What it must return.
        passing: Exceptions that it may raise, which are passed on.

    Raises:
        UsageError: It raised something else, or returned something else.
    """
    try:
        made = call()
    except passing:
        raise
    # A team's own code may raise anything; the command line says whose it was.
    except Exception as exc:
        raise UsageError("plug-in failed", _with(spec, exc), "mend it") from exc
    if not isinstance(made, kind):
        found = f"{spec} returned {type(made).__name__}"
        raise UsageError(f"plug-in gave no {_name(kind)}", found, f"return a {_name(kind)}")
    return made


def _named(spec: str) -> Any:  # noqa: ANN401 -- it may be anything until it is checked
    module_name, _, path = spec.partition(":")
    if not module_name or not path or module_name.startswith("."):
        raise UsageError("plug-in cannot be read", repr(spec), "write package.module:factory")
    value: Any = _module(module_name, spec)
    for name in path.split("."):
        if not hasattr(value, name):
            raise UsageError(
                "plug-in has no such attribute",
                f"{name} in {spec}",
                "mend the name after the colon",
            )
        value = getattr(value, name)
    return value


def _module(name: str, spec: str) -> object:
    # A console script does not look where it is called.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing = exc.name or name
        if name == missing or name.startswith(f"{missing}."):
            remedy = "call from its folder, or install it"
            raise UsageError("no such plug-in module", f"{missing} in {spec}", remedy) from exc
        raise UsageError("plug-in needs a module", f"{missing} for {spec}", "install it") from exc
    # A team's own code may raise anything while it is imported.
    except Exception as exc:
        raise UsageError("plug-in cannot be imported", _with(spec, exc), "mend it") from exc


def _methods(kind: Callable[..., object]) -> list[str]:
    return [
        name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")
    ]


def _name(kind: Callable[..., object]) -> str:
    return getattr(kind, "__name__", repr(kind))


def _with(spec: str, exc: Exception) -> str:
    return f"{spec} ({type(exc).__name__}: {exc})"
