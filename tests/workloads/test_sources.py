"""Which edits change the digest of a custom workload's source."""

from pathlib import Path

import pytest

from mps_experiments.workloads.sources import source_sha256
from tests.conftest import CHECKOUT

FILES = {
    "model.py": "import torch\nimport near\nfrom parts import layer\n\ndef build(device, options): ...\n",
    "near.py": "import json\n",
    "parts/__init__.py": "",
    "parts/layer.py": "from . import deep\nfrom .. import beyond\n",
    "parts/deep/__init__.py": "from ..sibling import x\n",
    "parts/sibling.py": "x = 1\n",
    "parts/unused.py": "",
    "other.py": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("model.py", True),
        ("near.py", True),
        ("parts/__init__.py", True),
        ("parts/layer.py", True),
        ("parts/deep/__init__.py", True),
        ("parts/sibling.py", True),
        ("parts/unused.py", False),
        ("other.py", False),
    ],
)
def test_an_edit_counts_where_the_factory_would_run_it(folder: Path, name: str, counts: bool) -> None:
    before = source_sha256("model:build", folder)
    assert before == source_sha256("model:build", folder)
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    assert (source_sha256("model:build", folder) != before) == counts


def test_a_module_that_cannot_be_parsed_still_counts(folder: Path) -> None:
    (folder / "near.py").write_text("def")
    before = source_sha256("model:build", folder)
    (folder / "near.py").write_text("class")
    assert source_sha256("model:build", folder) not in (before, None)


def test_of_an_installed_factory_only_its_own_package_is_read(tmp_path: Path) -> None:
    found = source_sha256("mps_experiments.record.disk:write_atomically", tmp_path)
    assert found == source_sha256("mps_experiments.record.disk:write_atomically", CHECKOUT)
    assert found is not None


def test_a_module_without_a_file_has_no_digest(tmp_path: Path) -> None:
    assert source_sha256("sys:exit", tmp_path) is None


def test_where_the_program_was_started_from_does_not_count(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name, text in FILES.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    assert source_sha256("model:build", copy) == source_sha256("model:build", folder)
