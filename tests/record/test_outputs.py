"""Outputs of two replicas compared, against differences computed by hand."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest

from mps_experiments.record.outputs import (
    OutputDifference,
    OutputDigest,
    TensorDigest,
    compare_outputs,
    nonfinite_text,
)

NAN, INF = math.nan, math.inf


def tensor(*values: float, name: str = "boxes", dtype: str = "float32") -> TensorDigest:
    return TensorDigest(
        name=name,
        shape=(len(values),),
        dtype=dtype,
        hashed=len(values),
        sha256=hashlib.sha256(np.array(values).tobytes()).hexdigest(),
        values=tuple(values),
    )


def compare(
    reference: OutputDigest | TensorDigest,
    other: OutputDigest | TensorDigest,
    rtol: float = 0.1,
    atol: float = 0.01,
) -> OutputDifference:
    one, two = ((each,) if isinstance(each, TensorDigest) else each for each in (reference, other))
    return compare_outputs(one, two, rtol, atol)


def test_equal_outputs_are_identical_and_rest_on_all_hashed_elements() -> None:
    output = (tensor(1, 2, 3), tensor(4, name="scores"))
    assert compare(output, output) == OutputDifference(
        identical=True, largest=0.0, excess=0.0, where="", compared=4
    )


def test_equal_outputs_with_nan_that_came_through_a_pipe_are_identical() -> None:
    found = compare(tensor(1, NAN), tensor(1, float("nan")))
    assert found.identical
    assert found.within_tolerance
    assert (found.where, found.compared) == ("", 2)


def test_a_difference_is_given_in_numbers_and_in_units_of_what_is_allowed() -> None:
    found = compare(tensor(1.0, 2.0), tensor(1.0, 2.105))
    assert not found.identical
    assert found.largest == pytest.approx(0.105)
    assert found.excess == pytest.approx(0.105 / (0.01 + 0.1 * 2.0))
    assert found.within_tolerance
    assert (found.where, found.compared) == ("boxes", 2)


def test_beyond_what_is_allowed_is_beyond() -> None:
    found = compare(tensor(0.0), tensor(0.011))
    assert not found.within_tolerance
    assert found.excess == pytest.approx(1.1)


def test_what_is_allowed_depends_on_the_reference_not_on_the_other() -> None:
    assert compare(tensor(1.0), tensor(0.0), rtol=1.0, atol=0.0).within_tolerance
    assert not compare(tensor(0.0), tensor(1.0), rtol=1.0, atol=0.0).within_tolerance


def test_the_tensor_with_the_largest_excess_is_named_even_if_another_has_the_largest_difference() -> None:
    reference = (tensor(1000.0, name="boxes"), tensor(0.1, name="scores"), tensor(5, name="labels"))
    other = (tensor(1050.0, name="boxes"), tensor(0.2, name="scores"), tensor(5, name="labels"))
    found = compare(reference, other)
    assert (found.where, found.largest) == ("scores", 50.0)
    assert found.excess == pytest.approx(0.1 / 0.02)
    assert found.compared == 3


def test_equal_hashes_are_believed_and_count_all_their_elements() -> None:
    same = replace(tensor(1, name="labels"), hashed=1_000)
    found = compare((same, tensor(1.0)), (same, tensor(1.05)))
    assert found.compared == 1_001
    assert not found.identical


def test_a_difference_outside_the_values_is_not_identical_but_within_tolerance() -> None:
    found = compare(tensor(1, 2), replace(tensor(1, 2), sha256="other"))
    assert not found.identical
    assert found.within_tolerance
    assert (found.where, found.largest) == ("boxes", 0.0)


def test_hashes_over_unequal_numbers_of_elements_prove_nothing() -> None:
    assert not compare(tensor(1), replace(tensor(1), hashed=7)).identical


def test_the_same_bits_of_another_type_are_compared_as_numbers() -> None:
    found = compare(tensor(1.0), tensor(1.0, dtype="float16"))
    assert not found.identical
    assert found.within_tolerance


@pytest.mark.parametrize(
    ("one", "two"), [(NAN, 1.0), (1.0, NAN), (INF, 1.0), (1.0, INF), (INF, -INF), (NAN, INF), (0.0, NAN)]
)
@pytest.mark.parametrize("atol", [0.01, 0.0])
def test_nan_and_infinity_differ_from_everything_else_without_limit(
    one: float, two: float, atol: float
) -> None:
    found = compare(tensor(one, 1.0), tensor(two, 1.0), atol=atol)
    assert (found.largest, found.excess) == (INF, INF)
    assert not found.within_tolerance


def test_equal_infinities_and_equal_nans_do_not_hide_or_add_a_difference() -> None:
    found = compare(tensor(INF, -INF, NAN, 1.0), tensor(INF, -INF, NAN, 1.05))
    assert found.largest == pytest.approx(0.05)
    assert found.within_tolerance


def test_with_nothing_allowed_equal_values_pass_and_unequal_ones_do_not() -> None:
    equal_but_for_the_rest = replace(tensor(0.0), sha256="other")
    assert compare(tensor(0.0), equal_but_for_the_rest, rtol=0.0, atol=0.0).within_tolerance
    assert compare(tensor(0.0), tensor(1e-30), rtol=0.0, atol=0.0).excess == INF


@pytest.mark.parametrize(
    ("other", "where"),
    [
        ((tensor(1, 2, name="scores"),), "boxes (2,) against scores (2,)"),
        ((tensor(1, 2, 3),), "boxes (2,) against boxes (3,)"),
        ((tensor(1, 2), tensor(1)), "1 against 2 tensors"),
        ((), "1 against 0 tensors"),
    ],
)
def test_outputs_of_other_names_or_shapes_do_not_compare_and_say_why(other: OutputDigest, where: str) -> None:
    found = compare(tensor(1, 2), other)
    assert (found.largest, found.excess, found.compared) == (INF, INF, 0)
    assert found.where == where


def test_an_output_that_is_one_tensor_has_a_name_in_words() -> None:
    one, two = tensor(1.0, name=""), tensor(9.0, name="")
    assert compare(one, two).where == "the output"
    assert compare(one, tensor(1.0, 2.0, name="")).where == "the output (1,) against the output (2,)"


def test_values_that_are_no_number_are_counted_by_tensor() -> None:
    output = (
        replace(tensor(NAN, INF, 1.0), nonfinite=2),
        tensor(1.0, name="labels"),
        replace(tensor(NAN, name=""), nonfinite=1),
    )
    assert nonfinite_text(output) == "2 of 3 values in boxes, 1 of 1 values in the output"
    assert nonfinite_text((tensor(1.0),)) == ""


def test_empty_outputs_are_identical() -> None:
    assert compare((), ()).identical
    assert compare(tensor(), tensor()).identical
