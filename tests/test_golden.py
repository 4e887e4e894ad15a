"""What the stored results say: the tables and answers of every sweep under docs/results, as they were.

``pytest tests/test_golden.py --rewrite-golden`` writes the files anew: look at the difference first.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments.sweep.report_command import main

CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "docs" / "results"
GOLDEN = Path(__file__).parent / "golden"
ARCHIVES = sorted(RESULTS.glob("*/records.tar.xz"))
LOOSE = sorted({path.parent for path in RESULTS.rglob("*.json") if path.name.startswith("mps=")})


def said(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the report prints of a folder's runs, without the places of this machine."""
    main([str(folder), "--no-mlflow", "--out", str(out)])
    captured = capsys.readouterr()
    text = (captured.out + captured.err).replace(str(out), "OUT").replace(str(folder), "RUNS")
    return re.sub(r"[ \t]+\n", "\n", text)


def sweeps_in(archive: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Unpack an archive of sweeps; one that holds the runs of one sweep only is that sweep."""
    folder.mkdir()
    subprocess.run(["tar", "xJf", str(archive), "-C", str(folder)], check=True)
    parts = sorted({path.relative_to(folder).parts[0] for path in folder.rglob("measurement.json")})
    if (folder / "sweep.json").exists():
        yield archive.parent.name, folder
        return
    for part in parts:
        yield f"{archive.parent.name}-{part}", folder / part


def compare(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--rewrite-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("archive", ARCHIVES, ids=[path.parent.name for path in ARCHIVES])
def test_packed_results_say_the_same(
    archive: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, folder in sweeps_in(archive, tmp_path / "runs"):
        compare(name, said(folder, tmp_path / "out", capsys), request)


@pytest.mark.parametrize(
    "folder", LOOSE, ids=[str(path.relative_to(RESULTS)).replace("/", "-") for path in LOOSE]
)
def test_loose_results_say_the_same(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [str(path) for path in sorted(folder.glob("mps=*.json"))]
    main([*records, "--no-mlflow", "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    text = (
        (captured.out + captured.err).replace(str(tmp_path / "out"), "OUT").replace(str(RESULTS), "RESULTS")
    )
    name = str(folder.relative_to(RESULTS)).replace("/", "-")
    compare(name, re.sub(r"[ \t]+\n", "\n", text), request)
