"""What a factory's code imports from installed packages."""

import sys
from pathlib import Path

import pytest

from mps_experiments.workloads.imports import installed_imports
from tests.conftest import CHECKOUT

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "near.py").write_text("from omegaconf import *\nfrom . import far\nimport scipy.stats\n")
    return tmp_path


def test_packages_of_the_module_its_own_modules_and_the_factory_are_named(folder: Path) -> None:
    assert installed_imports("model:build", folder) == (
        "numpy",
        "PIL.Image",
        "yaml",
        "rich.print",
        "pytest",
        "pydantic.BaseModel",
        "psutil",
        "omegaconf",
        "scipy.stats",
    )


def test_reading_imports_nothing(folder: Path) -> None:
    installed_imports("model:build", folder)
    assert not {"model", "near"} & set(sys.modules)


def test_an_example_that_imports_in_its_factory_is_preloaded_if_that_is_installed(tmp_path: Path) -> None:
    found = installed_imports("examples.huggingface_bert:build", CHECKOUT)
    assert found in ((), ("transformers.BertConfig", "transformers.BertModel"))


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


@pytest.mark.parametrize("module", ["itertools", "sys"])
def test_a_module_without_a_file_names_nothing(module: str, tmp_path: Path) -> None:
    assert installed_imports(f"{module}:build", tmp_path) == ()


def test_what_is_no_python_is_left_to_the_check_of_the_factory(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import numpy\ndef build(:\n")
    assert installed_imports("broken:build", tmp_path) == ()
