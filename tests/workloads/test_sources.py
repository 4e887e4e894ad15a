"""What is read of a custom workload's source: what changes its digest, which packages it imports."""

import sys
from pathlib import Path

import pytest

from mps_experiments.workloads.sources import installed_imports, source_sha256
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


@pytest.mark.parametrize("module", ["itertools", "sys"])
def test_a_module_without_a_file_has_no_digest_and_names_nothing(module: str, tmp_path: Path) -> None:
    assert source_sha256(f"{module}:build", tmp_path) is None
    assert installed_imports(f"{module}:build", tmp_path) == ()


def test_where_the_program_was_started_from_does_not_count(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name, text in FILES.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    assert source_sha256("model:build", copy) == source_sha256("model:build", folder)


MODEL = """\
import json, os.path
import torch.nn as nn
from torchvision import models
import numpy as np
import PIL.Image
from near import thing
from mps_experiments.errors import ConfigError
import no_such_package_anywhere
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import hydra
else:
    import yaml
try:
    from rich import print as show
except ImportError:
    import pytest

def build(device, options):
    from pydantic import BaseModel
    with device:
        import psutil

def other():
    import mlflow
"""


def test_packages_of_the_module_its_own_modules_and_the_factory_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "near.py").write_text("from omegaconf import *\nfrom . import far\nimport scipy.stats\n")
    names = "numpy PIL.Image yaml rich.print pytest pydantic.BaseModel psutil omegaconf scipy.stats"
    assert installed_imports("model:build", tmp_path) == tuple(names.split())
    assert not {"model", "near"} & set(sys.modules)


def test_an_installed_factory_names_its_neighbours_but_not_its_own_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "zoo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "build.py").write_text("import numpy\nimport zoo.deep\n")
    (package / "deep.py").write_text("import yaml\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert installed_imports("zoo.build:build", tmp_path / "elsewhere") == ("numpy", "yaml")
