"""The folder that a user names, and one line for a name that can be no folder's."""

from pathlib import Path

import pytest

from mps_experiments.config.places import user_folder
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
