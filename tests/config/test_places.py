"""What users name: folders with their home directory, one line for what can be no name."""

from pathlib import Path

import pytest

from mps_experiments.config.places import exists, is_file, is_folder, user_folder
from mps_experiments.errors import ConfigError


def test_a_home_directory_is_put_in_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_folder("~/out") == Path("/somewhere/out")
    assert user_folder("out/~") == Path("out/~")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("~nobody-has-this-name/out", "Could not determine home directory."),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_name_that_can_be_no_folders_is_one_line(name: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        user_folder(name)
    assert str(caught.value) == f"output_dir={name}: cannot be written ({why}); name a folder of yours"


@pytest.mark.parametrize("name", ["", "n" * 300, "n/" * 3000])
def test_a_word_that_can_be_no_name_is_nothing_that_is_there(name: str) -> None:
    assert [look(name) for look in (exists, is_file, is_folder)] == [False] * 3


def test_a_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [look(tmp_path / "file") for look in (exists, is_file, is_folder)] == [True, True, False]
    assert [look(tmp_path) for look in (exists, is_file, is_folder)] == [True, False, True]
