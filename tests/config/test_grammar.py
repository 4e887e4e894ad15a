"""What is quoted comes back from Hydra's own parser."""

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from mps_experiments.config.grammar import quoted


@given(st.text(alphabet="ab \\'\"[]{},=$~", max_size=12))
def test_a_quoted_text_is_read_back(text: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"workload.input={quoted(text)}"])
    assert getattr(override.value(), "text", override.value()) == text
