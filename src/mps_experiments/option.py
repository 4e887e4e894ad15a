"""What is known of each option, read from the schema's fields: type, bounds, default and text."""

import ast
import inspect
import typing
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import Any

from mps_experiments.errors import ConfigError

_UNITS = {"s": " of seconds", "min": " of minutes"}  # by the last word of an option's name
_KINDS = {bool: "true or false", str: "a text", Any: "a text or a list"}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The numbers that an option takes, and what it takes beside them.

    Attributes:
        low: The smallest number.
        high: The largest number.
        above: A limit that is too small itself.
        below: A limit that is too large itself.
        zero_is_off: Whether 0 is taken, too.
        word: A word that is taken, too.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    zero_is_off: bool = False
    word: str | None = None

    def hold(self, value: Any, kind: type) -> bool:
        """Tell whether a value is within."""
        if value == self.word or (self.zero_is_off and value == 0):
            return True
        if kind is int and type(value) is not int:  # where the schema says Any, Hydra has not checked it
            return False
        return (  # what is not a number compares as false
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    def words(self, kind: type, unit: str) -> str:
        """Say it, as in ``must be ...``."""
        also = f"{self.word} or " if self.word else "0 (off) or " if self.zero_is_off else ""
        what = "a whole number" if kind is int else f"a number{unit}"
        if self.above is not None:
            return f"{also}{what} above {self.above}, at most {self.high}"
        if self.below is not None:
            return f"{also}{what} from {self.low} to below {self.below}"
        if self.high is not None:
            return f"{also}{what} from {self.low} to {self.high}"
        return f"{also}{what} of at least {self.low}"


def number(default: object, **bounds: Any) -> Any:
    """Return a dataclass field for an option that takes numbers.

    Args:
        default: Its value where none is given.
        bounds: As `Bounds` has them.
    """
    return field(default=default, metadata={"bounds": Bounds(**bounds)})


@dataclass(frozen=True, kw_only=True)
class Option:
    """One settable field.

    Attributes:
        name: Dotted, as it is typed.
        kind: The type, without None; `Any` for a text or a list, which Hydra cannot check.
        default: As the schema has it.
        description: The text under the field.
        bounds: Of a number.
    """

    name: str
    kind: Any
    default: object
    description: str
    bounds: Bounds | None

    @property
    def default_text(self) -> str:
        """Return the default as it is typed."""
        if self.default is None:
            return "null"
        if isinstance(self.default, Enum):
            return self.default.name
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    @property
    def wanted(self) -> str:
        """Say which values it takes, as in ``must be ...``."""
        if self.bounds is not None:
            return self.bounds.words(self.kind, _UNITS.get(self.name.rpartition("_")[2], ""))
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return f"one of {', '.join(self.kind.__members__)}"
        return _KINDS.get(self.kind, "a mapping")


def options_of(schema: type, prefix: str = "") -> Iterator[Option]:
    """Yield every option of a schema, those of its groups in place, in source order."""
    texts, kinds = _texts_under_fields(schema), typing.get_type_hints(schema)
    for each in fields(schema):
        kind = kinds[each.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)  # noqa: S101 - not an instance of one
            yield from options_of(kind, f"{prefix}{each.name}.")
            continue
        if NoneType in typing.get_args(kind):
            kind = typing.get_args(kind)[0]
        bounds = each.metadata.get("bounds")
        yield Option(
            name=f"{prefix}{each.name}",
            kind=int if bounds and kind is Any else kind,
            default=each.default if each.default_factory is MISSING else each.default_factory(),
            description=texts[each.name],
            bounds=bounds,
        )


def _texts_under_fields(schema: type) -> dict[str, str]:
    """Map each field's name to the string literal under it."""
    (found,) = ast.parse(inspect.getsource(schema)).body
    assert isinstance(found, ast.ClassDef)  # noqa: S101 - inspect.getsource of a class
    texts: dict[str, str] = {}
    for statement, following in zip(found.body, found.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = " ".join(text.split())
    return texts


def check_bounds(config: object, options: Iterable[Option]) -> None:
    """Refuse numbers out of bounds.

    Raises:
        ConfigError: With the first of them.
    """
    for each in options:
        value = attrgetter(each.name)(config)
        if each.bounds is not None and not each.bounds.hold(value, each.kind):
            raise ConfigError(each.name, value, f"must be {each.wanted}")
