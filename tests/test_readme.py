"""The README's example does what it says, and the page stays short."""

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


def example() -> str:
    """Code of the example."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return code


def test_the_page_is_read_in_minutes() -> None:
    assert README.stat().st_size <= 6 * 1024


def test_the_example_trains_writes_back_and_validates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = "print(mn.validate(net, model, 0.5 * second))"
    code = example().replace("fit = mn.fit(model", "start = feed.w_[:].copy()\nfit = mn.fit(model")
    assert ending in code
    code = code.replace(ending, "verdict = mn.validate(net, model, 0.2*second)")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    exec(code, names)
    losses = names["fit"].losses
    assert sum(losses[-5:]) < 0.05 * sum(losses[:5])
    assert (names["feed"].w_[:] != names["start"]).any()
    assert names["verdict"].ok, str(names["verdict"])
    assert f"'cells': {_rate(names)}" in capsys.readouterr().out


def _rate(names: dict[str, Any]) -> float:
    """Rate after training, which is near the target [Hz]."""
    found = names["model"].run(1 * names["second"], seed=0).rates()["cells"]
    assert found == pytest.approx(40, abs=3)
    return found


def test_every_link_and_picture_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README.read_text())
    missing = [link for link in links if not (README.parent / link).exists()]
    assert len(links) > 10 and not missing, missing
