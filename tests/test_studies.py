"""Law of studies: the quick setting runs, gives figures that can be opened, and its metrics."""

import json
from pathlib import Path

import pytest

from mirrorneuron.studies import studies

NEEDED = {
    "grasshopper": (
        "gamma_brian2", "gamma_mirror", "gamma_poisson", "gamma_ln", "gamma_gradient_free",
    )
}  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", studies)
def test_a_study_runs_in_its_quick_setting(name: str, tmp_path: Path) -> None:
    result = studies[name]().quick().run(tmp_path, progress=False)
    metrics = json.loads(result.write(tmp_path).read_text())
    for key in NEEDED.get(name, ()):
        assert set(metrics[key]) == {"value", "unit", "target", "ok"}
    assert metrics.get("spikes_identical", {"ok": True})["ok"]
    assert len(result.figures) >= 3
    for path in result.figures:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert result.report is not None
    assert "<script" not in result.report.read_text()


@pytest.mark.parametrize("name", studies)
def test_a_study_has_a_title_and_says_where_it_comes_from(name: str) -> None:
    module = __import__(studies[name].__module__, fromlist=["_"])
    assert studies[name]().title
    assert "doi:10." in str(module.__doc__)
