"""Every test: double precision, one thread, Brian2's numpy target, names of its own."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import brian2
import numpy as np
import pytest
import torch

torch.set_num_threads(1)
brian2.prefs.codegen.target = "numpy"
brian2.BrianLogger.log_level_error()
# Brian2 searches all memory for garbage before each run: half a second in a session of tests.
pytest.MonkeyPatch().setattr("brian2.core.network.gc", SimpleNamespace(collect=int))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Double precision, and no object of another test in a magic network."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    brian2.start_scope()
    brian2.defaultclock.dt = 0.1 * brian2.ms
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(12345)
