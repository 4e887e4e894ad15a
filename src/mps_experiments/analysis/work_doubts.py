"""What is doubtful of the work behind numbers, for the sentence that tells the numbers; pure."""

from collections.abc import Sequence

from mps_experiments.record.measurement import Measurement

_DOUBTS = {
    "gpu_work": "GPU work not proved",
    "descendants": "with more processes on the GPU than procs",
    "little_gpu_work": "with work that hardly touches the GPU",
}


def work_doubts(measurements: Sequence[Measurement]) -> list[str]:
    """Return each doubt about the work of these runs once, as parts of a sentence."""
    found = {finding.check for m in measurements for finding in m.findings}
    return [words for check, words in _DOUBTS.items() if check in found]
