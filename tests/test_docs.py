"""What the README and the docs promise: commands that work, files, headings and names that exist."""

import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import options
from mps_experiments.run import runner
from mps_experiments.sweep.doctor import command as doctor
from mps_experiments.sweep.export import command as export
from mps_experiments.sweep.recommend import command as recommend
from mps_experiments.sweep.replay import command as replay
from mps_experiments.tracking.comparisons import NOTE, comparison_fields
from mps_experiments.tracking.fields import metrics_of, params_of, sweep_params, sweep_tags, tags_of
from mps_experiments.tracking.mlflow_tracker import DECISION
from tests.conftest import CHECKOUT, Command
from tests.evidence_records import traced_run, with_core_waits, with_telemetry
from tests.fault_records import faulty_run
from tests.records import make_measurement

README = (CHECKOUT / "README.md").read_text()
DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]
LAUNCH = "python -m mps_experiments "
TOOLS: Mapping[str, ModuleType] = {
    "compare": import_module("mps_experiments.sweep.compare"),
    "doctor": doctor,
    "export": export,
    "recommend": recommend,
    "replay": replay,
    "report": import_module("mps_experiments.sweep.report_command"),
    "sync": import_module("mps_experiments.sweep.sync"),
}
LINK = re.compile(r"\]\(([^)\s]+)\)|<(https?:[^>\s]+)>")


def commands(text: str, launch: str = LAUNCH) -> list[str]:
    """Lines of the indented or fenced blocks of a document that start this program."""
    whole = text.replace("\\\n", " ")  # a command may go on in the next line
    lines = (line.strip().removeprefix("$ ") for line in whole.splitlines())
    return [line.partition("  #")[0].strip() for line in lines if line.startswith(launch)]


def documented(launch: str) -> list[str]:
    return sorted({command for path in DOCUMENTS for command in commands(path.read_text(), launch)})


def links(document: Path) -> list[str]:
    return [target or address for target, address in LINK.findall(document.read_text())]


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    counted: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, flags=re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).replace(" ", "-")
        found.add(f"{slug}-{counted[slug]}" if counted[slug] else slug)
        counted[slug] += 1
    return found


@pytest.mark.parametrize("command", sorted({c for d in DOCUMENTS for c in commands(d.read_text())}))
def test_a_documented_command_line_composes(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)

    request = parse(shlex.split(command)[3:])

    assert request.cells or request.grid is None


def test_the_quickstart_runs_as_the_readme_writes_it(mps_experiments: Command) -> None:
    command = "python -m mps_experiments experiment=quickstart"
    assert command in commands(README)

    result = mps_experiments(*shlex.split(command)[3:])

    assert result.returncode == 0, result.stdout + result.stderr
    assert "MPS OFF" in result.stdout
    assert "MPS ON" in result.stdout
    small = "no model is named: on the CPU that means a small one, ssdlite320_mobilenet_v3_large; "
    assert result.stdout.count(small) == (0 if shutil.which("nvidia-smi") else 1)


@pytest.mark.parametrize("target", re.findall(r"make ([a-z-]+)", README))
def test_a_make_target_of_the_readme_exists(target: str) -> None:
    result = subprocess.run(["make", "-n", target], cwd=CHECKOUT, capture_output=True, check=False)

    assert result.returncode == 0


def test_a_documented_command_is_one_for_the_shell() -> None:
    found = documented("python -m ")
    assert found
    done = subprocess.run(["bash", "-n"], input="\n".join(found), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_documented_command_of_a_tool_is_understood(tool: str) -> None:
    found = documented(f"python -m mps_experiments.{tool}")
    assert found, f"no document shows {tool}"
    for command in found:
        parser = TOOLS[tool]._parser()
        read: Callable[[list[str]], object] = getattr(parser, "parse_intermixed_args", parser.parse_args)
        read(shlex.split(command)[3:])  # it ends the program with 2 if it does not


def test_a_documented_command_of_mlflow_is_understood() -> None:
    found = documented("python -m mlflow ")
    assert found
    for command in found:
        arguments = [sys.executable, *shlex.split(command)[1:], "--help"]  # after the options were read
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    dead = [link for link in links(document) if not link.startswith("https://") and not leads(document, link)]

    assert dead == []


def leads(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


def test_the_licence_is_what_the_readme_says() -> None:
    assert "Apache License" in (CHECKOUT / "LICENSE").read_text()
    assert "Apache-2.0" in README


def logged_names() -> Iterator[str]:
    """Every metric and tag that MLflow may get of a run."""
    one = traced_run("one", procs=1)
    two = with_core_waits(with_telemetry(traced_run("two", procs=2)), 0.1, 0.1)
    for run in (one, two, make_measurement("plain"), faulty_run("hit")):
        yield from metrics_of(run)
    for fields in comparison_fields([one, two], {}).values():
        yield from fields.metrics


def test_every_metric_that_mlflow_gets_is_documented() -> None:
    texts = "\n".join(path.read_text() for path in DOCUMENTS)
    general = {re.sub(r"worker_\d+", "worker_N", name) for name in logged_names()}
    patterns = (r"overhead/\w+_s", r"why/share/\w+", r"why/growth/\w+_ms")  # explained as a family each
    left = {name for name in general if f"`{name}`" not in texts}

    assert {name for name in left if not any(re.fullmatch(each, name) for each in patterns)} == set()
    assert len(general) > 40


def test_every_param_and_tag_that_mlflow_gets_is_documented() -> None:
    one, two = traced_run("one", procs=1), traced_run("two", procs=2)
    runs = [one, two, make_measurement("twin", twin=1), faulty_run("hit")]
    names = {"complete", "command", DECISION, *sweep_params(runs), *sweep_tags(runs)}
    for run in runs:
        names |= params_of(run).keys() | tags_of(run).keys()
    for fields in comparison_fields(runs, {}).values():
        names |= fields.tags.keys() - {NOTE}
    text = (CHECKOUT / "docs" / "reading-results.md").read_text()
    general = {re.sub(r"worker_\d+", "worker_N", name) for name in names}
    assert {name for name in general if f"`{name}`" not in text} == set()
    assert len(general) > 40


def test_every_phase_of_a_run_is_documented() -> None:
    source = Path(runner.__file__).read_text()
    phases = set(re.findall(r'(?:\.phase\(|_timed_exit\(\w+, )"(\w+)"', source))
    text = (CHECKOUT / "docs" / "reading-results.md").read_text()
    assert {name for name in phases if f"`{name}`" not in text} == set()
    assert len(phases) == 9


def test_every_option_named_in_the_docs_exists() -> None:
    names = {option.name for option in options()}
    groups = {"mps", "workload", "tracking", "experiment", "workers"}
    for document in DOCUMENTS:
        for name in re.findall(
            r"`(?:\+)?((?:mps|workload|workers|tracking)\.[a-z_]+)=", document.read_text()
        ):
            assert name in names or name.split(".")[0] not in groups, f"{document.name}: {name}"


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) <= 150
