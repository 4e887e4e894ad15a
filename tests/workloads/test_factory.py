"""A custom workload's factory: its name is read without running a line of it; importing finds it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.factory import check_factory, import_factory, refuse_signature

Write = Callable[[str, str], None]
BUILD = "def build(device, options): return len, ''\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules into a folder of their own; what is imported of them is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_parent_runs_no_line_of_it(
    modules: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules("mine.py", f"open({str(tmp_path / 'marker')!r}, 'w')\n{BUILD}")
    monkeypatch.chdir(tmp_path)
    assert check_factory("mine:build") == tmp_path
    assert not (tmp_path / "marker").exists()


BOUND = {
    "a function": BUILD,
    "by a star": "from package.inner import *\n",
    "by __getattr__": "def __getattr__(name):\n    if name != 'build': raise AttributeError(name)\n"
    "    return lambda d, o: (len, '')\n",
    "as a class": "from typing import Any, NamedTuple\nclass build(NamedTuple):\n    d: Any\n    o: Any\n",
    "by replacing the module": "import sys\nclass Other: build = len\nsys.modules[__name__] = Other\n",
}


@pytest.mark.parametrize("source", BOUND.values(), ids=BOUND.keys())
def test_a_factory_is_found_however_it_is_bound(modules: Write, tmp_path: Path, source: str) -> None:
    modules("package/inner.py", BUILD)
    modules("users_factory.py", source)
    assert callable(import_factory("users_factory:build", str(tmp_path)))


@pytest.mark.parametrize("name", ["package.mine", "package.space.mine"])
def test_a_factory_may_be_in_a_package_and_in_a_class(modules: Write, tmp_path: Path, name: str) -> None:
    source = "class Models:\n    @staticmethod\n    def build(device, options): return device, options\n"
    modules(f"{name.replace('.', '/')}.py", source)
    assert import_factory(f"{name}:Models.build", str(tmp_path))(1, 2) == (1, 2)


def test_a_factory_may_be_installed(modules: Write, tmp_path: Path) -> None:
    for factory in ("email.message:Message", "json:loads", "math:sqrt"):
        assert callable(import_factory(factory, str(tmp_path)))


def refused(factory: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        import_factory(factory, str(folder))
    line = str(caught.value)
    assert line.startswith(f"workload.factory={factory}: ")
    assert "\n" not in line
    return line.removeprefix(f"workload.factory={factory}: ")


EXPECTED = "give module:function, importable from the current folder or installed"


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("absent_module:build", f"there is no module absent_module; {EXPECTED}"),
        ("mine.sub:build", f"there is no module mine.sub; {EXPECTED}"),
        ("space.absent.deep:build", f"there is no module space.absent; {EXPECTED}"),
        ("needs:build", "importing needs raises ModuleNotFoundError: No module named 'nothing_at_all'"),
        ("mine:bulid", "module mine ({0}/mine.py) has no bulid; did you mean build?"),
        ("mine:zzz", "module mine ({0}/mine.py) has no zzz; it has build, number"),
        ("many:zzz", "module many ({0}/many.py) has no zzz; it has a0, a1, a2, a3, a4, ..."),
        ("empty:zzz", "module empty ({0}/empty.py) has no zzz; it has no names"),
        ("mine:build.inner", "mine:build has no inner; it has no names"),
        ("mine:number", f"it is of type int, which cannot be called; {EXPECTED}"),
        ("leaves:build", "importing leaves raises SystemExit: 3"),
        ("stopped:build", "importing stopped raises KeyboardInterrupt"),
        ("bad:build", "importing bad raises SyntaxError: invalid syntax (bad.py, line 1)"),
        ("silent:build", "importing silent raises Silent, whose text raises ValueError"),
        (
            "group:build",
            "importing group raises ExceptionGroup: two (2 sub-exceptions); OSError; KeyError: 'b'",
        ),
        ("lazy:build", "looking up build raises RuntimeError: not now"),
    ],
)
def test_what_is_wrong_with_a_factory_is_named(
    modules: Write, tmp_path: Path, factory: str, reason: str
) -> None:
    modules("mine.py", f"{BUILD}number = 1\n")
    modules("many.py", "a0 = a1 = a2 = a3 = a4 = a5 = 1\n")
    modules("empty.py", "")
    modules("space/deep.py", BUILD)
    modules("needs.py", "import nothing_at_all\n")
    modules("leaves.py", "import sys\nsys.exit(3)\n")
    modules("stopped.py", "raise KeyboardInterrupt\n")
    modules("bad.py", "def build(:\n")
    modules("silent.py", "class Silent(Exception):\n    def __str__(self): raise ValueError\nraise Silent\n")
    modules("group.py", "raise ExceptionGroup('two', [OSError(), KeyError('b')])\n")
    modules("lazy.py", "def __getattr__(name): raise RuntimeError('not now')\n")
    assert refused(factory, tmp_path) == reason.format(tmp_path)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("mine.py:build", "names a file; write mine:build"),
        ("models/mine.py:build", "not a factory; write models.mine:build"),
        ("./mine.py:build", "not a factory; write mine:build"),
        ("mine.build", "not a factory; write mine:build"),
        *(
            (text, f"not a factory; {EXPECTED}")
            for text in ("mine", "mine:", "a:b:c", ":build", "a b:c", "a:b.")
        ),
    ],
)
def test_a_text_that_names_no_factory_is_refused_with_what_is_meant(factory: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_factory(factory)
    assert (caught.value.value, caught.value.expected) == (factory, reason)
    with pytest.raises(ConfigError, match=r"^workload\.factory=null: not a factory"):
        check_factory(None)


class Owner:
    """What factories may be part of."""

    def method(self, device: object, options: object) -> None: ...

    @staticmethod
    def static(device: object, options: object) -> None: ...


def alone(device: object) -> None: ...


def with_seed(device: object, options: object, seed: int) -> None: ...


def with_default(device: object, options: object, seed: int = 0) -> None: ...


def batched(device: object, options: object, batch: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("factory", "batch"),
    [
        *[(factory, 1) for factory in (Owner.static, Owner().method, with_default, lambda *_: None, max)],
        *[(factory, 8) for factory in (batched, lambda *_, **__: None)],
    ],
)
def test_a_factory_that_takes_device_options_and_batch_is_fine(
    factory: Callable[..., object], batch: int
) -> None:
    refuse_signature(factory, "mine:build", batch)


@pytest.mark.parametrize(
    ("factory", "batch", "says"),
    [
        (Owner.method, 1, "takes (self, device: object, options: object)"),
        (Owner.method, 1, "make it a function or a static method"),
        (alone, 1, "takes (device: object) -> None, but is called as build(device, options)"),
        (with_seed, 1, "seed: int) -> None, but is called as build(device, options)"),
        (with_default, 8, "but is called as build(device, options, batch=8)"),
    ],
)
def test_a_factory_that_takes_something_else_is_refused(
    factory: Callable[..., object], batch: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=r"^workload\.factory=mine:build: takes \(") as caught:
        refuse_signature(factory, "mine:build", batch)
    assert says in str(caught.value)
