"""Files that are looked at before Hydra reads them."""

from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.files import check_file, refuse_packages
from mps_experiments.errors import ConfigError

SMALL = "# @package _global_\n"


def times_of(folder: Path, text: str) -> int:
    (folder / "experiment").mkdir(exist_ok=True)
    (folder / "experiment" / "mine.yaml").write_text(SMALL + text)
    (cell,) = parse([f"--config-dir={folder}", "experiment=mine"]).cells
    return int(cell.times)


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


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xef\xbb\xbf# @package _global_\ntimes: 2\n", "line 1: begins with a byte order mark; save it as"),
        (
            b"# @package _global_\n# gr\xfc\xdfe\ntimes: 2\n",
            "line 2: byte 0xfc is not UTF-8; save the file as",
        ),
        (b"times: 2\n", "line 1: an experiment begins with the line: # @package _global_"),
        (b"# @package _global_\nmps:\n\tenabled: false\n", "line 3: has a tab; indent with spaces"),
        (
            b"# @package _global_\ndefaults:\n  - override /mps: off\n",
            'line 3: off without quotes is a truth value in YAML; write override /mps: "off"',
        ),
        (
            b"# @package _global_\nmps: off\n",
            "line 2: off without quotes is a truth value in YAML; choose it in the defaults list: "
            '- override /mps: "off"',
        ),
        (
            b"# @package _global_\nhydra: {sweeper: {params: {mps: no}}}\n",
            'line 2: no without quotes is a truth value in YAML; write mps: "no"',
        ),
        (b"# @package _global_\n\0\1", "cannot be read: unacceptable character"),
    ],
)
def test_a_file_that_misleads_is_refused_with_line_and_mend(
    tmp_path: Path, content: bytes, line: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        check_file(path, is_experiment=True)
    assert str(caught.value).startswith(f"configuration: {path} {line}")


def test_a_file_of_a_group_needs_no_package_and_a_truth_value_of_an_option_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("enabled: off\n")
    check_file(path, is_experiment=False)


def test_folders_may_be_searched_and_packages_may_not() -> None:
    refuse_packages(["/a", "b", "file:///c"])
    for place in ("pkg://a", "structured://a", "x://a"):
        with pytest.raises(ConfigError, match=f"hydra.searchpath={place} is imported"):
            refuse_packages(["/a", place])
    assert parse(["allow_code=true", "hydra.searchpath=[pkg://hydra.conf]"]).cells
