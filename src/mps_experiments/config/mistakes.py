"""Mistakes on the command line, each as one line that names option, value and what would work.

Hydra's own messages span lines, speak of its internals and often leave out the option.
"""

import difflib
import functools
import itertools
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import (
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedValueType,
    ValidationError,
)
from yaml import YAMLError  # type: ignore[import-untyped]

from mps_experiments.config.option import Option
from mps_experiments.config.schema import NO_LONGER, options
from mps_experiments.errors import ConfigError

# What composing raises on a user's mistake. The plain ones are Hydra's own surprise at values of another kind
# than it has in mind: a group set to a number, a text where it looks for keys.
COMPOSITION_ERRORS = (
    *(HydraException, OmegaConfBaseException, YAMLError, ConfigError),
    *(ValueError, TypeError, AttributeError, AssertionError),
)
_CLOSE = 0.75  # of difflib: workload.bacth is close to workload.batch, workload.batch to no workload.kind
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
MAX_CELLS = 10_000  # all are composed before the first one runs
GROUPS = ("mps", "workload", "fault", "tracking", "experiment")

Choices = Callable[[str], Sequence[str]]  # from a group's name to its options
_NO_CHOICE = re.compile(r"Could not find '(.+)/(.+?)'\n\nAvailable options in .*?:\n((?:\t.*\n?)+)")
_ALREADY_THERE = ("Could not append to config", "appears more than once", "Multiple values for")
_NO_KEY = re.compile(r"^Could not (override|delete)|^Key '.*' (is )?not in ", re.MULTILINE)
_IN_INTERPOLATION = re.compile(r"^ConfigError raised while resolving interpolation: configuration: ")
_OTHER_MODELS = "; another model of torchvision is workload.model=NAME, your own is workload=custom"
_WRONG_TYPE = (ValidationError, UnsupportedValueType, MissingMandatoryValue, TypeError)


def split(override: str) -> tuple[str, str]:
    """Return option and value as the user wrote them; the value is empty where there is none."""
    option, _, value = override.partition("=")
    return option, value


def dashed(unknown: str, arguments: Sequence[str]) -> str:
    """Say what to write for an argument that is neither a flag nor among the options."""
    if not unknown.startswith("-"):
        return "all option=value belong together, with the flags before or after them"
    option, separator, value = unknown.lstrip("-").partition("=")
    if separator:
        return f"options have no dashes: {option}={value}"
    if option not in (*GROUPS, *_by_name()):
        return "--help lists the flags"
    following = arguments[arguments.index(unknown) + 1 :][:1]
    return f"options have no dashes: {option}={following[0]}" if following else _write_value(option)


def unreadable(override: str) -> ConfigError:
    """Explain an override that Hydra's grammar does not take."""
    option, value = split(override)
    if not option:
        return ConfigError(override or "''", "", "not an option; write option=value")
    if "=" not in override and option in GROUPS:
        return ConfigError(option, "", f"has no value; write {option}=NAME; --help lists the names")
    if "=" not in override:
        what = f"has no value; {_write_value(option)}" if option in _by_name() else _no_such_option(option)
        return ConfigError(option, "", what)
    if not re.fullmatch(r"[+~]{0,2}[\w./@$-]+", option):
        return ConfigError(option, value, "not an option; write option=value, without spaces around the =")
    if _must_be(option) and not _takes_text(option):
        return ConfigError(option, value, f"{_lone_bracket(value)}{_must_be(option)}")
    mark = "'" if '"' in value else '"'
    quoted = shlex.quote(f"{option}={mark}{value}{mark}")
    return ConfigError(option, value, f"special characters need quotes in quotes: {quoted}")


def _lone_bracket(value: str) -> str:
    """Say which bracket has no other; empty if each has."""
    pairs = [pair for opened, closed in _BRACKETS for pair in ((opened, closed), (closed, opened))]
    lone = next((pair for pair in pairs if value.count(pair[0]) > value.count(pair[1])), None)
    return f"has a {lone[0]} without its {lone[1]}; " if lone else ""


def refuse_form(override: Override, choices: Choices) -> None:
    """Refuse what Hydra would accept although it cannot be meant, or would refuse without a clear word."""
    text, key = str(override.input_line), override.key_or_group
    option, value = split(text)
    if override.is_delete():
        if key in (*GROUPS, *_by_name()):
            raise ConfigError(option, value, f"nothing can be removed; {_what_works(key, choices)}")
    elif "=" not in text or not key:
        raise ConfigError(option or text, "", f"not an option; {_what_works(key, choices)}")
    elif key in GROUPS and not all(_names_choice(key, each) for each in values_of(override)):
        raise ConfigError(option, value, f"no such value; {_what_works(key, choices)}")


def values_of(override: Override) -> list[object]:
    """Return the value, or the values of a sweep that lists them."""
    given = override.value()
    return list(getattr(given, "list", [])) if override.is_sweep_override() else [given]


def _names_choice(group: str, value: object) -> bool:
    """Return whether the value can be a group's choice; only experiments can be chosen together."""
    return isinstance(value, str | QuotedString) or (group == "experiment" and isinstance(value, list))


def refuse_sweep(override: Override, multirun: bool) -> None:
    """Refuse several values where one is wanted."""
    if not override.is_sweep_override():
        return
    option, value = split(str(override.input_line))
    if override.is_hydra_override():
        raise ConfigError(option, value, "Hydra's own options take one value")
    if not multirun:
        hint = ""
        if "," in value and _takes_text(option):
            quoted = shlex.quote(f'{option}="{value}"')
            hint = f"; or, if the comma belongs to it, quote it: {quoted}"
        raise ConfigError(option, value, f"several values need a sweep: add -m{hint}")
    if not override.is_discrete_sweep():
        raise ConfigError(option, value, "is no list of values; write one, such as 1,2")
    swept = list(itertools.islice(override.sweep_string_iterator(), MAX_CELLS + 1))
    if len(swept) > MAX_CELLS:
        raise ConfigError(option, value, f"more than {MAX_CELLS} values; sweep over fewer")
    if not swept:
        raise ConfigError(option, value, "gives no value at all")
    if len(set(swept)) < len(swept):
        raise ConfigError(option, value, "the same value twice would give two runs one folder")


def refuse_unknown(config: DictConfig, schema: object, prefix: str = "") -> None:
    """Refuse keys that are no fields of the schema; ``+key=value`` brings them past Hydra."""
    for key in map(str, config):
        if not hasattr(schema, key):
            raise ConfigError(f"{prefix}{key}", config[key], _no_such_option(f"{prefix}{key}"))
        if is_dataclass(field := getattr(schema, key)):
            refuse_unknown(config[key], field, f"{prefix}{key}.")


def explain(error: Exception, override: str, choices: Choices) -> ConfigError:
    """Explain why this override, the first without which composing works, cannot be composed.

    `choices` leads from a group's name to its options. The override is as it was handed to Hydra; it is empty
    if the configuration fails without any.
    """
    option, value = split(override) if override else ("configuration", "")
    if isinstance(error, ConfigError):
        if error.option in _by_name():
            return error  # a number out of bounds, perhaps set by an experiment
        return ConfigError(option, value, error.expected.removeprefix(f"{override} ")) if override else error
    message = str(error)
    if any(text in message for text in _ALREADY_THERE):
        return ConfigError(option, value, f"exists already; leave out the +: {override.lstrip('+')}")
    return ConfigError(option, value, _reason(error, message, option.lstrip("+"), choices))


def _reason(error: Exception, message: str, option: str, choices: Choices) -> str:
    if option in GROUPS and type(error) is ValueError:
        return f"no such value; {_what_works(option, choices)}"
    if match := _NO_CHOICE.search(message):
        inner = "" if match[1] == option else f"it asks for {match[1]}={match[2]}: "
        more = _OTHER_MODELS if match[1] == "workload" else ""
        return f"{inner}no such value; choose one of {', '.join(match[3].split())}{more}"
    cause = error.__cause__ or error
    text = str(cause)
    if isinstance(cause, YAMLError):
        return f"it cannot be read: {text}"
    key = match[1] if (match := re.search(r"full_key: (\S+)", text)) else option
    inner = "" if option in (key, key.partition(".")[0]) or "." in option else f"it sets {key}: "
    if _NO_KEY.search(f"{message}\n{text}"):
        return f"{inner}{_no_such_option(key if inner else option)}"
    lines = [line for line in text.splitlines() if not line.endswith("raised while composing config:")]
    detail = _IN_INTERPOLATION.sub("", lines[0]).rstrip(".") if lines else "Hydra cannot take it"
    if isinstance(cause, _WRONG_TYPE) or "ValidationError raised" in text:
        detail = _must_be(key) or detail
    return f"{inner}{detail}"


def _must_be(option: str) -> str:
    """Say what a known option takes; empty for what is none."""
    if any(name.startswith(f"{option}.") for name in _by_name()):
        return f"is a group of options; {_write_value(option)}"
    known = _by_name().get(option)
    return f"must be {known.wanted}; {_write_value(option)}" if known else ""


@functools.cache
def _by_name() -> dict[str, Option]:
    """Return every option by its dotted name."""
    return {known.name: known for known in options()}


def _takes_text(option: str) -> bool:
    known = _by_name().get(option)
    return known is not None and known.kind in (str, Any)


def _what_works(key: str, choices: Choices) -> str:
    if key in GROUPS:
        return f"choose one of {', '.join(choices(key))}"
    return _write_value(key) if key in _by_name() else "write option=value"


def _write_value(option: str) -> str:
    """Show how to write this option, by an example."""
    for known in options():
        if known.name == option or known.name.startswith(f"{option}."):
            return f"write for example {known.name}={known.default_text}"
    return f"write {option}=value"


def _no_such_option(option: str) -> str:
    if option.startswith("hydra."):
        return "Hydra has no such option; --cfg hydra lists them"
    wanted = option.lstrip("+~").lower()
    if wanted in NO_LONGER:
        return f"no such option any more: {NO_LONGER[wanted]}; leave it out"
    names = [*_by_name(), *(() if "." in wanted else GROUPS)]
    same_end = [name for name in names if name.rpartition(".")[2] == wanted]
    if close := same_end or difflib.get_close_matches(wanted, names, n=1, cutoff=_CLOSE):
        return f"no such option; did you mean {close[0]}?"
    group, _, own = wanted.rpartition(".")
    beside = [name.removeprefix(f"{group}.") for name in names if group and name.startswith(f"{group}.")]
    if not beside:
        return "no such option; --help lists them all"
    factory = f"; what your own factory takes is workload.options.{own}" if group == "workload" else ""
    return f"no such option; {group} has {', '.join(beside)}{factory}"
