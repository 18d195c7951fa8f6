"""The README's first example does what it says."""

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.filterwarnings("ignore::mirrorneuron.bridge.learning.fit.TrainingWarning")
def test_the_example_trains_writes_back_and_validates() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "readme"}
    code = code.replace("mn.fit(model", "before = feed.w_[:].copy()\ndone = mn.fit(model")
    ending = "print(mn.validate(net, model, 1 * second))"
    assert ending in code
    code = code.replace(ending, "verdict = mn.validate(net, model, 0.2*second)")
    exec(code, names)
    assert min(names["done"].losses[-5:]) < 0.5 * names["done"].losses[0]
    assert (names["feed"].w_[:] != names["before"]).any()
    assert names["verdict"].ok, str(names["verdict"])
