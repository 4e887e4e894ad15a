"""The answer of a panel: the decision and what follows it, or what there is without one."""

from mps_experiments.analysis.answer import answer
from mps_experiments.analysis.decision import decide
from tests.records import INVALID
from tests.report_panels import arm, panel_of


def test_the_decision_comes_first_then_what_to_try_next() -> None:
    panel = panel_of(*arm("on", {1: 1.0, 2: 1.0}))
    found, decision = answer(panel), decide(panel)
    assert decision is not None
    assert (found.headline, *found.details) == (decision.headline, decision.next_step, *decision.details)
    assert found.text == "\n- ".join((found.headline, *found.details))
    assert answer(panel_of(*arm("on", {1: 1.0, 2: 1.9}))).details[0] != ""  # without a next step


def test_a_single_cell_is_told_as_it_is() -> None:
    found = answer(panel_of(*arm("off", {2: 1.0})))
    assert found.headline.startswith(
        "Nothing to choose from: 2 replicas without MPS: 20.0 images/s; p50 100.0"
    )
    assert any("mps=on is not among these runs" in text for text in found.details)


def test_without_a_valid_run_there_is_no_number() -> None:
    found = answer(panel_of(*arm("off", {1: 1.0, 2: 1.0}, verdict=INVALID)))
    assert not any(character.isdigit() for character in found.headline)
    assert "mps=off has no VALID run of several processes (INVALID: " in found.text
