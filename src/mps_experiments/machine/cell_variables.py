"""Environment variables that a cell sets itself: what the shell holds of them reaches no process of a run.

A thread percentage left in a shell would cap every worker, and nothing in a table would say so.
"""

from collections.abc import Mapping, MutableMapping

_PREFIX = "CUDA_MPS_"
_NAMES = frozenset({"CUDA_DEVICE_MAX_CONNECTIONS"})


def is_cells_own(name: str) -> bool:
    """Return whether a variable is the cell's to set."""
    return name.startswith(_PREFIX) or name in _NAMES


def not_passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment holds that the processes of a run do not get."""
    return {name: value for name, value in sorted(environment.items()) if is_cells_own(name)}


def passed_on(environment: Mapping[str, str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a run's environment: that of the shell without the cell's variables, and what the cell sets."""
    kept = {name: value for name, value in environment.items() if not is_cells_own(name)}
    return kept | dict(own or {})


def take_on(environment: MutableMapping[str, str], own: Mapping[str, str]) -> None:
    """Change the environment of this process to what `passed_on` returns."""
    for name in not_passed_on(environment):
        del environment[name]
    environment.update(own)


def describe(variables: Mapping[str, str]) -> str:
    """Say in one line what is not passed on; empty if there is nothing to say."""
    if not variables:
        return ""
    shown = {name: value if value.isprintable() else ascii(value) for name, value in variables.items()}
    named = ", ".join(f"{name}={value}" for name, value in shown.items())
    plural = "are" if len(variables) > 1 else "is"
    return f"{named} of the shell {plural} not passed on: each cell sets its own"
