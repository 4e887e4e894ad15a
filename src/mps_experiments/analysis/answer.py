"""Say what the runs of a panel show: the decision, what to try next, what is open. Pure."""

from dataclasses import dataclass

from mps_experiments.analysis.certainty import certainty_lines
from mps_experiments.analysis.decision import cell_text, costs_text, decide, gaps
from mps_experiments.analysis.panels import ARMS, Panel


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a panel: the decision in one sentence, and the sentences after it."""

    headline: str
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return all of it: the headline, then a line for each sentence after it."""
        return "\n".join((self.headline, *(f"- {each}" for each in self.details)))


def answer(panel: Panel) -> Answer:
    """Decide if there is something to choose from; else say what there is, and what is missing."""
    if found := decide(panel):
        return Answer(headline=found.headline, details=tuple(filter(None, (found.next_step, *found.details))))
    arms = {mps: panel.arm(mps) for mps in ARMS}
    cells = [
        f"{cell_text(panel, each)}; {costs_text(each)}" for arm in arms.values() for each in arm.values()
    ]
    headline = f"Nothing to choose from: {'; '.join(cells)}."
    if not cells:
        headline = "No VALID run: nothing can be said about packing."
    return Answer(headline=headline, details=(*gaps(panel), *certainty_lines(panel, arms)))
