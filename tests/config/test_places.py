"""What users name: folders with their home directory, one line for what can be no name; new folders."""

from pathlib import Path

import pytest

from mps_experiments.config.places import exists, is_file, is_folder, new_folder, user_folder
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


def test_what_is_made_in_the_same_second_has_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "now")
    folders = [new_folder(tmp_path / "outputs" / "reports") for _ in range(3)]
    assert [folder.name for folder in folders] == ["now", "now-1", "now-2"]
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.parametrize("name", ["file", "leads_nowhere"])
def test_a_new_folder_that_cannot_be_made_is_left_to_the_writing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "leads_nowhere").symlink_to(tmp_path / "nothing" / "there")
    (tmp_path / "nothing").touch()
    assert not new_folder(tmp_path / name / "reports").exists()
