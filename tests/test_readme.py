"""The README's examples do what they say."""

import re
from pathlib import Path
from typing import Any

import pytest

import mirrorneuron

README = Path(__file__).parents[1] / "README.md"


def examples() -> list[str]:
    """Code of every example."""
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_example_trains_writes_back_and_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = examples()
    names: dict[str, Any] = {"__name__": "readme"}
    code = code.replace("fit = mn.fit(model", "before = feed.w_[:].copy()\nfit = mn.fit(model")
    ending = "print(mn.validate(net, model, 1 * second))"
    assert ending in code
    code = code.replace(ending, "verdict = mn.validate(net, model, 0.2*second)")
    monkeypatch.chdir(tmp_path)
    exec(code, names)
    losses = names["fit"].losses
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    assert (names["feed"].w_[:] != names["before"]).any()
    assert names["verdict"].ok, str(names["verdict"])
    assert Path("learning.png").stat().st_size > 1000


def test_the_example_of_the_cerebellum_makes_a_network_that_learns() -> None:
    _, code = examples()
    names: dict[str, Any] = {"mn": mirrorneuron}
    exec(code.replace("scale=0.2", "scale=0.02"), names)
    network, factor = names["network"], names["circuit"].wiring["parallel_purkinje"].factor
    assert network["parallel_purkinje"].A_plus_[:] == pytest.approx(0.001e-9 * factor)
