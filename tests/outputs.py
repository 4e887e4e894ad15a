"""Records whose workers kept a digest of their output."""

import hashlib
from dataclasses import replace

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import TensorDigest


def with_output(
    measurement: Measurement, *values: float, shape: tuple[int, ...] | None = None
) -> Measurement:
    """The record, its first worker with an output of these values (and this shape)."""
    digest = TensorDigest(
        name="0.boxes",
        shape=shape or (len(values),),
        dtype="float32",
        hashed=len(values),
        sha256=hashlib.sha256(repr(values).encode()).hexdigest(),
        values=values,
    )
    first, *rest = measurement.workers
    return replace(measurement, workers=(replace(first, output=(digest,)), *rest))


def with_tolerance(measurement: Measurement, rtol: float, atol: float) -> Measurement:
    """The record, configured with another tolerance."""
    validity = {"output_rtol": rtol, "output_atol": atol}
    return replace(measurement, config=measurement.config | {"validity": validity})
