"""The first line of a docstring is an imperative verb with its object; ruff's D401 leaves out properties."""

import ast
from collections.abc import Iterator

from tests.conftest import SRC

FRAGMENTS = {"What", "Whether", "The", "How", "Where", "Why", "Of", "A", "An", "All", "Each", "Every"}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(SRC)}:{node.lineno} {node.name}", node


def test_no_function_is_described_by_a_fragment() -> None:
    words = {place: (ast.get_docstring(node) or "-").split()[0] for place, node in functions()}
    assert {place: word for place, word in words.items() if word.strip(",.:;") in FRAGMENTS} == {}
