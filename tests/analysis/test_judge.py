import dataclasses
import json
import math

import matplotlib
import numpy as np
import pytest

from mirrorneuron.analysis import Comparison, Events, LockedStep, Spikes, _elephant, judge
from mirrorneuron.errors import DomainError, MissingDependency, UnknownName

matplotlib.use("agg")
DT, N_STEPS, N_NEURONS = 1e-3, 3000, 40
EXACT = {"cells.v": LockedStep(3e-16, 17), "cells.g": LockedStep(0.0, None)}


def events(raster):
    step, index = np.nonzero(raster)
    return Events(step, index)


def raster(seed, rate=20.0):
    return np.random.default_rng(seed).random((N_STEPS, N_NEURONS)) < rate * DT


def comparison(reference, mirror, locked=EXACT, **more):
    spikes = {"cells": Spikes(N_NEURONS, events(reference), events(mirror))}
    versions = {"brian2": "2.9.0"}
    return Comparison(DT, N_STEPS, "float64", spikes, locked, versions=versions, **more)


@pytest.fixture(scope="module")
def identical():
    return judge(comparison(raster(0), raster(0)))


@pytest.fixture(scope="module")
def chaotic():
    diverged = raster(0)
    diverged[1000:] = raster(1)[1000:]
    return judge(comparison(raster(0), diverged))


def test_identical_spikes_are_ok_and_counted(identical):
    [run] = identical.free_run
    count = int(raster(0).sum())
    assert (run.n_reference, run.n_mirror, run.n_shared) == (count, count, count)
    assert (run.first_divergence, run.f1) == (None, 1.0)
    assert identical.identical
    assert identical.ok
    assert f"all {count:,} spikes at the same step and index" in identical.verdict


def test_a_chaotic_network_is_ok_by_locked_steps_and_statistics(chaotic):
    [run] = chaotic.free_run
    first = int(np.flatnonzero((raster(0) ^ raster(1))[1000:].any(axis=1))[0])
    assert run.first_divergence == pytest.approx((1000 + first) * DT)
    assert run.n_shared >= raster(0)[:1000].sum()
    assert not chaotic.identical
    assert chaotic.ok
    assert "each step agrees to 3.0e-16, and the statistics agree" in chaotic.verdict


def test_one_missing_spike_is_found():
    mirror = raster(0)
    step, index = np.argwhere(mirror)[500]
    mirror[step, index] = False
    [run] = judge(comparison(raster(0), mirror)).free_run
    assert run.n_shared == run.n_reference - 1 == run.n_mirror
    assert run.first_divergence == pytest.approx(step * DT)


def test_a_spike_of_the_neighbour_is_no_shared_spike():
    mirror = np.roll(raster(0), 1, axis=1)
    [run] = judge(comparison(raster(0), mirror)).free_run
    assert run.n_shared < 0.1 * run.n_reference
    assert run.f1 < 0.2


def test_f1_forgives_one_step_and_identity_does_not():
    late = np.zeros_like(raster(0))
    late[1:] = raster(0)[:-1]
    result = judge(comparison(raster(0), late, locked={}))
    assert result.free_run[0].f1 > 0.99
    assert not result.ok


def test_diverging_spikes_and_inexact_steps_are_not_ok():
    locked = {"cells.v": LockedStep(1e-9, 12)}
    result = judge(comparison(raster(0), raster(1), locked))
    assert not result.ok
    assert "one step of 'cells.v' is off by 1.0e-09 at 0.012 s" in result.verdict


def test_exact_steps_do_not_excuse_other_statistics():
    result = judge(comparison(raster(0), raster(1, rate=26.0)))
    assert not result.ok
    assert "rate of 'cells' is" in result.verdict
    assert {a.statistic for a in result.statistics if a.agrees is False} == {"rate"}


def test_identical_spikes_do_not_excuse_a_wrong_variable():
    wrong = judge(comparison(raster(0), raster(0), {"ee.w": LockedStep(0.2, 3)}))
    assert not wrong.ok
    assert "one step of 'ee.w' is off" in wrong.verdict
    rounding = judge(comparison(raster(0), raster(0), {"cells.v": LockedStep(5e-12, 3)}))
    assert rounding.ok


def test_spikes_cannot_part_without_a_rounding_error():
    result = judge(comparison(raster(0), raster(1), {"cells.v": LockedStep(0.0, None)}))
    assert not result.ok
    assert "no rounding error explains it" in result.verdict


@pytest.mark.parametrize("error", [0.0, 1e-16, 1.0, math.nan])
@pytest.mark.parametrize("n_neurons", [0, 1, 3])
def test_small_and_silent_objects_can_be_drawn(tmp_path, error, n_neurons):
    none = Events(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    spikes = {"cells": Spikes(n_neurons, none, none)}
    result = judge(Comparison(DT, 5, "float64", spikes, {"cells.v": LockedStep(error, 1)}))
    assert result.ok == (error <= 1e-12)
    assert result.save(tmp_path).is_file()


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_a_mirror_without_a_number_is_not_ok(error):
    locked = {"cells.v": LockedStep(error, 3)}
    assert not judge(comparison(raster(0), raster(0), locked)).ok
    assert not judge(comparison(raster(0), raster(1), locked)).ok


def test_silence_proves_nothing_by_itself():
    silent = np.zeros((N_STEPS, N_NEURONS), dtype=bool)
    unproven = judge(comparison(silent, silent, locked={}))
    assert not unproven.identical
    assert not unproven.ok
    assert "locked steps were not compared" in unproven.verdict
    proven = judge(comparison(silent, silent))
    assert proven.ok
    assert "Nothing spiked" in proven.verdict


def test_a_mirror_that_falls_silent_is_not_ok():
    silent = np.zeros((N_STEPS, N_NEURONS), dtype=bool)
    result = judge(comparison(raster(0), silent))
    assert not result.ok
    assert "rate of 'cells' is 0, not" in result.verdict


def test_the_allowed_difference_is_five_percent_or_two_sem(chaotic):
    rate = chaotic.statistics[0]
    a, b = (c.sum(axis=0) / (N_STEPS * DT) for c in (raster(0), _diverged()))
    sem = np.std(b - a, ddof=1) / math.sqrt(N_NEURONS)
    assert (rate.statistic, rate.unit, rate.n_neurons) == ("rate", "Hz", N_NEURONS)
    assert rate.reference == pytest.approx(a.mean())
    assert rate.mirror == pytest.approx(b.mean())
    assert rate.allowed == pytest.approx(max(0.05 * a.mean(), 2 * sem))


def _diverged():
    return np.concatenate([raster(0)[:1000], raster(1)[1000:]])


def test_a_question_that_was_not_put_says_why():
    reason = {"locked steps": "The network holds random numbers."}
    result = judge(comparison(raster(0), raster(1), {}, unanswered=reason))
    assert not result.ok
    assert "not answered. The network holds random numbers." in str(result)
    assert json.loads(result.to_json())["unanswered"] == reason


def test_without_elephant_the_other_answers_stand(monkeypatch):
    def missing():
        raise MissingDependency("statistics", "elephant", "validate")

    monkeypatch.setattr(_elephant, "require", missing)
    assert judge(comparison(raster(0), raster(0))).ok
    chaotic = judge(comparison(raster(0), raster(1)))
    assert not chaotic.ok
    assert "statistics were not compared (statistics needs elephant" in chaotic.verdict


def test_the_printed_table_has_the_three_answers(chaotic):
    text = str(chaotic)
    for part in ("(a) Free run", "(b) Locked steps", "(c) Statistics", "cells.v", "rate [Hz]"):
        assert part in text
    assert "3 s in 3,000 steps of 1 ms, float64, brian2 2.9.0" in text
    assert max(map(len, text.splitlines()[2:])) < 100


def test_a_notebook_shows_the_same_tables(chaotic):
    markup = chaotic._repr_html_()
    assert markup.count("<table") == 3
    assert "cells.v" in markup


def test_json_is_strict_and_holds_every_number(chaotic):
    def refuse(token):
        raise AssertionError(token)

    content = json.loads(chaotic.to_json(), parse_constant=refuse)
    assert content["ok"] is True
    assert content["verdict"] == chaotic.verdict
    assert content["dtype"] == "float64"
    assert content["locked_steps"] == [dataclasses.asdict(v) for v in chaotic.locked]
    assert content["statistics"] == [dataclasses.asdict(a) for a in chaotic.statistics]
    [run] = content["free_run"]
    assert run == dataclasses.asdict(chaotic.free_run[0]) | {"identical": False}


def test_what_is_no_number_is_null_in_json():
    silent = np.zeros((N_STEPS, N_NEURONS), dtype=bool)
    content = json.loads(judge(comparison(silent, silent)).to_json())
    assert content["free_run"][0]["f1"] is None
    assert content["statistics"][1]["reference"] is None


def test_a_saved_validation_is_a_page_with_its_figures(chaotic, tmp_path):
    page = chaotic.save(tmp_path / "out")
    written = {path.name for path in page.parent.iterdir()}
    names = {"validation.html", "validation.json", "spikes_0_cells.png", "agreement.png"}
    assert written == names
    assert (page.parent / "validation.json").read_text() == chaotic.to_json()
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 2
    assert "(b) Locked steps" in text


def test_the_name_of_an_object_cannot_leave_the_directory(tmp_path):
    spikes = {"../x": Spikes(N_NEURONS, events(raster(0)), events(raster(0)))}
    page = judge(Comparison(DT, N_STEPS, "float64", spikes, {})).save(tmp_path / "out")
    assert (page.parent / "spikes_0____x.png").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_events_outside_the_comparison_are_refused():
    late = Events(np.array([N_STEPS]), np.array([0]))
    spikes = {"cells": Spikes(1, late, late)}
    with pytest.raises(DomainError, match=r"reference spikes of 'cells': step runs from 3000"):
        Comparison(DT, N_STEPS, "float64", spikes, {})


def test_a_spike_that_was_recorded_twice_is_refused():
    once, twice = (Events(np.full(n, 3), np.full(n, 0)) for n in (1, 2))
    with pytest.raises(DomainError, match="mirror spikes of 'cells': a spike is there twice"):
        Comparison(DT, N_STEPS, "float64", {"cells": Spikes(1, once, twice)}, {})


def test_an_unknown_object_is_named(chaotic):
    with pytest.raises(UnknownName, match=r"Did you mean 'cells'"):
        chaotic.comparison.trains("cell")


def test_populations_beyond_a_block_are_not_mixed_up():
    wide = np.zeros((100, 600), dtype=bool)
    wide[::10, 550:] = True
    spikes = {"cells": Spikes(600, events(wide), events(wide))}
    result = judge(Comparison(DT, 100, "float64", spikes, EXACT))
    assert result.statistics[0].reference == pytest.approx(100 * 50 / 600)


def test_a_path_that_strays_without_moving_a_spike_is_a_fault() -> None:
    weights = {"ee.w": LockedStep(1e-6, 40)}
    result = judge(comparison(raster(0), raster(0), paths=weights))
    assert not result.ok
    assert "'ee.w' is off by 1.0e-06 at 0.04 s of the free run" in result.verdict
    assert "largest relative error of the variables until a spike differs" in str(result)
    assert json.loads(result.to_json())["paths"][0]["within"] is False
    assert judge(comparison(raster(0), raster(0), paths=weights), tolerance=1e-5).ok
