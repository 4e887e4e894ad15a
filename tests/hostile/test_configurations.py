"""Configurations of others: what they would run, set, read, overwrite or blow up is refused."""

from pathlib import Path

from tests.conftest import Command
from tests.hostile.conftest import Bad, Refused, rows

# Importing it leaves a mark, calling anything in it another.
EVIL = """\
from pathlib import Path
import logging

Path("{here}/imported").touch()

class Thing(logging.Formatter):
    def __init__(self, *args, **kwargs):
        super().__init__()
        Path("{here}/called").touch()

def build(device, options):
    Path("{here}/built").touch()
    return (lambda x: x), 0
"""
TRUST = "if you trust it, add allow_code=true to the command line"
SHARED = ["--config-dir={here}/shared", "experiment=evil", "device=cpu", "tracking=none"]


def shared(name: str, text: str, *says: str, arguments: tuple[str, ...] = ()) -> Bad:
    """A file of somebody else, chosen as an experiment."""
    files = {"evil.py": EVIL, "shared/experiment/evil.yaml": f"# @package _global_\n{text}\n"}
    return Bad(name=name, arguments=[*SHARED, *arguments], says=says, files=files)


def primary(name: str, text: str, *says: str) -> Bad:
    """A whole configuration of somebody else, used in place of the program's own."""
    files = {"evil.py": EVIL, "primary/config.yaml": f"defaults: [schema, _self_]\n{text}\n"}
    return Bad(name=name, arguments=["--config-path={here}/primary"], says=says, files=files)


ALIASES = "\n".join(f"a{level}: &a{level} [{f'*a{level - 1}, ' * 10}]" for level in range(1, 12))
SMALLER = "; make it smaller"

SETTING = "is an option of Hydra, which can run code"
LOGGING = "hydra: {{{name}: {{root: {{level: INFO}}, {what}}}}}"

CODE = [
    shared("a callback", "hydra: {callbacks: {x: {_target_: evil.Thing}}}", "x._target_=evil.Thing", TRUST),
    shared("a launcher", "hydra: {launcher: {_target_: evil.Thing}}", "hydra/launcher=evil.Thing cannot be"),
    shared("a sweeper", "hydra: {sweeper: {_target_: evil.Thing}}", "hydra.sweeper._target_=evil", TRUST),
    shared(
        "a logging factory",
        LOGGING.format(name="job_logging", what="formatters: {x: {'()': evil.Thing}}"),
        "hydra.job_logging.",
        SETTING,
    ),
    shared(
        "a log over another file",
        LOGGING.format(
            name="hydra_logging",
            what="handlers: {x: {class: logging.FileHandler, mode: w, filename: '{here}/evil.py'}}",
        ),
        "hydra.hydra_logging.",
        SETTING,
    ),
    shared(
        "a target in the options", "workload: {options: {x: {_target_: evil.Thing}}}", "evil.Thing", TRUST
    ),
    shared(
        "a factory",
        "workload: {kind: custom, factory: 'evil:build'}",
        "workload.factory=evil:build names code to run; if you trust it, write the same on the command line",
    ),
    shared(
        "another factory than the one typed",
        "hydra: {mode: MULTIRUN, sweeper: {params: {workload.factory: x, ++workload.factory: 'evil:build'}}}",
        "workload.factory=evil:build names code to run",
        arguments=("workload=custom", "workload.factory=json:loads"),
    ),
    shared(
        "a python tag", "times: !!python/object/apply:os.system ['touch {here}/called']", "cannot be read"
    ),
    shared(
        "an override that nobody typed",
        "hydra: {overrides: {hydra: ['+hydra.callbacks.x._target_=evil.Thing']}}",
        "was not on the command line",
    ),
    shared("a cell that nobody typed", "hydra: {overrides: {task: [times=3]}}", "hydra.overrides=times=3"),
    shared(
        "an environment for the cells only",
        "hydra: {mode: MULTIRUN, sweeper: {params: {+hydra.job.env_set.LD_PRELOAD: evil.so}}}",
        "Hydra's own options cannot be swept",
    ),
    shared(
        "a parameter made by a function",
        "hydra: {mode: MULTIRUN, sweeper: {params: {procs: '${oc.decode:1}'}}}",
        "hydra.sweeper.params.procs=${{oc.decode:1}} must be written out, such as 1,2",
    ),
    shared(
        "a file that allows itself", "allow_code: true", "allow_code=true counts only on the command line"
    ),
    primary(
        "a package on the search path",
        "hydra: {searchpath: ['pkg://evil']}",
        "hydra.searchpath=pkg://evil is imported",
        "give a folder, or add allow_code=true",
    ),
    primary("a callback of a primary file", "hydra: {callbacks: {x: {_target_: evil.Thing}}}", SETTING),
]

SURROUNDINGS = [
    shared("a library", "hydra: {job: {env_set: {LD_PRELOAD: ./evil.so}}}", "job.env_set.LD_PRELOAD=", TRUST),
    shared("a secret for the record", "hydra: {job: {env_copy: [HOME]}}", "hydra.job.env_", SETTING),
    shared(
        "a variable that there is not", "hydra: {job: {env_copy: [NO_SUCH]}}", "hydra.job.env_copy='NO_SUCH'"
    ),
    shared(
        "a variable for the record",
        "workload: {kind: custom, options: {a: oc, b: env, x: '${${.a}.${.b}:HOME}'}}",
        "the environment variable HOME would be copied into the record; let the shell insert it",
    ),
    shared(
        "a password",
        "tracking: {uri: 'http://me:hunter2@127.0.0.1:9'}",
        "tracking.uri=http://***@127.0.0.1:9",
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    ),
]

SIZES = [
    shared("aliases that explode", f"a0: &a0 [x, x, x]\n{ALIASES}", "has more than 20000 values", SMALLER),
    shared("an alias to itself", "times: &a [*a]", "has more than 20000 values", SMALLER),
    shared("a deep nesting", f"times: {'[' * 500}{']' * 500}", "nested deeper than 100", SMALLER),
    shared("a large file", f"# {'x' * 2**20}", "has more than 1048576 bytes", SMALLER),
]

PLACES = [
    shared("files beside the run", "hydra: {output_subdir: ../../x}", "hydra.output_subdir=../../x", SETTING),
    shared("a cell elsewhere", "hydra: {sweep: {subdir: /tmp/x}, mode: MULTIRUN}", "hydra.sweep.subdir=/tmp"),
    shared(
        "a zero byte in a weights file", 'workload: {weights: "a\\0b"}', "workload.weights=a\\x00b: cannot be"
    ),
    shared("a zero byte in an image", 'workload: {input: "a\\0b"}', "workload.input=a\\x00b: no such file"),
]


@rows([*CODE, *SURROUNDINGS, *SIZES, *PLACES])
def test_a_hostile_configuration_is_refused_in_one_line(bad: Bad, refused: Refused) -> None:
    refused(bad)


@rows([CODE[0], CODE[6]])
def test_the_command_refuses_it_too(bad: Bad, refused_by_command: Refused) -> None:
    refused_by_command(bad)


def test_a_password_is_not_shown(refused: Refused) -> None:
    assert "hunter2" not in refused(SURROUNDINGS[-1])


TRUSTED = """\
# @package _global_
hydra:
  callbacks: {x: {_target_: evil.Thing}}
  job: {env_set: {EVIL_SET: "1"}}
workload:
  kind: custom
  factory: evil:build
  options: {x: {_target_: evil.Thing}}
"""


def test_with_allow_code_on_the_command_line_all_of_it_runs(mps_experiments: Command, tmp_path: Path) -> None:
    """What the refusals keep from happening does happen: without this, no mark would prove nothing."""
    (tmp_path / "evil.py").write_text(EVIL.replace("{here}", str(tmp_path)))
    (tmp_path / "shared" / "experiment").mkdir(parents=True)
    (tmp_path / "shared" / "experiment" / "evil.yaml").write_text(TRUSTED)
    arguments = [*SHARED, "allow_code=true", "mps=off", "times=2", "trace.iterations=0"]

    done = mps_experiments(*(argument.format(here=tmp_path) for argument in arguments))

    assert "VALID" in done.stdout, done.stderr
    assert {"imported", "called", "built"} <= {path.name for path in tmp_path.iterdir()}
