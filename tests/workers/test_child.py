"""Factories as people have them, in real workers: processes of their own, evidence that fails, odd errors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.errors import WorkerError
from mps_experiments.record.worker import WorkerFacts
from mps_experiments.workers.messages import Compute, Computed
from mps_experiments.workers.pool import WorkerPool
from tests.workers.conftest import READY_S, Context, MakeSpecs, measure, pool_of

MODULE = """\
import multiprocessing, os, sys, threading
from concurrent.futures import ProcessPoolExecutor
import torch

X = torch.ones(2, 8)

class Squares(torch.utils.data.Dataset):
    def __len__(self): return 1000
    def __getitem__(self, index): return torch.tensor([7.0, os.getpid()])

def double(x): return x * 2, os.getpid()

def put(queue, x): queue.put(double(x))

def loader(device, options):
    loaded = torch.utils.data.DataLoader(Squares(), num_workers=1, multiprocessing_context=options["method"])
    batches = iter(loaded)
    return (lambda x: next(batches)), X

def pool(device, options):
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(options["method"]))
    return (lambda x: torch.tensor(executor.submit(double, 3.5).result())[None]), X

def process(device, options):
    context = multiprocessing.get_context(options["method"])
    def model(x):
        queue = context.SimpleQueue()
        child = context.Process(target=put, args=(queue, 3.5))
        child.start()
        value = queue.get()
        child.join()
        return torch.tensor(value)[None]
    return model, X

def lazy(device, options): return torch.nn.LazyLinear(4), X

def sparse_buffer(device, options):
    model = torch.nn.Linear(8, 8)
    model.register_buffer("mask", torch.eye(8).to_sparse())
    return model, X

def meta(device, options):
    model = torch.nn.Linear(8, 8)
    model.register_buffer("unused", torch.ones(2, device="meta"))
    return model, X

class Called:
    def __call__(self, x): return x

def state_raises(device, options):
    model = Called()
    def raises(): raise SystemExit("no state")
    model.state_dict = raises
    return model, X

class Shapeless:
    @property
    def shape(self): raise KeyError("no shape")

def shapeless(device, options): return (lambda x: Shapeless()), X

def long_line(device, options): raise RuntimeError("x" * 100_000)

def group(device, options): raise ExceptionGroup("two", [KeyError("a"), OSError()])
def leaves(device, options): sys.exit(3)

class Unpicklable(Exception):
    def __init__(self): super().__init__(threading.Lock())
    def __str__(self): return "held"
    def __reduce__(self): raise TypeError("cannot be pickled")
def unpicklable(device, options): raise Unpicklable

def surrogates(device, options): raise ValueError("\\udc80")

def closed_output(device, options):
    sys.stdout.close(); sys.stderr.close()
    raise ValueError("said all the same")

def no_output(device, options):
    sys.stdout = sys.stderr = None
    return (lambda x: x), X

def returns_none(device, options): pass
"""

Worker = Callable[..., WorkerPool]


@pytest.fixture
def worker_of(forkserver: Context, make_specs: MakeSpecs, tmp_path: Path) -> Worker:
    """Return a pool of one worker that runs one function of the module above."""
    (tmp_path / "odd_factories.py").write_text(MODULE)

    def make(function: str, **options: str) -> WorkerPool:
        (spec,) = make_specs("small", options=options)
        workload = replace(spec.workload, factory=f"odd_factories:{function}")
        return pool_of(forkserver, [replace(spec, workload=workload)])

    return make


def measured(pool: WorkerPool) -> WorkerFacts:
    """Run the window of the only worker and return its facts."""
    measure(pool)
    (worker,) = pool.workers
    assert worker.finished_iterations() == 5
    assert worker.ready is not None
    return worker.ready.facts


@pytest.mark.parametrize(
    ("function", "method"),
    [
        ("loader", "fork"),
        ("loader", "spawn"),
        ("loader", "forkserver"),
        ("pool", "fork"),
        ("pool", "spawn"),
        ("process", "forkserver"),
    ],
)
def test_a_factory_may_start_processes_in_every_way(worker_of: Worker, function: str, method: str) -> None:
    with worker_of(function, method=method) as pool:
        facts = measured(pool)
        (answer,) = pool.ask([Compute()], Computed, READY_S)
        children = psutil.Process(pool.pids[0]).children(recursive=True)
    assert facts.missing == {}
    assert answer.output is not None, answer.problem
    value, pid = answer.output[0].values
    assert value == 7.0
    assert int(pid) != pool.pids[0]
    assert not any(child.is_running() for child in children)
    assert pool.workers[0].process.exitcode == 0


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        ("sparse_buffer", {"digest of the weights": ""}),
        ("meta", {"digest of the weights": "NotImplementedError: "}),
        ("state_raises", {"digest of the weights": "SystemExit: no state"}),
        ("shapeless", {"shape of the output": "KeyError: 'no shape'"}),
    ],
)
def test_evidence_that_cannot_be_had_is_missing_with_its_reason(
    worker_of: Worker, function: str, missing: dict[str, str]
) -> None:
    with worker_of(function) as pool:
        facts = measured(pool)
    assert facts.missing.keys() == missing.keys()
    assert all(facts.missing[what].startswith(missing[what]) for what in missing), facts.missing
    assert (facts.weights_sha256, facts.output_shape == "") == (None, "shape of the output" in missing)


def test_a_lazy_module_has_its_digest_from_after_the_warm_up(worker_of: Worker) -> None:
    with worker_of("lazy") as pool:
        facts = measured(pool)
    assert facts.missing == {}
    assert len(facts.weights_sha256 or "") == 64


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("long_line", f"RuntimeError: {'x' * 500}..."),
        ("group", "ExceptionGroup: two (2 sub-exceptions); KeyError: 'a'; OSError"),
        ("leaves", "SystemExit: 3"),
        ("unpicklable", "Unpicklable: held"),
        ("surrogates", r"ValueError: \udc80"),
        ("closed_output", "ValueError: said all the same"),
        (
            "returns_none",
            "TypeError: odd_factories:returns_none must return (model, input), but returned NoneType",
        ),
    ],
)
def test_an_exception_keeps_its_type(worker_of: Worker, function: str, said: str) -> None:
    with worker_of(function) as pool, pytest.raises(WorkerError) as caught:
        pool.wait_ready(READY_S)
    assert caught.value.reason == f"failed (load): {said}"
    traceback = caught.value.traceback
    assert "Traceback (most recent call last):" in traceback.splitlines()[0]
    assert 'odd_factories.py", line ' in traceback or "custom.py" in traceback
    assert len(traceback) < 7000


def test_a_factory_may_take_away_the_standard_output(worker_of: Worker) -> None:
    with worker_of("no_output") as pool:
        measure(pool)
    assert pool.workers[0].process.exitcode == 0
