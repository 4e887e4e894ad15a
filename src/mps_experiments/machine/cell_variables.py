"""Environment variables that each cell sets itself. Those of the shell reach no process of a run.

Otherwise a thread percentage left in a shell would cap every worker, and no table would show it.
"""

from collections.abc import Mapping, MutableMapping


def not_passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the environment that the processes of a run do not get, sorted by name."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith("CUDA_MPS_") or name == "CUDA_DEVICE_MAX_CONNECTIONS"
    }


def passed_on(environment: Mapping[str, str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a run: the shell's, but with the cell's own variables from the cell alone."""
    left_out = not_passed_on(environment)
    return {name: value for name, value in environment.items() if name not in left_out} | dict(own or {})


def take_on(environment: MutableMapping[str, str], own: Mapping[str, str]) -> None:
    """Change an environment in place to the one that `passed_on` returns."""
    for name in not_passed_on(environment):
        del environment[name]
    environment.update(own)


def describe(variables: Mapping[str, str]) -> str:
    """Name in one line the variables that are not passed on; empty without any."""
    if not variables:
        return ""
    named = ", ".join(
        f"{name}={value if value.isprintable() else ascii(value)}" for name, value in variables.items()
    )
    plural = "are" if len(variables) > 1 else "is"
    return f"{named} of the shell {plural} not passed on: each run sets its own"
