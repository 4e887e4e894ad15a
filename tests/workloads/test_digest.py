"""What a model computed, as a digest that fits into a message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mps_experiments.record.outputs import TensorDigest, compare_outputs
from mps_experiments.workers.messages import Computed, encode
from mps_experiments.workloads.digest import digest_output

LARGE = 2**21 + 3  # more elements than are hashed


def only(output: object) -> TensorDigest:
    (digest,) = digest_output(output)
    return digest


def test_every_tensor_of_a_nested_output_has_its_name() -> None:
    class Pair(NamedTuple):
        logits: torch.Tensor
        loss: float

    output = [
        {"boxes": torch.ones(2, 4), "labels": torch.tensor([1, 2]), "text": "cat"},
        (np.zeros(3), {"deep": [torch.ones(1), None]}),
        Pair(torch.ones(1), 0.5),
    ]
    found = {digest.name: digest for digest in digest_output(output)}
    assert list(found) == ["0.boxes", "0.labels", "1.0", "1.1.deep.0", "2.0", "2.1"]
    assert (found["0.boxes"].shape, found["0.boxes"].dtype, found["0.boxes"].hashed) == ((2, 4), "float32", 8)
    assert found["0.labels"].values == (1.0, 2.0)
    assert found["1.0"].dtype == "float64"
    assert found["2.1"].values == (0.5,)


NESTED = [torch.ones(2), torch.ones(3)]
SPARSE = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
SPARSE_PARTS = {"indices": (0.0, 1.0, 1.0, 0.0), "values": (2.0, 3.0)}


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: torch.nested.nested_tensor(NESTED), {"0": (1.0, 1.0), "1": (1.0, 1.0, 1.0)}),
        (
            lambda: torch.nested.nested_tensor(NESTED, layout=torch.jagged),
            {"0": (1.0, 1.0), "1": (1.0, 1.0, 1.0)},
        ),
        *((make, SPARSE_PARTS) for make in (SPARSE.to_sparse, SPARSE.to_sparse_csr, SPARSE.to_sparse_csc)),
        (lambda: torch.quantize_per_tensor(torch.tensor([0.5, 1.0]), 0.5, 0, torch.qint8), {"": (0.5, 1.0)}),
    ],
    ids=["nested", "jagged", "coo", "csr", "csc", "quantized"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # all of these are prototypes in PyTorch
def test_a_tensor_in_several_pieces_is_digested_piece_by_piece(
    make: Callable[[], torch.Tensor], parts: dict[str, tuple[float, ...]]
) -> None:
    assert {digest.name: digest.values for digest in digest_output(make())} == parts


def test_a_dataclass_is_digested_by_its_fields() -> None:
    @dataclass
    class Output:
        logits: torch.Tensor
        hidden: list[torch.Tensor] | None = None

    found = digest_output([Output(torch.ones(1), [torch.zeros(2)]), Output, Output(torch.ones(2))])
    assert [digest.name for digest in found] == ["0.logits", "0.hidden.0", "2.logits"]


def test_what_cannot_be_read_is_an_error_and_not_a_wrong_digest() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        digest_output(torch.ones(2, device="meta"))


@pytest.mark.parametrize(
    "output",
    [None, "text", {}, [None, {"a": ()}], object(), np.array(["a"]), torch.ones(0, 4), np.empty((3, 0))],
)
def test_what_has_no_numbers_has_no_digest(output: object) -> None:
    assert digest_output(output) == ()


@pytest.mark.parametrize(
    ("tensor", "dtype", "values"),
    [
        (torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "bfloat16", (1.5, -2.0)),
        (torch.tensor([1.5, -2.0], dtype=torch.float16), "float16", (1.5, -2.0)),
        (torch.tensor([0.5], dtype=torch.float8_e4m3fn), "float8_e4m3fn", (0.5,)),
        (torch.tensor([0.1], dtype=torch.float64), "float64", (0.1,)),
        (torch.tensor([True, False]), "bool", (1.0, 0.0)),
        (torch.tensor([-1, 2**29]), "int64", (-1.0, float(2**29))),
        (torch.tensor([255], dtype=torch.uint8), "uint8", (255.0,)),
        (torch.tensor([3 + 4j]), "complex64", (5.0,)),
        (torch.tensor([3 + 4j]).conj(), "complex64", (5.0,)),
        (torch.tensor([3 + 4j]).conj().imag, "float32", (-4.0,)),
        (torch.tensor(7.0), "float32", (7.0,)),
        (torch.ones(1, requires_grad=True), "float32", (1.0,)),
        (np.array([True]), "bool", (1.0,)),
        (np.array([1, 2], dtype=">i4"), ">i4", (1.0, 2.0)),
        (np.float32(2), "float32", (2.0,)),
        (np.float64(2), "float64", (2.0,)),
        (np.int8(-2), "int8", (-2.0,)),
        (True, "bool", (1.0,)),
        (3, "int", (3.0,)),
        (2**70, "int", (1.18059162e21,)),
        (0.25, "float", (0.25,)),
    ],
)
def test_a_digest_keeps_the_values_of_every_type(tensor: Any, dtype: str, values: tuple[float, ...]) -> None:
    digest = only(tensor)
    assert (digest.dtype, digest.values) == (dtype, values)
    assert digest == only(tensor)


@pytest.mark.parametrize("size", [2**20, LARGE])
def test_large_tensors_give_the_same_digest_twice(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    whole = torch.rand(size, generator=generator)
    digest = only(whole)
    assert digest == only(whole.clone()) == only(whole.numpy())
    assert digest.shape == (size,)
    assert size / 3 < digest.hashed <= 2**20
    assert 128 <= len(digest.values) <= 256
    assert digest.values[0] == float(f"{whole[0].item():.9g}")


def test_a_view_has_the_digest_of_its_copy() -> None:
    matrix = torch.arange(24.0).reshape(4, 6)
    for view in (matrix.t(), matrix[::2, 1:], matrix.flip(0), matrix[0].expand(5, 6)):
        assert only(view) == only(view.contiguous()) == only(view.numpy())
    large = torch.arange(2.0 * LARGE).reshape(2, LARGE).t()
    assert only(large) == only(large.contiguous())


def test_one_bit_that_differs_is_seen() -> None:
    one = torch.zeros(1000, 1000)
    other = one.clone()
    other[-1, -1] = torch.finfo(torch.float32).smallest_normal
    difference = compare_outputs(digest_output(one), digest_output(other), 0.0, 0.0)
    assert not difference.identical
    assert only(torch.zeros(1)).sha256 != only(-torch.zeros(1)).sha256


def test_outputs_with_nan_equal_themselves() -> None:
    output = {"a": torch.tensor([float("nan"), 1.0]), "b": torch.tensor([float("inf")])}
    difference = compare_outputs(digest_output(output), digest_output(output), 1e-3, 1e-4)
    assert (difference.identical, difference.largest) == (True, 0.0)
    without = {"a": torch.tensor([0.0, 1.0]), "b": torch.tensor([float("inf")])}
    assert compare_outputs(digest_output(output), digest_output(without), 1e-3, 1e-4).largest == float("inf")


@pytest.mark.parametrize("count", [1, 2, 31, 32, 500])
def test_a_digest_fits_into_one_message(count: int) -> None:
    values = -torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 1e-10
    output = {f"decoder.layers.{number}.hidden_states": values for number in range(count)}
    digests = digest_output(output)
    assert len(digests) == min(count, 32)
    assert len(encode(Computed(output=digests))) < 16_000


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("output", "nonfinite"),
    [
        (torch.tensor([1.0, NAN, INF, -INF]), 3),
        (torch.tensor([1.0, NAN], dtype=torch.float16), 1),
        (torch.tensor([1.0, NAN], dtype=torch.bfloat16), 1),
        (torch.tensor([1.0, NAN]).to(torch.float8_e4m3fn), 1),
        (torch.tensor([1.0, complex(0.0, NAN)]), 1),
        (torch.tensor([1, 2]), 0),
        (torch.tensor([True]), 0),
        (np.array([1.0, NAN]), 1),
        (np.array([1, 2]), 0),
        (NAN, 1),
        (2.0, 0),
    ],
)
def test_values_that_are_no_number_are_counted(output: object, nonfinite: int) -> None:
    assert only(output).nonfinite == nonfinite


def test_a_value_that_is_no_number_is_counted_where_only_some_are_hashed() -> None:
    tensor = torch.zeros(LARGE)
    tensor[1] = NAN
    digest = only(tensor)
    assert digest.hashed < LARGE
    assert digest.nonfinite == 1
