"""Every kind of mistake gives one line that names option, value and what would work."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import NO_LONGER, FaultKind, options
from mps_experiments.errors import ConfigError

WHOLE = "must be a whole number from 1 to 1024; write for example"
OR_AUTO = "must be auto or a whole number from 1 to 10000000; write for example"
SEED = "must be a whole number from 0 to 4294967295; write for example order_seed=0"
QUOTE = "special characters need quotes in quotes: "
TORCHVISION = "workload.model=auto"
FAULTS = ", ".join(sorted(FaultKind.__members__))
WORKERS = ", ".join(o.name[8:] for o in options() if o.name.startswith("workers."))
KINDS = ", ".join(FaultKind.__members__)

MISTAKES = [
    ("porcs=2", "porcs=2: no such option; did you mean procs?"),
    ("MPS=on", "MPS=on: no such option; did you mean mps?"),
    ("warmup=3", "warmup=3: no such option; did you mean workers.warmup?"),
    ("workload.modle=x", "workload.modle=x: no such option; did you mean workload.model?"),
    ("+workload.modle=x", "+workload.modle=x: no such option; did you mean workload.model?"),
    ("+foo=1", "+foo=1: no such option; --help lists them all"),
    ("hydra.foo=1", "hydra.foo=1: Hydra has no such option; --cfg hydra lists them"),
    ("mps=maybe", "mps=maybe: no such value; choose one of off, on"),
    ("mps=null", "mps=null: no such value; choose one of off, on"),
    ("mps=[on,off]", "mps=[on,off]: no such value; choose one of off, on"),
    (
        "workload=nope",
        "workload=nope: no such value; choose one of auto, custom, maskrcnn, resnet50, ssdlite; "
        "another model of torchvision is workload.model=NAME, your own is workload=custom",
    ),
    (
        "experiment=nope",
        "experiment=nope: no such value; choose one of fault_table, packing, quickstart, seed_table",
    ),
    ("fault=nope", f"fault=nope: no such value; choose one of {FAULTS}"),
    ("fault.kind=nope", f"fault.kind=nope: must be one of {KINDS}; write for example fault.kind=none"),
    ("hydra/launcher=foo", "hydra/launcher=foo: no such value; choose one of basic"),
    ("procs=abc", f"procs=abc: {WHOLE} procs=1"),
    ("procs=null", f"procs=null: {WHOLE} procs=1"),
    ("procs=", f"procs: {WHOLE} procs=1"),
    ("procs=${nope}", "procs=${nope}: Interpolation key 'nope' not found"),
    ("procs=[1,2", f"procs=[1,2: has a [ without its ]; {WHOLE} procs=1"),
    ("procs=range(1,5", f"procs=range(1,5: has a ( without its ); {WHOLE} procs=1"),
    ("procs=1,2)", f"procs=1,2): has a ) without its (; {WHOLE} procs=1"),
    ("times==2", f"times==2: {OR_AUTO} times=50"),
    ("order=random", "order=random: must be one of blocks, as_given; write for example order=blocks"),
    ("precision=narrow", "precision=narrow: must be a number from 0 to 1; write for example precision=0.0"),
    ("++procs=0", "procs=0: must be a whole number from 1 to 1024"),
    (
        "workload.input=???",
        "workload.input=???: must be a text or a list; write for example workload.input=sample",
    ),
    (
        "validity.nonfinite_outputs=perhaps",
        "validity.nonfinite_outputs=perhaps: must be true or false; "
        "write for example validity.nonfinite_outputs=false",
    ),
    (
        "validity.unequal_workers_warn=x",
        "validity.unequal_workers_warn=x: must be a number of at least 0; "
        "write for example validity.unequal_workers_warn=1.25",
    ),
    (
        "trace.timeout_s=0.5",
        f"trace.timeout_s=0.5: no such option any more: {NO_LONGER['trace.timeout_s']}; leave it out",
    ),
    ("procs=1,2", "procs=1,2: several values need a sweep: add -m"),
    ("procs", "procs: has no value; write for example procs=1"),
    ("procs =2", "procs =2: not an option; write option=value, without spaces around the ="),
    ("=2", "=2: not an option; write option=value"),
    ("", "'': not an option; write option=value"),
    ("mps", "mps: has no value; write mps=NAME; --help lists the names"),
    ("~procs", "~procs: nothing can be removed; write for example procs=1"),
    ("~tracking", "~tracking: nothing can be removed; choose one of auto, none, server, sqlite"),
    ("+mps=on", "+mps=on: exists already; leave out the +: mps=on"),
    (
        "+experiment=quickstart",
        "+experiment=quickstart: exists already; leave out the +: experiment=quickstart",
    ),
    (
        "workers=slow",
        "workers=slow: is a group of options; write for example workers.start_method=forkserver",
    ),
    (
        "workers.cpu_affinity=foo",
        "workers.cpu_affinity=foo: must be one of auto, rotate, none; "
        "write for example workers.cpu_affinity=none",
    ),
    (
        "workload.options=[1]",
        "workload.options=[1]: must be a mapping; write for example workload.options={}",
    ),
    ("workload.model=[a]", f"workload.model=[a]: must be a text; write for example {TORCHVISION}"),
    ("workload.input=/a=b.jpg", f"workload.input=/a=b.jpg: {QUOTE}'workload.input=\"/a=b.jpg\"'"),
    ("workload.input=~/x.jpg", f"workload.input=~/x.jpg: {QUOTE}'workload.input=\"~/x.jpg\"'"),
    (
        "workload.input=/a,b.jpg",
        "workload.input=/a,b.jpg: several values need a sweep: add -m; "
        "or, if the comma belongs to it, quote it: 'workload.input=\"/a,b.jpg\"'",
    ),
    ("workers.zzz=8", f"workers.zzz=8: no such option; workers has {WORKERS}"),
]


def mistake(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(list(arguments))
    return str(caught.value)


@pytest.mark.parametrize(
    ("argument", "line"), MISTAKES, ids=[argument or "empty" for argument, _ in MISTAKES]
)
def test_a_mistake_is_told_in_one_line(argument: str, line: str) -> None:
    assert mistake(argument) == line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("times=1,2 procs=1,x workload=resnet50 device=cpu", f"procs=x: {WHOLE} procs=1"),
        ("times=5 mps=on,maybe", "mps=maybe: no such value; choose one of off, on"),
        ("mps=on,null", "mps=on,null: no such value; choose one of off, on"),
        ("procs=1,", f"procs=1,: {WHOLE} procs=1"),
        ("procs=1,0", "procs=0: must be a whole number from 1 to 1024"),
        ("procs=1,1", "procs=1,1: the same value twice would give two runs one folder"),
        ("procs=glob(*)", "procs=glob(*): gives no value at all"),
        ("hydra.job.name=a,b", "hydra.job.name=a,b: Hydra's own options take one value"),
    ],
)
def test_a_mistake_in_one_cell_of_a_sweep_refuses_the_sweep(arguments: str, line: str) -> None:
    assert mistake("-m", *arguments.split()) == line


def test_without_assertions_hydra_reads_no_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise AttributeError  # as with PYTHONOPTIMIZE=1

    monkeypatch.setattr(OverridesParser, "parse_overrides", unreadable)
    line = mistake("-m", "procs=range(1,3)")
    assert line.startswith("procs=range(1,3): its grammar needs Python's assertions: unset PYTHONOPTIMIZE")


def test_a_number_out_of_bounds_is_named_also_where_a_file_sets_it(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "many.yaml").write_text("# @package _global_\nprocs: 2000\n")
    line = mistake(f"--config-dir={tmp_path}", "experiment=many")
    assert line == "procs=2000: must be a whole number from 1 to 1024"


@pytest.mark.parametrize("path", ["~/x.jpg", "/a=b.jpg", "/it's.jpg", "/ü.jpg", "/a(1).jpg", '/a"=b.jpg'])
def test_the_quoting_that_is_proposed_works_in_a_shell(path: str) -> None:
    (argument,) = shlex.split(mistake(f"workload.input={path}").partition(QUOTE)[2])
    (cell,) = parse([argument]).cells
    assert cell.workload.input == path
