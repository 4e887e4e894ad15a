"""A workload as data."""

import json
import pickle
from dataclasses import asdict

from mps_experiments.record.workload import ImageInput, WorkloadSpec

SPEC = WorkloadSpec(
    kind="torchvision", model="resnet50", inputs=(ImageInput(name="sample", sha256="0"),), options={"a": [1]}
)


def test_a_spec_crosses_to_another_process_unchanged() -> None:
    assert pickle.loads(pickle.dumps(SPEC)) == SPEC  # noqa: S301


def test_a_spec_can_be_written_into_a_record() -> None:
    assert json.loads(json.dumps(asdict(SPEC)))["inputs"] == [
        {"name": "sample", "sha256": "0", "width": None, "height": None, "read_as": ""}
    ]
