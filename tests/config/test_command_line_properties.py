"""Whatever stands on a command line: cells, or one line that says what is wrong."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import options
from mps_experiments.errors import ConfigError

HYDRA = """
    callbacks help help.template hydra_logging job job.chdir job.config job.env_copy job.env_set job.id
    job.name job.num job.override_dirname job_logging launcher launcher._target_ mode output_subdir overrides
    overrides.hydra overrides.task run run.dir runtime runtime.choices runtime.cwd searchpath sweep.dir
    sweep.subdir sweeper sweeper._target_ sweeper.max_batch_size sweeper.params verbose
"""
GROUPS = "mps workload tracking experiment fault hydra hydra/launcher hydra/job_logging"
KEYS = [option.name for option in options()] + GROUPS.split() + [f"hydra.{name}" for name in HYDRA.split()]
# Every form of value that Hydra's grammar has, at places where another one is wanted.
VALUES = """
    1 -1 0x10 nan 1e400 null true on a '' "" [] {} [1] [null] {a:1} {1:2} {_target_:a.b} [a,b] {a:{b:[1]}} ???
    é /x .. ${a} ${.a} ${..a} ${now:%Y} ${now:1} ${hydra:job.num} ${oc.env:HOME} ${oc.select:a} ${oc.decode:1}
    ${oc.create:{a:1}} ${folder_name:}
    1,2 a,b 1, range(1,3) range(1,1000000000) choice(1,2) glob(*) interval(0,1)
    sort(3,1) shuffle(a,b) tag(a,b) int(3) RUN MULTIRUN $(touch\\ x) `x` ; |
"""
OVERRIDES = st.one_of(
    st.tuples(
        st.sampled_from(["", "", "", "+", "++", "~"]),
        st.sampled_from(KEYS),
        st.sampled_from(["=", "=", "=", ""]),
        st.sampled_from(VALUES.split()),
    ).map("".join),
    st.text(max_size=30).filter(lambda text: not text.startswith("-")),  # those are flags, for argparse
)


@settings(max_examples=40)
@given(st.lists(OVERRIDES, min_size=1, max_size=3), st.booleans())
@example(["hydra.job=${now:%Y}"], True)
@example(["tracking=${oc.select:a}"], True)
@example(["hydra.mode=${hydra:job.num}"], False)
@example(["fault.at=interval(0,1)"], True)
@example(["procs=" + "9" * 5000], False)
def test_any_command_line_gives_cells_or_one_line(overrides: list[str], multirun: bool) -> None:
    try:
        request = parse([*(["-m"] if multirun else []), *overrides])
    except ConfigError as refusal:
        line = str(refusal)
    else:
        assert request.cells
        line = "cells"
    assert line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["procs=range(1,1000000000)"],
            "procs=range(1,1000000000): more than 10000 values; sweep over fewer",
        ),
        (
            ["procs=range(1,1000)", "times=range(1,1000)"],
            "command line: 998001 runs are more than 10000; sweep over fewer values",
        ),
        (["fault.at=interval(0,1)"], "fault.at=interval(0,1): is no list of values; write one, such as 1,2"),
    ],
)
def test_a_sweep_that_would_never_end_is_refused(arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(["-m", *arguments])
    assert str(caught.value) == line
