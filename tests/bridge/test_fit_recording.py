"""Fitting recordings: the likelihood is right, the truth is found, and what is asked is checked."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, Quantity, TimedArray, mA, ms, mV, second, volt
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge.fitting.data import read_data
from mirrorneuron.bridge.fitting.escape import Escape, likeliest, misfit, prior, surprise
from mirrorneuron.bridge.fitting.teacher_forcing import states_at
from mirrorneuron.bridge.fitting.windows import Windows
from mirrorneuron.errors import (
    CheckpointError,
    DomainError,
    GradientError,
    ShapeError,
    UnitError,
    UnknownName,
)

STEPS = 200


def network(tau: float = 10, b: float = 2, extra: str = "", n: int = 1) -> Network:
    """A neuron with a moving threshold."""
    group = NeuronGroup(
        n,
        f"""dv/dt = (drive - v)/tau {extra} : volt (unless refractory)
        dh/dt = -h/(20*ms) : volt
        drive : volt
        tau : second (constant)
        b : volt (constant)""",
        threshold="v > 10*mV + h",
        reset="v = 0*mV; h += b",
        refractory=3 * ms,
        method="euler",
        dt=1 * ms,
        namespace={"table": TimedArray([1, 2] * mV, dt=100 * ms)},
        name="cells",
    )
    group.tau, group.b = tau * ms, b * mV
    return Network(group)


def model(**settings: Any) -> mn.Mirror:
    train = {"cells.tau": mn.Positive(), "cells.b": mn.Positive()}
    return mn.mirror(network(**settings), train=train, dtype=torch.float64)


@pytest.fixture(scope="module")
def drive() -> Any:
    rng = np.random.default_rng(3)
    return np.repeat(rng.normal(12, 9, STEPS // 5), 5)[:, None] * mV


@pytest.fixture(scope="module")
def recording(drive: Any) -> mn.Recording:
    truth = mn.mirror(network(), dtype=torch.float64)
    return truth.run(STEPS * ms, {"cells.drive": drive}, record=["cells.v"])


def trace(recording: mn.Recording) -> Any:
    return Quantity(recording["cells.v"][:, 0].numpy(), dim=volt.dim)


def fit(found: mn.Mirror, recording: mn.Recording, drive: Any, **settings: Any) -> mn.RecordingFit:
    spikes = settings.pop("spikes", recording.spike_monitor("cells"))
    settings = {
        "input": {"cells.drive": drive},
        "restarts": 1,
        "steps": 2,
        "report": None,
    } | settings
    return mn.fit_recording(found, spikes=spikes, **settings)


# ---- the likelihood


def margins(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    margin = torch.from_numpy(rng.normal(-2, 1.5, (300, 2, 1)))
    spikes = torch.from_numpy((rng.random((300, 2, 1)) < 0.05).astype(float))
    return margin, spikes, torch.from_numpy(rng.random((300, 2, 1)) < 0.9)


def test_a_step_has_the_probability_of_its_escape_rate(rng: np.random.Generator) -> None:
    margin, spikes, counted = margins(rng)
    p = 1 - torch.exp(-50 * torch.exp(margin / 0.7) * 1e-3)
    expected = torch.where(spikes > 0, torch.log(p), torch.log(1 - p))[counted].sum()
    found, _ = misfit(margin, spikes, counted, 1e-3, Escape(0.7, 50))
    assert float(found) == pytest.approx(float(-expected / spikes[counted].sum()), rel=1e-12)


def test_the_likeliest_noise_is_better_than_any_near_it(rng: np.random.Generator) -> None:
    margin, spikes, counted = margins(rng)
    spikes[margin > 0] = 1

    def cost(log_slope: Tensor, level: Tensor) -> float:
        found = surprise(margin, spikes, counted, log_slope, level)
        return float(found + prior(margin, counted, log_slope, level))

    best = likeliest(margin, spikes, counted)
    for step in ([0.05, 0], [-0.05, 0], [0, 0.05], [0, -0.05]):
        moved = (x + dx for x, dx in zip(best, step, strict=True))
        assert cost(*moved) > cost(*best)


@pytest.mark.parametrize("escape", [None, Escape(0.7, 50)])
def test_the_gradient_of_the_likelihood_is_that_of_finite_differences(
    escape: Escape | None, rng: np.random.Generator
) -> None:
    margin, spikes, counted = margins(rng)
    margin[::50] = 9.0  # far beyond threshold, with and without a spike
    margin[::7] = -40.0
    assert torch.autograd.gradcheck(
        lambda x: misfit(x, spikes, counted, 1e-3, escape)[0], (margin.requires_grad_(),),
        fast_mode=True, atol=1e-4,
    )  # fmt: skip


def test_spikes_that_are_told_apart_without_a_mistake_have_a_finite_noise() -> None:
    margin = torch.linspace(-5, 1, 200).reshape(-1, 1, 1).requires_grad_()
    cost, escape = misfit(margin, (margin > 0).double(), torch.ones(200, 1, 1) > 0, 1e-3, None)
    cost.backward()
    assert 0 < escape.width < 0.5
    assert margin.grad is not None
    assert torch.isfinite(margin.grad).all()


# ---- windows


@pytest.mark.parametrize(("counted", "warm_up"), [(10, 10), (10, 25), (7, 3), (50, 5), (60, 0)])
def test_every_step_counts_in_one_window(counted: int, warm_up: int) -> None:
    windows, x = Windows(60, counted, warm_up), torch.arange(60.0).reshape(60, 1, 1).repeat(1, 2, 1)
    cut, counts = windows.cut(x), windows.counts(x)
    assert cut[counts].sort().values.tolist() == [float(k) for k in range(60) for _ in range(2)]


def test_windows_with_their_states_give_what_the_whole_recording_gives(
    recording: mn.Recording, drive: Any
) -> None:
    found, keys = model(tau=12), ["cells.spike.margin", "cells.v", "cells.h"]
    data = read_data(
        found, {"cells.drive": drive}, recording.spike_monitor("cells"), trace(recording), 5 * ms,
        None,
    )  # fmt: skip
    windows = Windows(STEPS, 40, 15)
    with torch.no_grad():
        whole = found.run_steps(STEPS, data.forced(data.series), record=keys)
        parts = {key: windows.cut(x) for key, x in data.series.items()}
        states = states_at(data, windows.starts, None)
        beside = found.run_steps(windows.length, data.forced(parts), state=states, record=keys)
    counts = windows.counts(data.spikes)
    for key in keys:
        found_there = beside[key].transpose(0, 1)[counts.transpose(0, 1)]
        assert torch.equal(found_there, whole[key][:, 0, 0])
    assert torch.isinf(whole["cells.spike.margin"]).any()


@pytest.mark.parametrize("extra", ["+ 1*mV/ms*sin(t/ms)", "+ table(t)/ms"])
def test_windows_of_a_network_that_knows_the_time_are_refused(
    extra: str, recording: mn.Recording, drive: Any
) -> None:
    found = model(extra=extra)
    with pytest.raises(
        DomainError, match=r"'cells' reads t in .*, but the windows .* side by side"
    ):
        fit(found, recording, drive, window=50 * ms)


# ---- fits


def test_the_truth_is_found_from_spikes_and_trace(recording: mn.Recording, drive: Any) -> None:
    found = model(tau=15, b=1)
    done = fit(found, recording, drive, voltage=trace(recording), window=50 * ms, steps=5)
    assert found.parameter("cells.tau").item() == pytest.approx(10e-3, rel=1e-3)
    assert found.parameter("cells.b").item() == pytest.approx(2e-3, rel=0.1)
    assert done.best.error < 1e-6
    assert done.best.values["cells.tau"] / second == found.parameter("cells.tau").item()


def test_spikes_alone_are_explained_better_after_the_fit(
    recording: mn.Recording, drive: Any
) -> None:
    found = model(tau=15, b=1)
    done = fit(found, recording, drive, window=50 * ms, steps=5, holdout=0.2)
    assert done.best.losses[-1] < 0.5 * done.best.losses[0]
    assert np.isnan(done.best.error)
    assert np.isfinite(done.best.held_out)
    assert found.parameter("cells.tau").item() == pytest.approx(10e-3, rel=0.2)


def test_the_best_restart_is_kept_and_the_table_shows_all(
    recording: mn.Recording, drive: Any
) -> None:
    found = model(tau=15)
    done = fit(found, recording, drive, window=100 * ms, restarts=2, steps=1, skip=20 * ms)
    assert len(done.restarts) == len(done.table) == 2
    assert done.restarts[0].start["cells.tau"] == pytest.approx(15e-3)
    assert done.restarts[1].start["cells.tau"] != pytest.approx(15e-3)
    assert done.best.loss == min(restart.loss for restart in done.restarts)
    assert "cells.tau [s]" in str(done)
    assert str(done).count("*") == 2
    for k, restart in enumerate(done.restarts):
        done.use(k)
        assert found.parameter("cells.tau").item() == restart.values["cells.tau"] / second


def test_recordings_of_several_neurons_are_fitted_together(
    recording: mn.Recording, drive: Any
) -> None:
    """Two trials of the same recording say what one says."""
    one = fit(model(tau=13), recording, drive, steps=1)
    both = np.stack([drive, drive], axis=1) * volt
    two = fit(
        model(tau=13), recording, both, steps=1, spikes=[recording.spike_monitor("cells")] * 2
    )
    assert two.best.losses == pytest.approx(one.best.losses, rel=1e-6)


def test_a_pull_keeps_parameters_where_they_are(recording: mn.Recording, drive: Any) -> None:
    free, held = model(tau=15), model(tau=15)
    fit(free, recording, drive, window=50 * ms)
    fit(held, recording, drive, window=50 * ms, pull=1e6)
    assert held.parameter("cells.tau").item() == pytest.approx(15e-3, rel=1e-3)
    assert free.parameter("cells.tau").item() != pytest.approx(15e-3, rel=1e-2)


def test_a_fit_goes_on_from_its_checkpoint(
    recording: mn.Recording, drive: Any, tmp_path: Path
) -> None:
    settings: Any = {"window": 100 * ms, "checkpoint": tmp_path}
    fit(model(tau=15), recording, drive, steps=1, **settings)
    resumed = fit(model(tau=15), recording, drive, steps=2, **settings)
    straight = fit(model(tau=15), recording, drive, steps=2, window=100 * ms)
    assert resumed.best.loss == straight.best.loss


def test_a_fit_of_known_noise_says_so(recording: mn.Recording, drive: Any) -> None:
    done = fit(model(), recording, drive, escape=(0.5 * mV, 200 * Hz), steps=1)
    assert done.best.escape == Escape(pytest.approx(0.5e-3), 200.0)
    with pytest.raises(UnitError, match=r"the width of escape is .* has to be in \[V\]"):
        fit(model(), recording, drive, escape=(0.5 * mA, 200 * Hz))


def test_spikes_within_the_refractory_period_are_told(drive: Any) -> None:
    spikes = np.zeros((STEPS, 1))
    spikes[[50, 52, 100]] = 1
    found = mn.mirror(network(), train={"cells.tau": mn.Positive()}, dtype=torch.float64)
    with pytest.warns(UserWarning, match="1 of the recorded spikes come while the model is refrac"):
        mn.fit_recording(found, {"cells.drive": drive}, spikes, restarts=1, steps=1, report=None)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"spikes": None}, DomainError, "no spikes are given"),
        ({"spikes": np.zeros((STEPS, 1))}, DomainError, "there is no spike in the recording"),
        ({"spikes": [5.1, 5.2] * ms}, DomainError, "has two spikes in step 5"),
        ({"spikes": {"other": [5] * ms}}, UnknownName, "spikes={'other'"),
        (
            {"spikes": {"cells": [5] * ms, "b": [5] * ms}},
            DomainError,
            "spikes are given of 2 groups",
        ),
        ({"input": {}}, DomainError, "nothing says how long the recording is"),
        ({"input": {"cells.x": np.zeros((STEPS, 1))}}, UnknownName, "cells.x"),
        ({"voltage": {"cells.x": 0}}, UnknownName, "voltage={'cells.x'"),
        ({"voltage": {"cells.v": 0, "cells.h": 0}}, DomainError, "traces of 2 variables"),
        ({"voltage": np.zeros((STEPS, 1)) * volt}, DomainError, "the trace never changes"),
        ({"voltage": np.zeros((STEPS, 1)) * mA}, UnitError, r"has to be in \[V\]"),
        ({"holdout": 1.0}, DomainError, "nothing is left to fit"),
        ({"skip": 2 * second}, DomainError, "nothing is left to fit"),
        ({"restarts": 0}, DomainError, "no start to fit from"),
        ({"window": 2 * second}, DomainError, "longer than the trial"),
        ({"nudge": 0 * ms, "voltage": np.eye(STEPS)[:, :1] * volt}, DomainError, "nudge is"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    settings: Any, error: type[Exception], message: str, recording: mn.Recording, drive: Any
) -> None:
    with pytest.raises(error, match=message):
        fit(model(), recording, drive, **settings)


def test_a_model_without_parameters_or_margin_is_refused(
    recording: mn.Recording, drive: Any
) -> None:
    with pytest.raises(GradientError, match="the model has no parameters"):
        fit(mn.mirror(network()), recording, drive)
    both = NeuronGroup(
        1, "v : volt\ndrive : volt", threshold="v > 1*mV or v < -9*mV", name="cells", dt=1 * ms
    )
    odd = mn.mirror(Network(both), train=["cells.v"])
    with pytest.raises(DomainError, match="threshold of 'cells' is no single comparison"):
        fit(odd, recording, drive)
    other = NeuronGroup(1, "u : 1", threshold="u > 1", name="others", dt=1 * ms)
    two = mn.mirror(Network(*network().objects, other), train=["cells.b"])
    with pytest.raises(DomainError, match="the model has 2 groups with a threshold"):
        fit(two, recording, drive)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_fit_that_breaks_down_everywhere_says_why(recording: mn.Recording, drive: Any) -> None:
    found = model(extra="+ exp(v/(0.01*mV))*volt/ms")
    with (
        warnings.catch_warnings(),
        pytest.raises(
            GradientError, match=r"broke down from every start\..* bound its exponential, exp\(clip"
        ),
    ):
        fit(found, recording, drive)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"nudge": "2*ms"}, r"nudge='2\*ms'.*is a Quantity.*nudge=1\*ms"),
        ({"weight": -1.0}, r"weight=-1\.0\): that is a finite number of at least 0"),
        ({"pull": np.nan}, r"pull=nan\): that is a finite number"),
        ({"spread": -0.1}, r"spread=-0\.1\): that is a finite number"),
        ({"holdout": np.nan}, r"holdout=nan\): that is a finite number"),
        ({"starts": {"cells.tau": 10 * ms}}, r"starts=.*a list of mappings.*starts=\[\{"),
        ({"starts": []}, r"starts=\[\].*a list of mappings"),
        ({"starts": [{"cells.tau": [1, 2, 3, 4, 5] * ms}]}, r"start 0 has cells\.tau.*\(5,\)"),
        ({"escape": 5}, r"escape=5\): the noise of the threshold is a pair"),
        ({"seed": -1}, r"fit_recording\(seed=-1\): a seed is a whole number"),
        ({"steps": -1}, r"fit_recording\(steps=-1\): that is the number of training steps"),
    ],
)
def test_a_setting_that_is_none_is_refused_before_anything_is_fitted(
    recording: mn.Recording, drive: Any, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((DomainError, ShapeError), match=sentence):
        fit(model(), recording, drive, **settings)


def test_an_input_says_what_it_sets(recording: mn.Recording, drive: Any) -> None:
    with pytest.raises(DomainError, match=r"the input is a .*Write input=\{'cells\.I': current\}"):
        mn.fit_recording(model(), drive, recording.spike_monitor("cells"))


def test_the_checkpoint_of_another_recording_or_start_is_not_taken_for_this_ones(
    recording: mn.Recording, drive: Any, tmp_path: Path
) -> None:
    """Else a loop over neurons with one folder would give all of them the values of the first."""
    settings: dict[str, Any] = {"steps": 1, "restarts": 1, "checkpoint": tmp_path}
    fit(model(), recording, drive, **settings)
    for other in (
        {"spikes": recording.spike_trains("cells")[0][1:]},
        {"pull": 0.1},
        {"starts": [{"cells.tau": 9 * ms}]},
    ):
        with pytest.raises(CheckpointError, match=r"differs in what is fitted \(\w+, there \w+\)"):
            fit(model(), recording, drive, **(settings | other))
