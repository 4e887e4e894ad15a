"""Lines for people and JSON for programs."""

import json
from io import StringIO

from rich.console import Console

from mps_experiments.errors import ConfigError
from mps_experiments.sweep.doctor.finding import closing_line, fail, ok, refused, show, to_json, warn

FINDINGS = [ok("GPU", "H100"), warn("MIG", "odd", "mend it"), fail("disk", "full", "free some")]


def test_lines_are_aligned_plain_and_whole_with_what_to_do_below() -> None:
    file = StringIO()
    console = Console(file=file, soft_wrap=True, highlight=False)
    for finding in (ok("x", "word " * 60), warn("MIG", "odd\n\x1b[31m http://me:geheim@host", "mend it")):
        show(console, finding)
    assert file.getvalue() == (
        f"OK    {'x':<18}{('word ' * 60).strip()}\n"
        f"WARN  {'MIG':<18}odd ?[31m http://***@host\n{' ' * 24}-> mend it\n"
    )


def test_the_last_line_counts_and_tells_the_exit_code() -> None:
    assert closing_line(FINDINGS) == "1 OK, 1 WARN, 1 FAIL; exit code 2"
    assert closing_line(FINDINGS[:1]) == "1 OK, 0 WARN, 0 FAIL; exit code 0"


def test_json_has_all_of_it() -> None:
    content = json.loads(to_json(FINDINGS))
    assert (content["worst"], content["exit_code"]) == ("FAIL", 2)
    assert content["findings"][1] == {"name": "MIG", "level": "WARN", "found": "odd", "todo": "mend it"}
    assert len(content["findings"]) == 3


def test_a_refusal_is_split_into_what_is_there_and_what_would_work() -> None:
    finding = refused("GPU", ConfigError("device", "cuda:7", "there is one GPU; device=cpu runs without"))
    assert (finding.found, finding.todo) == ("device=cuda:7: there is one GPU", "device=cpu runs without")
    assert refused("GPU", ConfigError("device", "x", "no device")).todo
