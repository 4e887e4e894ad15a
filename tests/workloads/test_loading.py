"""How a model is called, and how its output is shown."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from mps_experiments.workloads.loading import (
    Workload,
    bind,
    describe_model,
    describe_torch,
    hash_weights,
)

CPU = torch.device("cpu")


@dataclass
class Output:
    logits: torch.Tensor


def called(*inputs: object, times: int = 1) -> list[tuple[tuple[object, ...], dict[str, object]]]:
    """Return arguments and keywords of each call of a model that is bound to these inputs."""
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def model(*arguments: object, **keywords: object) -> None:
        calls.append((arguments, keywords))

    forward = bind(model, inputs).forward
    for _ in range(times):
        forward()
    return calls


def test_a_mapping_is_passed_as_keywords_a_tuple_as_arguments_anything_else_as_one() -> None:
    assert called({"input_ids": 1, "mask": 2}) == [((), {"input_ids": 1, "mask": 2})]
    assert called((1, 2)) == [((1, 2), {})]
    for value in (3, [1, 2], "text", None):
        assert called(value) == [((value,), {})]


def test_several_inputs_take_turns() -> None:
    assert [arguments for arguments, _ in called(1, 2, 3, times=5)] == [(1,), (2,), (3,), (1,), (2,)]


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (torch.zeros(2, 3), "(2, 3)"),
        ([{"boxes": torch.zeros(5, 4)}], "boxes (5, 4)"),
        ({"out": torch.zeros(1, 21), "aux": torch.zeros(1)}, "out (1, 21)"),
        ((torch.zeros(1), torch.zeros(2)), "(1,)"),
        ([], "list"),
        (Output(torch.zeros(2)), "logits (2,)"),
        (Output, "type"),
        (torch.eye(2).to_sparse(), "(2, 2)"),
        (
            torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
            "nested (2,) (3,)",
        ),
        ({"x" * 1000: torch.zeros(1)}, "x" * 200),
        (None, "NoneType"),
    ],
)
def test_the_shape_of_an_output_is_what_a_person_looks_for(output: object, shape: str) -> None:
    assert Workload.shape_of(output) == shape


def test_a_workload_without_a_state_dict_has_no_digest() -> None:
    assert hash_weights(bind(len, ["text"])).result(10) is None


@pytest.mark.parametrize("other", [{"w": torch.ones(2)}, {"v": torch.zeros(2)}, {"w": torch.zeros(2, 1)}])
def test_the_digest_depends_on_name_shape_and_value(other: dict[str, torch.Tensor]) -> None:
    assert digest_of({"w": torch.zeros(2)}) != digest_of(other)
    assert digest_of({"w": torch.zeros(2)}) == digest_of({"w": torch.zeros(2), "extra": "no tensor"})


def digest_of(state: dict[str, Any]) -> str | None:
    class Model:
        def state_dict(self) -> dict[str, Any]:
            return state

    return hash_weights(Workload(model=Model(), forward=lambda: None, forward_first=lambda: None)).result(10)


def test_a_module_tells_its_norm_layers_and_types() -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.LayerNorm(2), nn.Linear(2, 2).half())
    workload = replace(bind(module, [1]), loaded="left out epoch")
    assert describe_model(workload) == {
        "norm_layer": "BatchNorm2d, LayerNorm",
        "parameters": "float16, float32",
        "weights_read": "left out epoch",
    }
    assert describe_model(bind(nn.ReLU(), [1])) == {"norm_layer": "none", "parameters": "none"}
    assert describe_model(bind(len, ["text"])) == {}


def test_a_module_that_cannot_be_described_has_no_facts() -> None:
    class Hostile(nn.Module):
        def modules(self, remove_duplicate: bool = True) -> Iterator[nn.Module]:  # noqa: ARG002
            raise RuntimeError("not today")

    assert describe_model(bind(Hostile(), [1])) == {}


def test_torch_tells_its_version_and_threads() -> None:
    facts = describe_torch(CPU)
    assert facts["torch"] == torch.__version__
    assert facts["device"] == "cpu"
    assert "gpu" not in facts
