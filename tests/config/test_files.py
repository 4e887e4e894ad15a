"""Files that are looked at before Hydra reads them."""

from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.files import check_file, refuse_packages
from mps_experiments.errors import ConfigError


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
        (b"# @package _global_\na: &a [1]\nb: *a\n", "line 3: *a is an alias, which is not read; write"),
        (b"a: " + b"[" * 101 + b"]" * 101, "is nested deeper than 100"),
        (b"#" * 65_537, "has more than 65536 bytes"),
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
