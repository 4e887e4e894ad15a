"""Command lines with shell characters, path parts and packages: nothing is executed or leads elsewhere."""

import pickle
from pathlib import Path

from tests.conftest import Command
from tests.hostile.conftest import Bad, Refused, rows
from tests.hostile.test_configurations import EVIL

CUSTOM = ["workload=custom", "workload.factory=plain:build"]
PLAIN = "def build(device, options):\n    return (lambda x: x), 0\n"
QUOTES = "special characters need quotes in quotes"


def typed(name: str, *arguments: str, says: tuple[str, ...]) -> Bad:
    return Bad(name=name, arguments=arguments, says=says, files={"evil.py": EVIL})


CHARACTERS = [
    typed("a command", "device=$(touch {here}/marker)", says=("device=$(touch", QUOTES)),
    typed(
        "a quoted command",
        "device='$(touch {here}/marker)'",
        says=("device=$(touch", "not a device; give auto, cpu, cuda"),
    ),
    typed("backticks", "workload.model=`touch {here}/marker`", says=("workload.model=`touch", QUOTES)),
    typed("a semicolon", "output_dir=x; touch {here}/marker", says=("output_dir=x; touch", QUOTES)),
    typed("a pipe", "device=cpu | touch {here}/marker", says=("device=cpu | touch", "not a device")),
    typed("a line break", "device=cpu\ntouch {here}/marker", says=("device=cpu touch", QUOTES)),
    typed("an escape", "device=\x1b]0;owned\x07", says=(r"device=\x1b]0;owned\x07", QUOTES)),
    typed(
        "right to left",
        "device='\u202egpu'",
        says=(r"device=\u202egpu", "not a device; give auto, cpu, cuda"),
    ),
    typed("no words at all", "'\U0001f525'=1", says=("'\U0001f525'=1", "write option=value")),
    typed("a huge number", f"times={'9' * 5000}", says=("times=9999", "must be auto or a whole number")),
    typed("a variable", "device=${oc.env:HOME}", says=("device=${{oc.env:HOME}}", "let the shell insert it")),
]

HYDRA = [
    typed("a library", "+hydra.job.env_set.LD_PRELOAD=evil.so", says=("is an option of Hydra", "allow_code")),
    typed("a package", "hydra.searchpath=[pkg://evil]", says=("pkg://evil is imported", "give a folder")),
    typed(
        "help of a package", "--hydra-help", "hydra.searchpath=[pkg://evil]", says=("--hydra-help: stands",)
    ),
    typed("a target", "workload.options={x: {_target_: evil.Thing}}", says=("evil.Thing names code to run",)),
    typed("code for some cells", "-m", "allow_code=true,false", says=("allow_code=true,false: takes one",)),
    typed("a cell above", "-m", "hydra.sweep.subdir=../../x", says=("hydra.sweep.subdir=../../x: must be",)),
]


@rows([*CHARACTERS, *HYDRA])
def test_a_hostile_command_line_is_refused_in_one_line(bad: Bad, refused: Refused) -> None:
    refused(bad)


@rows([CHARACTERS[0]])
def test_the_command_refuses_it_too(bad: Bad, refused_by_command: Refused) -> None:
    refused_by_command(bad)


class Attack:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


def test_the_pickle_of_a_run_is_not_read(tmp_path: Path, refused_by_command: Refused) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "run.pickle").write_bytes(pickle.dumps(Attack(marker)))
    run = f"--experimental-rerun={tmp_path / 'run.pickle'}"
    refused_by_command(
        Bad(name="rerun", arguments=[run], says=(f"{run}: a pickle can run code; repeat the run with",))
    )
    assert not marker.exists()
    pickle.loads((tmp_path / "run.pickle").read_bytes()).close()  # noqa: S301 - or the mark would prove nothing
    assert marker.exists()


def test_characters_of_a_shell_are_characters_like_others(mps_experiments: Command, tmp_path: Path) -> None:
    """Where such text is allowed, it is kept as it is, and the folder's name has nothing of it."""
    (tmp_path / "plain.py").write_text(PLAIN)
    nasty = "$(touch marker); `touch marker` | touch marker & ../../x \\n ü"
    options = f'workload.options.text="{nasty}"'
    done = mps_experiments(
        *CUSTOM, options, "mps=off", "times=2", "trace.iterations=0", "device=cpu", "tracking=none"
    )

    assert "VALID" in done.stdout, done.stderr
    (record,) = tmp_path.rglob("measurement.json")
    assert not list(tmp_path.rglob("marker"))
    assert record.is_relative_to(tmp_path / "outputs")
    assert not set(record.parent.name) & set("$()`;|& /\\")
    assert "touch marker" in (record.parent / ".hydra" / "config.yaml").read_text()
