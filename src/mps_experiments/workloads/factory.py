"""Find the factory of a custom workload. The parent checks its name only; a child imports it."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from mps_experiments.errors import ConfigError, in_words

_OPTION = "workload.factory"
_EXPECTED = "give module:function, importable from the current folder or installed"
_SHOWN = 5  # names in a message


def check_factory(factory: str | None) -> Path:
    """Return the folder to import from, the current one. Refuse a text that cannot name a factory."""
    module_name, _, function = (factory or "").partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *function.split(".")]):
        raise ConfigError(_OPTION, factory, f"not a factory; {_meant(factory or '') or _EXPECTED}")
    if module_name.endswith(".py"):
        raise ConfigError(_OPTION, factory, f"names a file; {_meant(str(factory))}")
    return Path.cwd()


def _meant(factory: str) -> str:
    """Return how to write ``mine.py:f``, ``models/mine.py:f`` or ``mine.f``; empty for anything else."""
    file, colon, function = factory.partition(":")
    if not colon:
        file, _, function = factory.rpartition(".")
    module = file.removesuffix(".py").removeprefix("./").replace("/", ".")
    names = [*module.split("."), *function.split(".")]
    return f"write {module}:{function}" if all(name.isidentifier() for name in names) else ""


def refuse_signature(factory: Callable[..., Any], name: str, batch: int) -> None:
    """Refuse a factory that cannot be called as ``factory(device, options)``, or not with a batch above 1.

    Where it takes none, items would be counted that it does not process. `name` is as the user gave it.
    """
    given = {"batch": batch} if batch > 1 else {}
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of something built in: the call will tell
        return
    try:
        signature.bind("device", {}, **given)
    except TypeError as error:
        call = f"{name.rpartition(':')[2]}(device, options{f', batch={batch}' if given else ''})"
        what = f"takes {signature}, but is called as {call}"
        if next(iter(signature.parameters), "") == "self":
            what = f"{what}; make it a function or a static method"
        raise ConfigError(_OPTION, name, what) from error


def import_factory(factory: str, folder: str | None) -> Callable[..., Any]:
    """Import ``module:function`` or ``module:Class.method`` from this folder. This runs the user's code.

    Raises:
        ConfigError: If there is no such module, or nothing callable of that name in it.
    """
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    module_name, _, path = factory.partition(":")
    found: Any = _import(module_name, factory)
    where = f"module {module_name} ({getattr(found, '__file__', None) or 'built in'})"
    for name in path.split("."):
        found = _attribute(found, name, where, factory)
        where = f"{module_name}:{name}"
    if not callable(found):
        what = f"it is of type {type(found).__name__}, which cannot be called; {_EXPECTED}"
        raise ConfigError(_OPTION, factory, what)
    return found  # type: ignore[no-any-return]


def _import(module_name: str, factory: str) -> object:
    try:
        return importlib.import_module(module_name)
    except BaseException as error:  # a script may call sys.exit
        expected = f"importing {module_name} raises {in_words(error)}"
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent and f"{module_name}.".startswith(f"{absent}."):  # not a module that it imports
            expected = f"there is no module {absent}; {_EXPECTED}"
        raise ConfigError(_OPTION, factory, expected) from error


def _attribute(owner: object, name: str, where: str, factory: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        names = [each for each in dir(owner) if not each.startswith("_")]
        close = " or ".join(difflib.get_close_matches(name, names, n=3))
        known = f"did you mean {close}?" if close else f"it has {first_names(names) or 'no names'}"
        raise ConfigError(_OPTION, factory, f"{where} has no {name}; {known}") from error
    except BaseException as error:  # a module's __getattr__ may raise anything
        raise ConfigError(_OPTION, factory, f"looking up {name} raises {in_words(error)}") from error


def first_names(names: Iterable[str]) -> str:
    """Join the first names, with ``...`` in place of the others; empty for none."""
    known = list(names)
    return ", ".join(known if len(known) <= _SHOWN else [*known[:_SHOWN], "..."])


def find_module(module_name: str, path: list[str]) -> ModuleSpec | None:
    """Return the spec of a dotted name; unlike importlib.util.find_spec this imports no parent package."""
    spec: ModuleSpec | None = None
    search: list[str] | None = path
    for part in module_name.split("."):
        # Without the parents' names, which a namespace package would look up in sys.modules.
        spec = None if search is None else PathFinder.find_spec(part, search)
        if spec is None and search is path:  # built in, or of an editable installation
            finders: list[Any] = sys.meta_path
            spec = next(filter(None, (finder.find_spec(part, None) for finder in finders)), None)
        if spec is None:
            return None
        locations = spec.submodule_search_locations
        search = list(locations) if locations is not None else None
    return spec
