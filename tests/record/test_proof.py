"""What a look at the GPU says by itself."""

import pytest

from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.proof import ForeignDaemon, Observation

DAEMON = ForeignDaemon(pid=9, pipe_dir="/x", client_pids=(21, 90))


@pytest.mark.parametrize(
    ("served", "expected"), [(None, True), (("GPU-a",), True), (("GPU-b",), False), ((), False)]
)
def test_a_daemon_may_serve_a_gpu_unless_it_says_otherwise(
    served: tuple[str, ...] | None, expected: bool
) -> None:
    daemon = ForeignDaemon(pid=None, pipe_dir=None, client_pids=None, gpu_uuids=served)
    assert daemon.may_serve("GPU-a") is expected


def test_descendants_count_as_on_the_gpu_wherever_they_are_listed() -> None:
    seen = Observation(
        from_ns=1,
        to_ns=2,
        server_status={},
        client_pids=(20, 91),
        nvml_mps_pids=(22,),
        foreign_daemons=(DAEMON, ForeignDaemon(pid=8, pipe_dir=None, client_pids=None)),
        gpu_processes=(GpuProcess(pid=23, memory_bytes=None), GpuProcess(pid=92, memory_bytes=1)),
        descendant_pids=(20, 21, 22, 23, 24),
    )
    assert seen.descendants_on_gpu() == {20, 21, 22, 23}
