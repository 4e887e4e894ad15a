"""What is recorded of the machine."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from mps_experiments.machine.cgroup import cpu_limit
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.machine.topology import hyperthreads
from mps_experiments.record.disk import digest_of_files
from mps_experiments.record.machine import Gpu
from tests.conftest import SRC, run_python

PRINT_COMMIT = (
    "from mps_experiments.machine.facts import collect_facts\n"
    "from mps_experiments.machine.gpus import FixedProbe\n"
    "facts = collect_facts(FixedProbe(), None)\n"
    "print(facts.git_commit, facts.git_dirty)"
)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit_seen_from(src: Path) -> str:
    return run_python("-c", PRINT_COMMIT, path=[src]).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a repository that holds the program."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SRC, tmp_path / "checkout" / "src", ignore=ignore)
    (tmp_path / "checkout" / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path / "checkout", "init", "-q")
    git(tmp_path / "checkout", "add", ".")
    git(tmp_path / "checkout", "commit", "-qm", "all")
    return tmp_path / "checkout"


def test_facts_are_those_of_this_machine() -> None:
    gpu = Gpu(index=0, uuid="GPU-1", name="H100", memory_total_bytes=1)
    facts = collect_facts(FixedProbe((gpu,)), gpu)
    assert facts.hostname == platform.node()
    assert facts.usable_cores == tuple(sorted(os.sched_getaffinity(0)))
    assert facts.gpu == gpu
    assert facts.cpu
    assert facts.cpu_quota_cores == cpu_limit()
    assert facts.hyperthreads == hyperthreads(facts.usable_cores)
    assert facts.memory_total_bytes > 10**8
    assert {"torch", "torchvision", "hydra-core"} <= set(facts.packages)
    package = SRC / "mps_experiments"
    assert facts.source_sha256 == digest_of_files(package, package.rglob("*.py"))


@pytest.mark.parametrize("edited", [False, True])
def test_the_program_in_a_checkout_tells_its_commit_and_whether_it_was_edited(
    checkout: Path, edited: bool
) -> None:
    if edited:
        (checkout / "src" / "mps_experiments" / "extra.py").write_text("")
    assert commit_seen_from(checkout / "src") == f"{git(checkout, 'rev-parse', 'HEAD')} {edited}"


def test_an_installed_copy_tells_no_commit_even_inside_someones_repository(checkout: Path) -> None:
    installed = checkout / "lib"
    (checkout / ".git" / "info" / "exclude").write_text("lib/\n")
    shutil.copytree(checkout / "src", installed)
    assert commit_seen_from(installed) == "None None"


def test_cores_that_this_program_keeps_off_meanwhile_stay_usable() -> None:
    assert collect_facts(FixedProbe(), None, (5, 3)).usable_cores == (3, 5)


def test_what_the_shell_says_of_mps_is_recorded_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = collect_facts(FixedProbe(), None)
    monkeypatch.setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "10")
    facts = collect_facts(FixedProbe(), None)
    assert facts.environment == before.environment
    assert facts.not_passed_on == before.not_passed_on | {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "10"}
