"""A custom workload's factory, found without being imported."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.factory import check_factory


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write modules into the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return write


def refused(factory: str | None) -> str:
    with pytest.raises(ConfigError) as caught:
        check_factory(factory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (None, "workload.factory=null: not a factory"),
        ("mine", "workload.factory=mine: not a factory"),
        ("mine:", "workload.factory=mine:: not a factory"),
        ("a:b:c", "workload.factory=a:b:c: not a factory"),
        ("mine:nope", "workload.factory=mine:nope: "),
        ("absent:build", "workload.factory=absent:build: there is no module absent"),
        ("mine.sub:build", "workload.factory=mine.sub:build: there is no module mine.sub"),
        ("bad:build", "workload.factory=bad:build: "),
        ("space.deep:nope", "workload.factory=space.deep:nope: "),
    ],
)
def test_a_factory_that_is_not_there_is_refused(
    modules: Callable[[str, str], None], factory: str | None, reason: str
) -> None:
    modules("mine.py", "def build(device, options): ...\n")
    modules("bad.py", "def build(:\n")
    modules("space/deep.py", "def build(device, options): ...\n")
    assert refused(factory).startswith(reason)


@pytest.mark.parametrize(
    "source", ["def build(d, o): ...", "build = print", "build: object = 1", "from x import *"]
)
@pytest.mark.parametrize("name", ["mine", "package.mine", "package.space.mine"])
def test_a_factory_is_found_without_running_a_line_of_it(
    modules: Callable[[str, str], None], tmp_path: Path, source: str, name: str
) -> None:
    mark = f"open({str(tmp_path / 'marker')!r}, 'w')\n"
    modules("package/__init__.py", mark + "import torch\n")
    modules(f"{name.replace('.', '/')}.py", mark + source)
    assert check_factory(f"{name}:build") == tmp_path
    assert not (tmp_path / "marker").exists()
    assert name.partition(".")[0] not in sys.modules


@pytest.mark.parametrize("factory", ["torch.nn.functional:relu", "sklearn.datasets:load_sample_image"])
def test_a_factory_of_an_installed_package_is_found(factory: str) -> None:
    assert check_factory(factory) == Path.cwd()
