"""Every example runs, with its quick settings, and is shown in the documentation."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
SLOW = {"fit_adex", "plasticity"}
SAYS = {
    "resume": "the same losses: True",
    "simulate_backends": "identical: True",
    "first_fit": "The mirror equals Brian2",
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in EXAMPLES]
)
def test_an_example_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, "--quick"])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert SAYS.get(name, "") in capsys.readouterr().out


def test_every_example_is_shown() -> None:
    shown = (ROOT / "docs" / "examples.md").read_text()
    assert len(EXAMPLES) >= 10
    assert [name for name in EXAMPLES if f"examples/{name}.py" not in shown] == []
