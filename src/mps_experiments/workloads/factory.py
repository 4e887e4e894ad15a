"""Find a custom workload's factory: its name in the parent, which runs no user code; itself in a child."""

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from mps_experiments.errors import ConfigError, in_words

_OPTION = "workload.factory"
_EXPECTED = "give module:function, importable from the current folder or installed"
_SHOWN = 5  # names of a module


def check_factory(factory: str | None) -> Path:
    """Return the folder to import from, the current one, if the text can name a factory.

    Raises:
        ConfigError: If the text is not ``module:function``.
    """
    module_name, _, function = (factory or "").partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *function.split(".")]):
        raise ConfigError(_OPTION, factory, f"not a factory; {_EXPECTED}")
    return Path.cwd()


def import_factory(factory: str, folder: str | None) -> Callable[..., Any]:
    """Import a factory; runs code of the user's.

    Args:
        factory: ``module:function``, or ``module:Class.method``.
        folder: The folder to import from.

    Raises:
        ConfigError: If there is no such module, or nothing in it of that name that can be called.
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


def refuse_without_batch(factory: Callable[..., Any], name: str, batch: int) -> None:
    """Refuse a batch for a factory that takes none.

    Raises:
        ConfigError: If it cannot be called as ``build(device, options, batch=N)``.
    """
    try:
        inspect.signature(factory).bind(None, {}, batch=batch)
    except TypeError as error:
        what = f"{name} takes no batch ({error}); write build(device, options, batch=1)"
        raise ConfigError("workload.batch", batch, what) from error
    except ValueError:  # of code without a signature: the call will tell
        return


def _import(module_name: str, factory: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        expected = f"importing {module_name} raises {in_words(error)}"
        if error.name and f"{module_name}.".startswith(f"{error.name}."):  # not one that it imports itself
            expected = f"there is no module {error.name}; {_EXPECTED}"
        raise ConfigError(_OPTION, factory, expected) from error
    except BaseException as error:  # a script may call sys.exit
        raise ConfigError(_OPTION, factory, f"importing {module_name} raises {in_words(error)}") from error


def _attribute(owner: object, name: str, where: str, factory: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        names = [each for each in dir(owner) if not each.startswith("_")]
        close = difflib.get_close_matches(name, names, n=3)
        known = f"did you mean {' or '.join(close)}?" if close else f"it has {_shown(names)}"
        raise ConfigError(_OPTION, factory, f"{where} has no {name}; {known}") from error
    except BaseException as error:  # of a module's __getattr__
        raise ConfigError(_OPTION, factory, f"looking up {name} raises {in_words(error)}") from error


def _shown(names: list[str]) -> str:
    if not names:
        return "no names"
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def find_module(module_name: str, path: list[str]) -> ModuleSpec | None:
    """The spec of a dotted name; unlike importlib.util.find_spec it imports no parent package."""
    spec: ModuleSpec | None = None
    search: list[str] | None = path
    for part in module_name.split("."):
        # Asked for without its parents, or a namespace package would look them up in sys.modules.
        spec = None if search is None else PathFinder.find_spec(part, search)
        if spec is None and search is path:
            spec = _elsewhere(part)
        if spec is None:
            return None
        locations = spec.submodule_search_locations
        search = list(locations) if locations is not None else None
    return spec


def _elsewhere(name: str) -> ModuleSpec | None:
    """A top-level module that is not on the path: built in, or of an editable installation."""
    finders: list[Any] = sys.meta_path
    found = (finder.find_spec(name, None) for finder in finders)
    return next((spec for spec in found if isinstance(spec, ModuleSpec)), None)
