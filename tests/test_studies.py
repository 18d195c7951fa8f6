"""Law of studies: the quick setting runs, gives figures that can be opened, and its metrics."""

import json
from pathlib import Path

import pytest

from mirrorneuron.studies import studies

NEEDED = {
    "grasshopper": (
        "gamma_brian2", "gamma_mirror", "gamma_poisson", "gamma_ln", "gamma_gradient_free",
    ),
    "arm_stabilisation": (
        "rms_untrained", "rms_bptt", "rms_fptt_100_ms", "rms_best_pd", "rms_lqr",
        "memory_slope_bptt", "spikes_identical", "angle_deviation",
    ),
}  # fmt: skip
SHORTER = {
    "arm_stabilisation": {
        "steps": 2, "steps_forward": 2, "duration": 0.2, "test": 0.3, "brian": 1, "held_out": 2,
        "disturbances": 1, "looked_at": (0.1,), "lengths": (50, 150),
    },
}  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", studies)
def test_a_study_runs_in_its_quick_setting(name: str, tmp_path: Path) -> None:
    study = studies[name]().quick().with_(**SHORTER.get(name, {}))
    result = study.run(tmp_path, progress=False)
    metrics = json.loads(result.write(tmp_path).read_text())
    for key in NEEDED.get(name, ()):
        assert set(metrics[key]) == {"value", "unit", "target", "ok"}
    assert metrics.get("spikes_identical", {"ok": True})["ok"]
    assert len(result.figures) >= 3
    for path in result.figures:
        assert path.read_bytes().startswith((b"\x89PNG", b"GIF89a"))
    assert result.report is not None
    assert "<script" not in result.report.read_text()


@pytest.mark.parametrize("name", studies)
def test_a_study_has_a_title_and_says_where_it_comes_from(name: str) -> None:
    module = __import__(studies[name].__module__, fromlist=["_"])
    assert studies[name]().title
    assert "doi:10." in str(module.__doc__)
