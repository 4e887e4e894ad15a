"""The tables of the experiment that this program comes from: what people compare theirs with."""

from mps_experiments.report.content import Table

MODEL = "maskrcnn_resnet50_fpn"
_NOTE = (
    "Another machine, one run each; model loading, CUDA start-up and warm-up are inside its times, without "
    "start barrier and without proof that MPS was in use. Compare ratios, not seconds."
)
_OFF = (
    ("50", "5.77", "6.80, 5.69", "1.08"),
    ("100", "11.49", "19.87, 18.49", "1.67"),
    ("200", "23.40", "47.39, 46.01", "1.99"),
    ("400", "45.00", "100.18, 98.80", "2.21"),
)
_ON = (
    ("50", "5.54", "5.64, 5.48", "1.00"),
    ("100", "11.08", "13.73, 13.36", "1.22"),
    ("200", "23.98", "28.45, 27.53", "1.17"),
    ("400", "46.57", "59.85, 59.89", "1.29"),
    ("400, one of two killed", "44.59", "killed, 44.21", "0.99"),
)


def seed_table(mps: str) -> Table:
    """Its table of one arm, seconds per process and ratio, as it was published."""
    return Table(
        title=f"The first experiment · MPS {mps.upper()} · seconds per process",
        header=("times", "1 proc", "2 procs", "ratio"),
        rows={"off": _OFF, "on": _ON}[mps],
        notes=(_NOTE,),
    )
