"""Every kind of fault in `trust_rows` ends as it should: a few trials of each."""

from typing import Any

import pytest
from brian2 import prefs
from trust_rows import rows

FEW = {9: 4, 12: 5, 13: 2, 14: 20, 19: 2}
NOT_HERE = (14,)  # whose watch over the interpreter belongs to one process: test_hostile_bundles


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("number", [k for k in rows if k not in NOT_HERE])
def test_a_fault_ends_as_it_should(number: int) -> None:
    made, right, wrong = rows[number].run(FEW.get(number, 8))
    assert right == made > 0, wrong
