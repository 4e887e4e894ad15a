"""Which variables of the shell reach the processes of a run."""

from mps_experiments.machine.cell_variables import describe, not_passed_on, passed_on, take_on

SHELL = {
    "PATH": "/bin",
    "CUDA_VISIBLE_DEVICES": "0",
    "CUDA_MPS_PIPE_DIRECTORY": "/theirs",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "10",
    "CUDA_DEVICE_MAX_CONNECTIONS": "1",
}


def test_the_cells_own_variables_come_from_the_cell_alone() -> None:
    assert passed_on(SHELL) == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}
    own = {"CUDA_MPS_PIPE_DIRECTORY": "/ours", "CUDA_VISIBLE_DEVICES": "GPU-1"}
    assert passed_on(SHELL, own) == {"PATH": "/bin"} | own


def test_a_process_takes_on_what_is_passed_on() -> None:
    environment = dict(SHELL)
    take_on(environment, {"CUDA_MPS_PIPE_DIRECTORY": "/ours"})
    assert environment == passed_on(SHELL, {"CUDA_MPS_PIPE_DIRECTORY": "/ours"})


def test_one_line_names_what_is_not_passed_on() -> None:
    assert describe({}) == ""
    assert describe({"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "10"}) == (
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=10 of the shell is not passed on: each run sets its own"
    )
    assert describe(not_passed_on(SHELL)).startswith("CUDA_DEVICE_MAX_CONNECTIONS=1, CUDA_MPS_ACTIVE_")
    assert " of the shell are not passed on" in describe(not_passed_on(SHELL))
    assert describe({"CUDA_MPS_A": "\x1b[31m\n\udcff"}).startswith(r"CUDA_MPS_A='\x1b[31m\n\udcff' of")
