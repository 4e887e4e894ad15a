"""The worker as it is described."""

import pickle

from tests.workers.conftest import MakeSpecs


def test_a_worker_is_data_that_crosses_to_its_process(make_specs: MakeSpecs) -> None:
    (spec,) = make_specs("small")
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301
