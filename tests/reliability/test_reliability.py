"""Every case of `reliability_cases` gives what it says."""

import time
from typing import Any

import pytest
from brian2 import prefs
from reliability_cases import cases


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", cases)
def test_a_case_gives_what_is_expected(name: str) -> None:
    start = time.perf_counter()
    assert cases[name].run()
    assert time.perf_counter() - start < cases[name].seconds
