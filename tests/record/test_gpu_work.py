"""Which iterations of a traced pass ran on the GPU; times in nanoseconds, by hand."""

import pytest

from mps_experiments.record.gpu_work import GpuWork, traced_work
from mps_experiments.record.overlap import CPU_OPERATOR, KERNEL, MEMCPY, MEMSET
from tests.traces import Span, make_trace

BOUNDS = (100, 200, 300, 400)  # three iterations


@pytest.mark.parametrize(
    ("spans", "launches", "with_work"),
    [
        ([], None, 0),
        ([(110, 120), (210, 220), (310, 320)], None, 3),
        ([(110, 120), (130, 140), (310, 320)], None, 2),
        ([(50, 90), (410, 420)], None, 0),
        ([(100, 400)], None, 3),
        ([(190, 210)], None, 2),
        ([(320, 330)], [(110, 112)], 3),  # launched early, as behind a long one
        ([(310, 320)], [(205, 207)], 2),
        ([(150, 150)], None, 1),
        ([(95, 105)], None, 1),
        ([(395, 405)], None, 1),
    ],
)
def test_an_iteration_has_work_if_an_operation_was_launched_or_ran_in_it(
    spans: list[Span], launches: list[Span] | None, with_work: int
) -> None:
    work = traced_work(make_trace(spans, rank=2, boundaries_ns=BOUNDS, launches=launches))
    assert (work.rank, work.method, work.iterations, work.with_work) == (2, "traced", 3, with_work)
    assert (work.proved, work.refuted) == (with_work == 3, with_work < 3)


@pytest.mark.parametrize(
    ("kind", "name", "with_work", "copies"),
    [
        (KERNEL, "gemm", 3, 0),
        (KERNEL, "cast_HtoD", 3, 0),
        (MEMSET, "Memset (Device)", 3, 0),
        (MEMCPY, "Memcpy DtoD (Device -> Device)", 3, 0),
        (MEMCPY, "Memcpy HtoD (Pageable -> Device)", 0, 3),
        (MEMCPY, "Memcpy DtoH (Device -> Pinned)", 0, 3),
        (CPU_OPERATOR, "aten::mm", 3, 0),
    ],
)
def test_copies_between_host_and_gpu_are_no_work(kind: int, name: str, with_work: int, copies: int) -> None:
    spans = [(110, 120), (210, 220), (310, 320)]
    work = traced_work(make_trace(spans, boundaries_ns=BOUNDS, kinds=[kind] * 3, names=[name]))
    assert (work.with_work, work.copies) == (with_work, copies)


def test_the_busy_share_is_of_the_pass_without_copies_and_unknown_on_the_cpu() -> None:
    spans = [(90, 110), (105, 120), (200, 260), (395, 420)]
    kinds = [KERNEL, KERNEL, MEMCPY, KERNEL]
    names = ["gemm", "gemm", "Memcpy DtoH", "gemm"]
    trace = make_trace(spans, boundaries_ns=BOUNDS, kinds=kinds, names=names)
    assert traced_work(trace).busy_share == pytest.approx((20 + 5) / 300)
    on_cpu = make_trace(spans, boundaries_ns=BOUNDS, kinds=[CPU_OPERATOR] * 4)
    assert traced_work(on_cpu).busy_share is None


def test_operators_that_pytorch_did_not_run_refute_nothing() -> None:
    work = GpuWork(rank=0, method="operators", iterations=3, with_work=0)
    assert not work.proved
    assert not work.refuted
