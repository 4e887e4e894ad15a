"""What is known of each option, read from the schema's fields: type, bounds, default and text."""

import ast
import inspect
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any

_UNITS = {"s": " of seconds", "min": " of minutes"}  # by the last word of an option's name
_KINDS = {bool: "true or false", str: "a text", Any: "a text or a list"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One settable field: its dotted name, its text, and what it takes.

    Attributes:
        kind: The type, without None; `Any` for a text or a list, which Hydra cannot check.
        low: The smallest number; other types have no bounds.
        zero_is_off: Whether 0 is taken, too.
        word: A word that is taken, too.
    """

    name: str
    kind: Any
    default: object
    description: str
    low: float | None = None
    high: float | None = None
    zero_is_off: bool = False
    word: str | None = None

    @property
    def is_number(self) -> bool:
        return self.kind in (int, float)

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
        if not self.is_number:
            members = getattr(self.kind, "__members__", ())
            return f"one of {', '.join(members)}" if members else _KINDS.get(self.kind, "a mapping")
        unit = _UNITS.get(self.name.rpartition("_")[2], "")
        number = "a whole number" if self.kind is int else f"a number{unit}"
        number = f"{self.word} or {number}" if self.word else number
        number = f"0 (off) or {number}" if self.zero_is_off else number
        if self.high is None:
            return f"{number} of at least {self.low}"
        return f"{number} from {self.low} to {self.high}"

    def allows(self, value: Any) -> bool:
        """Tell whether a number is within the bounds; other types are Hydra's to check."""
        if not self.is_number or value == self.word or (self.zero_is_off and value == 0):
            return True
        if self.kind is int and type(value) is not int:  # with a word the schema says Any
            return False
        # What is not a number compares as false.
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def number(default: object, **bounds: Any) -> Any:
    """Return a dataclass field for an option that takes numbers, with the bounds that `Option` has."""
    return field(default=default, metadata=bounds)


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
        yield Option(
            name=f"{prefix}{each.name}",
            kind=int if "word" in each.metadata else kind,
            default=each.default if each.default_factory is MISSING else each.default_factory(),
            description=texts[each.name],
            **each.metadata,
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
