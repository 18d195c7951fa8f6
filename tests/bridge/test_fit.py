"""Training: it learns, respects limits, survives interruption, and says when it cannot go on."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV
from torch import Tensor
from torch.optim import LBFGS, SGD

import mirrorneuron as mn
from mirrorneuron.bridge.learning.fit import TrainingWarning
from mirrorneuron.bridge.learning.history import Row
from mirrorneuron.errors import CheckpointError, DomainError, GradientError


def network(w: float = 2.0) -> Network:
    """Four cells driven by given spikes."""
    stimulus = SpikeGeneratorGroup(
        5, [k % 5 for k in range(40)], [(k + 1) * 0.5 for k in range(40)] * ms, name="stimulus"
    )
    cells = NeuronGroup(
        4,
        "dv/dt = (-60*mV - v)/tau : volt\ntau : second (constant)",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        method="exponential_euler",
        name="cells",
    )
    cells.v, cells.tau = -60 * mV, 10 * ms
    synapses = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="syn")
    synapses.connect()
    synapses.w = w * mV
    return Network(stimulus, cells, synapses)


def target(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Mean squared distance of the firing probability from 20 Hz; additive over windows."""
    rate = recording.spikes["cells"].mean(0) / recording.dt
    return ((rate - 100) / 100).square().mean() * recording.steps / 200


TASK = mn.Task(20 * ms, target, additive=True)
RULES = {
    "whole": mn.BPTT(),
    "windows": mn.BPTT(window=10 * ms),
    "every window": mn.BPTT(window=10 * ms, update="window"),
}


def model(**limits: Any) -> mn.Mirror:
    train = {"syn.w": mn.Bounded(0 * mV, 9 * mV), "cells.tau": mn.Positive(), **limits}
    return mn.mirror(network(), train=train, dtype=torch.float64)


@pytest.mark.parametrize("rule", RULES)
def test_the_loss_falls(rule: str) -> None:
    done = mn.fit(model(), TASK, RULES[rule], steps=40, report=None)
    assert min(done.losses[-5:]) < 0.5 * done.losses[0]
    assert done.evaluations == (80 if rule == "every window" else 40)


def smooth(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Distance of the potential from -55 mV."""
    return ((recording["cells.v"] + 0.055) / 1e-3).square().mean()


def lbfgs(parameters: list[torch.nn.Parameter]) -> LBFGS:
    return LBFGS(parameters, max_iter=1, max_eval=20, line_search_fn="strong_wolfe")


@pytest.mark.filterwarnings("ignore::mirrorneuron.bridge.learning.fit.TrainingWarning")
def test_lbfgs_learns():
    """Nothing spikes, so that the gradient without spikes is the loss's, as a search needs it."""
    quiet = mn.mirror(
        network(w=0.2), train={"syn.w": mn.Positive(), "cells.tau": mn.Positive()},
        reset_gradient="detach", dtype=torch.float64,
    )  # fmt: skip
    task = mn.Task(20 * ms, smooth, record=["cells.v"])
    done = mn.fit(quiet, task, optimizer=lbfgs, steps=6, report=None)
    assert done.losses[-1] < 0.5 * done.losses[0]
    assert done.evaluations > 6


def gradients(rule: mn.BPTT) -> list[Tensor]:
    mirror = model()
    rule.step(rule.init(mirror), mirror, TASK_V, mn.Trial(), 0, lambda: None)
    return [p.grad.clone() for p in mirror.parameters() if p.grad is not None]


TASK_V = mn.Task(20 * ms, smooth, record=["cells.v"])


def test_a_window_of_the_whole_trial_is_no_truncation_and_a_shorter_one_is() -> None:
    whole, one, half = (gradients(mn.BPTT(window=w)) for w in (None, 20 * ms, 10 * ms))
    assert all(torch.equal(a, b) for a, b in zip(whole, one, strict=True))
    assert not any(torch.allclose(a, b) for a, b in zip(whole, half, strict=True))


def test_a_window_shorter_than_a_step_is_refused() -> None:
    with pytest.raises(DomainError, match="shorter than the time step"):
        mn.fit(model(), TASK, mn.BPTT(window=0.01 * ms), steps=1, report=None)


@pytest.mark.filterwarnings("ignore::mirrorneuron.bridge.learning.fit.TrainingWarning")
def test_limits_hold_after_every_step() -> None:
    mirror = mn.mirror(
        network(),
        train={"syn.w": mn.Bounded(1.5 * mV, 2.1 * mV), "cells.tau": mn.Positive(),
               "cells.v": mn.Sign()},
        dtype=torch.float64,
    )  # fmt: skip

    def look(step: int, trained: mn.Mirror, done: mn.Fit) -> None:
        w = trained.parameter("syn.w")
        assert w.min() >= 1.5e-3
        assert w.max() <= 2.1e-3
        assert trained.parameter("cells.tau").min() > 0
        assert trained.parameter("cells.v").max() <= 0

    mn.fit(mirror, TASK, optimizer=lambda p: SGD(p, lr=1e3), steps=4, report=None, callback=look)
    with pytest.raises(DomainError, match="lower bound is not below"):
        mn.mirror(network(), train={"syn.w": mn.Bounded(2 * mV, 1 * mV)})


@pytest.mark.filterwarnings("ignore::mirrorneuron.bridge.learning.fit.TrainingWarning")
@pytest.mark.parametrize("make", [None, lbfgs])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path, make: Any) -> None:
    def stop(step: int, trained: mn.Mirror, done: mn.Fit) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    straight = model()
    expected = mn.fit(straight, TASK_V, optimizer=make, steps=6, report=None)
    broken = model()
    with pytest.raises(KeyboardInterrupt):
        mn.fit(broken, TASK_V, optimizer=make, steps=6, checkpoint=tmp_path, every=2,
               report=None, callback=stop)  # fmt: skip
    fresh = model()
    found = mn.fit(fresh, TASK_V, optimizer=make, steps=6, checkpoint=tmp_path, report=None)
    assert found.resumed == 4
    assert found.losses == expected.losses
    for a, b in zip(straight.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, kept: float) -> None:
    mn.fit(model(), TASK_V, steps=4, checkpoint=tmp_path, every=1, report=None)
    latest = tmp_path / "checkpoint.pt"
    latest.write_bytes(latest.read_bytes()[: int(kept * latest.stat().st_size)])
    with pytest.warns(UserWarning, match="is damaged"):
        done = mn.fit(model(), TASK_V, steps=5, checkpoint=tmp_path, report=None)
    assert done.resumed == 3
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="no checkpoint can be read"),
    ):
        mn.fit(model(), TASK_V, steps=5, checkpoint=tmp_path, report=None)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    mn.fit(model(), TASK_V, steps=1, checkpoint=tmp_path, report=None)
    other = mn.mirror(network(), train=["syn.w"], dtype=torch.float64)
    with pytest.raises(CheckpointError, match="belongs to another training"):
        mn.fit(other, TASK_V, steps=2, checkpoint=tmp_path, report=None)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        mn.fit(model(), TASK_V, steps=1, checkpoint=blocked / "below", report=None)


def test_an_update_by_nan_is_skipped_and_three_in_a_row_end_the_training() -> None:
    def broken(steps: set[int]) -> mn.Task:
        calls = iter(range(100))

        def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
            bad = next(calls) in steps
            return smooth(recording, trial) * (float("nan") if bad else 1.0)

        return mn.Task(20 * ms, loss, record=["cells.v"])

    with pytest.warns(TrainingWarning, match="step 1 is not finite; the update was skipped"):
        done = mn.fit(model(), broken({1}), steps=3, report=None)
    assert done.skipped == [1]
    mirror = model()
    start = mirror.parameter("syn.w").detach().clone()
    with (
        pytest.warns(TrainingWarning, match="skipped"),
        pytest.raises(GradientError, match="not finite 3 times in a row, up to step 2"),
    ):
        mn.fit(mirror, broken({0, 1, 2}), steps=9, report=None)
    assert torch.equal(mirror.parameter("syn.w"), start)


def test_a_silent_group_is_reported() -> None:
    mirror = mn.mirror(network(w=0.1), train=["syn.w"], dtype=torch.float64)
    with pytest.warns(TrainingWarning, match="'cells' is silent"):
        mn.fit(mirror, TASK_V, steps=1, report=None)


def test_a_training_without_parameters_or_without_influence_is_refused() -> None:
    with pytest.raises(GradientError, match="has no parameters"):
        mn.fit(mn.mirror(network()), TASK, steps=1, report=None)
    blind = mn.Task(20 * ms, lambda recording, trial: recording.spikes["stimulus"].sum())
    with pytest.raises(GradientError, match="does not depend on any parameter"):
        mn.fit(model(), blind, steps=1, report=None)


@pytest.mark.filterwarnings("ignore::mirrorneuron.bridge.learning.fit.TrainingWarning")
@pytest.mark.parametrize("size", [1.0, 1e30, 1e-30])
def test_clip_limits_the_step_of_plain_descent_for_any_finite_gradient(size: float) -> None:
    task = mn.Task(20 * ms, lambda r, t: smooth(r, t) * size, record=["cells.v"])

    def descend(clip: float | None) -> Tensor:
        mirror = mn.mirror(network(), train=["syn.w", "cells.tau"])
        start = [p.detach().clone() for p in mirror.parameters()]
        sgd = SGD(mirror.parameters(), lr=1.0)
        mn.fit(mirror, task, optimizer=sgd, steps=1, clip=clip, report=None)
        moved = [(p - q).flatten() for p, q in zip(mirror.parameters(), start, strict=True)]
        return torch.cat(moved).detach()

    assert float(descend(1e-2).norm()) == pytest.approx(1e-2 if size >= 1 else 0, rel=1e-3)
    if size == 1:
        assert float(descend(None).norm()) > 1e-2


def test_a_fit_prints_what_it_found() -> None:
    found = mn.Fit()
    assert str(found) == "Fit without a step."
    found.history.append(Row(0, 2.0, 1.0, (0.01,), False))
    found.history.append(Row(1, 0.5, 1.0, (0.01,), False))
    found.keep_best(1, 0.5, {"tau": torch.tensor(0.02), "g.w": torch.tensor([1.0, 3.0])})
    found.warnings["silent"] = "'g' is silent"
    said = str(found)
    assert "Fit of 2 steps: loss 2 at first, 0.5 at last." in said
    assert "tau = 0.02" in said and "g.w = 1 to 3 (2 values)" in said
    assert "Warning: 'g' is silent" in said
