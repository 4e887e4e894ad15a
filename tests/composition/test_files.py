"""Files that are looked at before Hydra reads them."""

from pathlib import Path

import pytest

from mps_experiments.composition import parse
from mps_experiments.composition.files import refuse_packages
from mps_experiments.config import conf_dir
from mps_experiments.errors import ConfigError

SMALL = "# @package _global_\n"


def times_of(folder: Path, text: str) -> int:
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "mine.yaml").write_text(SMALL + text)
    (cell,) = parse([f"--config-dir={folder}", "experiment=mine"]).cells
    return int(cell.times)


def test_a_file_with_a_few_aliases_is_read_as_ever(tmp_path: Path) -> None:
    assert (
        times_of(tmp_path, "times: &n 7\nprocs: *n\nworkload: {options: {a: &a [1, 2], b: *a, c: [*a, *a]}}")
        == 7
    )


@pytest.mark.parametrize(("count", "small"), [(19_000, True), (21_000, False)])
def test_a_file_may_have_twenty_thousand_values(tmp_path: Path, count: int, small: bool) -> None:
    text = f"times: 7\nworkload: {{options: {{a: [{'1,' * count}]}}}}"
    if small:
        assert times_of(tmp_path, text) == 7
    else:
        with pytest.raises(ConfigError, match="has more than 20000 values"):
            times_of(tmp_path, text)


def test_aliases_count_as_often_as_they_are_used(tmp_path: Path) -> None:
    hundred = f"a: &a [{'1,' * 100}]"
    assert times_of(tmp_path, f"times: 7\nworkload: {{options: {{{hundred}, b: [{'*a,' * 100}]}}}}") == 7
    with pytest.raises(ConfigError, match="its aliases written out"):
        times_of(tmp_path, f"times: 7\nworkload: {{options: {{{hundred}, b: [{'*a,' * 300}]}}}}")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)  # root reads everything
    with pytest.raises(ConfigError, match=r"mine\.yaml cannot be read \(Permission denied\)"):
        times_of_unpatched(tmp_path)


def times_of_unpatched(folder: Path) -> None:
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(SMALL)
    parse([f"--config-dir={folder}", "experiment=mine"])


def test_a_relative_folder_of_configurations_is_refused_with_the_whole_path() -> None:
    """Hydra itself would take it for a folder inside this package."""
    with pytest.raises(ConfigError, match=r"--config-path=\.: give the whole path: /"):
        parse(["--config-path=."])
    assert parse([f"--config-path={conf_dir().resolve()}"]).cells


def test_folders_may_be_searched_and_packages_may_not() -> None:
    refuse_packages(["/a", "b", "file:///c"])
    for place in ("pkg://a", "structured://a", "x://a"):
        with pytest.raises(ConfigError, match=f"hydra.searchpath={place} is imported"):
            refuse_packages(["/a", place])


def test_with_allow_code_a_package_may_be_searched() -> None:
    assert parse(["allow_code=true", "hydra.searchpath=[pkg://hydra.conf]"]).cells
