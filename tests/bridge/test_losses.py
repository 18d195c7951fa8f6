"""Losses: what they are worth, that they differentiate, and what they say of wrong targets."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    mA,
    ms,
    mV,
    second,
    volt,
)
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge.losses.first_spike import latency
from mirrorneuron.bridge.losses.van_rossum import exponential
from mirrorneuron.bridge.recording import Spikes
from mirrorneuron.bridge.spikes import Events
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName
from mirrorneuron.units import Dimensions

DT = 1e-3
VOLT = Dimensions(m=2.0, kg=1.0, s=-3.0, A=-1.0)
TRIAL = mn.Trial()


def recorded(spikes: Tensor, **traces: Tensor) -> mn.Recording:
    """A recording of the group "E" with these spikes, "time batch neuron"."""
    events = {"E": [Events.of(row) for row in spikes]}
    named = {f"E.{name}": trace for name, trace in traces.items()}
    sizes = {"E": (spikes.shape[1], spikes.shape[2])}
    units = dict.fromkeys(named, VOLT)
    return mn.Recording(DT, 0, len(spikes), Spikes(events, sizes), named, {}, units)


def trains(rng: np.random.Generator, *shape: int, chance: float = 0.02) -> Tensor:
    return torch.from_numpy((rng.random(shape) < chance).astype(float))


@pytest.fixture
def spikes(rng: np.random.Generator) -> Tensor:
    return trains(rng, 400, 2, 3)


# ---- rate


def test_a_rate_is_a_share_of_its_target() -> None:
    fired = torch.zeros(1000, 1, 2)
    fired[:6, 0, 0], fired[:2, 0, 1] = 1, 1  # 6 and 2 Hz
    look = recorded(fired)
    assert mn.losses.rate("E", 4 * Hz)(look, TRIAL) == 0
    assert mn.losses.rate("E", 8 * Hz)(look, TRIAL) == pytest.approx(0.25)
    assert mn.losses.rate("E", 4 * Hz, per_neuron=True)(look, TRIAL) == pytest.approx(0.25)
    assert mn.losses.rate("E", [6, 2] * Hz)(look, TRIAL) == 0
    assert mn.losses.rate("E", 0 * Hz, scale=2 * Hz)(look, TRIAL) == pytest.approx(4)


def test_a_rate_is_counted_within_its_window() -> None:
    fired = torch.zeros(1000, 1, 1)
    fired[:5], fired[500:502] = 1, 1
    late = mn.losses.rate("E", 4 * Hz, window=(500 * ms, None))
    assert late(recorded(fired), TRIAL) == pytest.approx(0)
    with pytest.raises(DomainError, match=r"reaches beyond it: it has 1000 steps of 1 ms"):
        mn.losses.rate("E", 4 * Hz, window=(0 * ms, 2 * second))(recorded(fired), TRIAL)


@pytest.mark.parametrize("window", [10 * ms, (1 * ms, 2 * ms, 3 * ms), (), "all"])
def test_a_window_is_a_pair(window: Any) -> None:
    with pytest.raises(DomainError, match=r"the window is .*it is a pair.*\(50\*ms, None\)"):
        mn.losses.rate("E", 4 * Hz, window=window)
    pairs: list[Any] = [[10, 20] * ms, [10 * ms, 20 * ms]]
    one, other = (mn.losses.rate("E", 4 * Hz, window=pair) for pair in pairs)
    assert repr(one) == repr(other)


def test_rates_of_no_group_are_refused() -> None:
    with pytest.raises(DomainError, match="there is no group"):
        mn.losses.rate({})


def test_rates_of_trials_are_averaged_unless_each_has_its_target() -> None:
    fired = torch.zeros(1000, 2, 1)
    fired[:2, 0], fired[:6, 1] = 1, 1
    look = recorded(fired)
    assert mn.losses.rate("E", 4 * Hz)(look, TRIAL) == 0
    assert mn.losses.rate("E")(look, mn.Trial(target=[[2], [6]] * Hz)) == 0
    assert mn.losses.rate("E")(look, mn.Trial(target={"E": [[4], [4]] * Hz})) == 0.25


def test_losses_of_groups_add_up(spikes: Tensor) -> None:
    look = recorded(spikes)
    one = mn.losses.rate("E", 5 * Hz)(look, TRIAL)
    both = mn.losses.rate({"E": 5 * Hz}) + 3 * mn.losses.rate("E", 5 * Hz)
    assert both(look, TRIAL) == pytest.approx(4 * float(one))
    assert sum([mn.losses.rate("E", 5 * Hz)] * 2)(look, TRIAL) == pytest.approx(2 * float(one))


def test_any_function_joins_a_sum_and_says_what_it_records(spikes: Tensor) -> None:
    total = (lambda recording, trial: torch.tensor(2.0)) + 0.5 * mn.losses.voltage(
        "E.v", 0 * mV, scale=1 * volt
    )
    assert total.record == ("E.v",)
    assert mn.Task(1 * second, total, record=["E.w"]).recorded == ("E.w", "E.v")
    assert total(recorded(spikes, v=torch.ones(400, 2, 3)), TRIAL) == 2.5
    for weight in ("2", np.nan, np.inf):
        with pytest.raises(DomainError, match=r"loss \* .*weighted by a plain finite number"):
            weight * mn.losses.rate("E", 5 * Hz)  # type: ignore
    for constant in (5, 1.0, None):
        with pytest.raises(DomainError, match=r"loss \+ .*added to another one"):
            _ = mn.losses.rate("E", 5 * Hz) + constant


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (5, UnitError, r"the target is 5, a plain number, but has to be in \[Hz\]"),
        (5 * mV, UnitError, r"has to be in \[Hz\]"),
        ([1, 2] * Hz, ShapeError, r"shape \(2,\), but there are 2 trials of 3 neurons"),
        (0 * Hz, DomainError, "scale=1\\*Hz"),
        (np.nan * Hz, DomainError, "the target is nan"),
        ([5, -1, 5] * Hz, DomainError, "a target is -1 Hz, but no rate is below zero"),
        (None, DomainError, "there is no target"),
    ],
)
def test_a_wrong_rate_is_refused(
    spikes: Tensor, target: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mn.losses.rate("E", target)(recorded(spikes), TRIAL)


@pytest.mark.parametrize(
    "loss",
    [
        mn.losses.rate("I", 5 * Hz),
        mn.losses.van_rossum("I", {}),
        mn.losses.first_spike("I", 5 * ms),
        mn.losses.cross_entropy("I", [0, 0]),
        mn.losses.victor_purpura("I", {}),
        mn.losses.voltage("I", 5 * mV),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_an_unknown_group_is_named(spikes: Tensor, loss: Any) -> None:
    with pytest.raises(UnknownName, match="Known are"):
        loss(recorded(spikes), TRIAL)


# ---- voltage


def test_a_trace_is_measured_by_the_spread_of_its_target(rng: np.random.Generator) -> None:
    wanted = torch.from_numpy(rng.normal(-60e-3, 5e-3, (400, 2, 3)))
    look = recorded(torch.zeros(400, 2, 3), v=wanted)
    trace: Any = mn.losses.voltage("E.v", wanted)
    assert trace(look, TRIAL) == 0
    flat = recorded(torch.zeros(400, 2, 3), v=wanted.mean().expand(400, 2, 3))
    assert trace(flat, TRIAL) == pytest.approx(1)
    measured = Quantity(wanted[:, 0].numpy(), dim=volt.dim)
    assert (
        mn.losses.voltage("E.v", measured)(recorded(look.spikes["E"], v=wanted[:, :1]), TRIAL) == 0
    )
    assert mn.losses.voltage("E.v")(look, mn.Trial(target={"E.v": wanted})) == 0


def test_a_trace_is_compared_from_its_start(rng: np.random.Generator) -> None:
    v = torch.zeros(400, 1, 1)
    v[:100] = 1
    look = recorded(torch.zeros(400, 1, 1), v=v)
    assert mn.losses.voltage("E.v", 0 * mV, scale=1 * mV, start=100 * ms)(look, TRIAL) == 0
    with pytest.raises(DomainError, match="all of them before start=400 ms"):
        mn.losses.voltage("E.v", 0 * mV, scale=1 * mV, start=400 * ms)(look, TRIAL)


@pytest.mark.parametrize(
    ("target", "scale", "error", "message"),
    [
        (1 * mA, 1 * mV, UnitError, r"the target is .* has to be in \[V\]"),
        (1 * mV, 1 * mA, UnitError, r"the scale is .* has to be in \[V\]"),
        (1 * mV, 0 * mV, DomainError, "one positive number"),
        (1 * mV, None, DomainError, "the target never changes"),
        (torch.zeros(4, 3), 1 * mV, ShapeError, r"shape \(4, 3\), but the recording is"),
        (torch.full((400, 3), torch.inf), 1 * mV, DomainError, "finite number"),
    ],
)
def test_a_wrong_trace_is_refused(
    target: Any, scale: Any, error: type[Exception], message: str
) -> None:
    look = recorded(torch.zeros(400, 2, 3), v=torch.zeros(400, 2, 3))
    with pytest.raises(error, match=message):
        mn.losses.voltage("E.v", target, scale)(look, TRIAL)


# ---- van Rossum


@pytest.mark.parametrize("steps", [1, 100, 128, 129, 1000, 20000])
def test_a_filter_in_blocks_is_the_recursion(steps: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(steps, 2)), np.zeros((steps, 2))
    for k in range(steps):
        y[k] = 0.99 * y[k - 1] + x[k] if k else x[k]
    assert np.allclose(exponential(torch.from_numpy(x), 0.99).numpy(), y, rtol=0, atol=1e-11)


def test_van_rossum_is_half_the_squared_distance_of_the_analysis(spikes: Tensor) -> None:
    other = spikes.flip(0)
    found = mn.losses.van_rossum("E", other, tau=7 * ms)(recorded(spikes), TRIAL)
    pairs = [(spikes[:, b, n], other[:, b, n]) for b in range(2) for n in range(3)]
    times = [tuple(torch.nonzero(x)[:, 0].numpy() * DT for x in pair) for pair in pairs]
    expected = np.mean([mn.analysis.van_rossum(a, b, 7e-3) ** 2 / 2 for a, b in times])
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_one_spike_more_costs_one_half() -> None:
    fired = torch.zeros(50, 1, 1)
    fired[49] = 1
    assert mn.losses.van_rossum("E", {})(recorded(fired), TRIAL) == pytest.approx(0.5)


def test_targets_of_every_form_are_the_same_spikes() -> None:
    cells = NeuronGroup(3, "v : 1", threshold="int(t/ms) % (i + 2) == 0", dt=1 * ms, name="E")
    monitor = SpikeMonitor(cells)
    network = Network(cells, monitor)
    network.run(40 * ms)
    fired = torch.zeros(40, 1, 3)
    fired[np.round(monitor.t / ms).astype(int), 0, monitor.i[:]] = 1
    look = recorded(fired)
    forms: list[Any] = [
        monitor, (monitor.i, monitor.t), monitor.spike_trains(), look.spike_monitor("E"),
        look.spike_trains("E"), [monitor], fired, fired[:, 0], fired[:, 0].numpy(),
    ]  # fmt: skip
    for form in forms:
        assert mn.losses.van_rossum("E", form)(look, TRIAL) == 0
        assert mn.losses.victor_purpura("E")(look, mn.Trial(target={"E": form})) == 0
    assert mn.losses.van_rossum("E", monitor)(recorded(0 * fired), TRIAL) > 0
    twice = recorded(fired.repeat(1, 2, 1))
    assert mn.losses.van_rossum("E", [monitor, monitor])(twice, TRIAL) == 0
    alone = recorded(fired[:, :, :1])
    assert mn.losses.van_rossum("E", monitor.spike_trains()[0])(alone, TRIAL) == 0


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ({0: [0.1]}, UnitError, r"the spike times of the target .* has to be in \[s\]"),
        ({0: [0.5] * second}, DomainError, "a spike at 500 ms, but the trial has 400 ms"),
        ({3: [0.1] * second}, DomainError, "a spike of neuron 3, but 'E' has 3 neurons"),
        (torch.zeros(400, 2), ShapeError, r"shape \(400, 2\)"),
        ([5 * ms, 20 * ms], DomainError, r"a list of single times.*Write \[5, 20\]\*ms"),
        ([5, 20], DomainError, r"a list of single times.*Write \[5, 20\]\*ms"),
        ([{0: [5] * ms}], ShapeError, "a list of 1, but there are 2 trials"),
        ([{0: [5] * ms}] * 3, ShapeError, "a list of 3, but there are 2 trials"),
        ([], ShapeError, "a list of 0, but there are 2 trials"),
        (([0, 1, 2], [5, 20] * ms), ShapeError, "3 neurons and 2 times"),
        ([5, np.nan] * ms, DomainError, "spike times of the target is nan at index 1"),
        (np.full((400, 3), 0.3), DomainError, r"the value 0\.3.*number of spikes in each step"),
        (torch.full((400, 3), -1), DomainError, "the value -1.*number of spikes in each step"),
    ],
)
@pytest.mark.parametrize("loss", [mn.losses.van_rossum, mn.losses.victor_purpura])
def test_wrong_spikes_are_refused(
    loss: Any, spikes: Tensor, target: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        loss("E", target)(recorded(spikes), TRIAL)


def test_a_list_of_targets_has_one_for_each_trial(spikes: Tensor) -> None:
    """It is not spread over other trials in silence, which gave the mean over all pairs."""
    one, other = ({0: [k] * ms} for k in (5, 50))
    alone = [mn.losses.van_rossum("E", target)(recorded(spikes[:, k : k + 1]), TRIAL)
             for k, target in enumerate((one, other))]  # fmt: skip
    both = mn.losses.van_rossum("E", [one, other])(recorded(spikes), TRIAL)
    assert float(both) == pytest.approx(float(alone[0] + alone[1]) / 2)


def test_a_wrong_time_constant_is_refused() -> None:
    with pytest.raises(DomainError, match="one positive number"):
        mn.losses.van_rossum("E", {}, tau=0 * ms)
    with pytest.raises(UnitError, match=r"tau is .* has to be in \[s\]"):
        mn.losses.van_rossum("E", {}, tau=5)


# ---- first spike


def test_a_latency_is_that_of_the_first_spike_or_the_length_of_the_trial() -> None:
    fired = torch.zeros(100, 1, 3)
    fired[[10, 40], 0, 0], fired[20, 0, 1] = 1, 1
    assert latency(fired, DT).tolist()[0] == pytest.approx([0.01, 0.02, 0.1])
    asked = mn.losses.first_spike("E", [10, 20, np.inf] * ms)
    assert asked(recorded(fired), TRIAL) == pytest.approx(0, abs=1e-20)
    late = mn.losses.first_spike("E", [25, np.inf, np.inf] * ms, onset=15 * ms)
    fired[20, 0, 1] = 0
    assert late(recorded(fired), TRIAL) == pytest.approx(0, abs=1e-20)


def test_the_gradient_of_a_latency_is_what_a_spike_changes() -> None:
    fired = torch.zeros(100, 1, 1)
    fired[[30, 70]] = 1
    fired.requires_grad_()
    latency(fired, 1.0).sum().backward()
    assert fired.grad is not None
    gained = fired.grad[:, 0, 0].tolist()
    assert gained[:30] == [k - 30 for k in range(30)]  # one that comes earlier
    assert gained[30] == 30 - 70  # without the first, the second is
    assert gained[31:] == [0] * 69


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (5, UnitError, r"has to be in \[s\]"),
        ([5, 5] * ms, ShapeError, r"shape \(2,\)"),
        (-5 * ms, DomainError, "negative or NaN"),
        (0 * ms, DomainError, "scale=5\\*ms"),
    ],
)
def test_a_wrong_latency_is_refused(
    spikes: Tensor, target: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mn.losses.first_spike("E", target)(recorded(spikes), TRIAL)


def test_an_onset_lies_within_the_trial(spikes: Tensor) -> None:
    with pytest.raises(DomainError, match="not before the end of the trial"):
        mn.losses.first_spike("E", 5 * ms, onset=400 * ms)(recorded(spikes), TRIAL)
    with pytest.raises(DomainError, match="one finite time from zero on"):
        mn.losses.first_spike("E", 5 * ms, onset=-1 * ms)


# ---- cross entropy


def test_the_class_with_the_most_spikes_has_the_least_loss() -> None:
    fired = torch.zeros(100, 2, 3)
    fired[:5, 0, 1], fired[:5, 1, 2] = 1, 1
    right, wrong = ([1, 2], [0, 0])
    least = mn.losses.cross_entropy("E", right)(recorded(fired), TRIAL)
    assert float(least) == pytest.approx(np.log(1 + 2 * np.exp(-5)))
    assert mn.losses.cross_entropy("E")(recorded(fired), mn.Trial(target=wrong)) > least


def test_a_readout_with_a_unit_needs_a_scale() -> None:
    v = torch.zeros(100, 1, 2)
    v[50, 0, 1] = 4e-3
    look = recorded(torch.zeros(100, 1, 2), v=v)
    found = mn.losses.cross_entropy("E.v", [1], scale=2 * mV)(look, TRIAL)
    assert float(found) == pytest.approx(np.log(1 + np.exp(-2)))
    with pytest.raises(DomainError, match="scale=1\\*mV for a voltage"):
        mn.losses.cross_entropy("E.v", [1])(look, TRIAL)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [([0], ShapeError, "there are 2 trials"), ([0, 3], DomainError, "no whole number from 0 to 2")],
)
def test_wrong_labels_are_refused(
    spikes: Tensor, labels: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mn.losses.cross_entropy("E", labels)(recorded(spikes), TRIAL)


# ---- Victor and Purpura


def test_victor_purpura_is_that_of_the_analysis(spikes: Tensor) -> None:
    other = spikes.flip(0)
    found = mn.losses.victor_purpura("E", other, cost=40 * Hz)(recorded(spikes), TRIAL)
    pairs = [(spikes[:, b, n], other[:, b, n]) for b in range(2) for n in range(3)]
    times = [tuple(torch.nonzero(x)[:, 0].numpy() * DT for x in pair) for pair in pairs]
    expected = np.mean([mn.analysis.victor_purpura(a, b, 40.0) for a, b in times])
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_the_gradient_of_victor_purpura_is_what_one_spike_changes(
    rng: np.random.Generator,
) -> None:
    fired = trains(rng, 60, 1, 1, chance=0.1).requires_grad_()
    loss = mn.losses.victor_purpura("E", trains(rng, 60, 1, 1, chance=0.1), cost=80 * Hz)
    whole = loss(recorded(fired), TRIAL)
    whole.backward()
    assert fired.grad is not None
    for k in range(60):
        other = fired.detach().clone()
        other[k] = 1 - other[k]
        change = (loss(recorded(other), TRIAL) - whole.detach()) * (2 * other[k] - 1)
        assert fired.grad[k].item() == pytest.approx(change.item(), abs=1e-12)


# ---- all of them


@pytest.mark.parametrize(
    "loss",
    [
        mn.losses.rate("E", [20, 30, 40] * Hz),
        mn.losses.van_rossum("E", {0: [3, 50] * ms, 2: [7] * ms}),
        mn.losses.first_spike("E", 5 * ms),
        mn.losses.cross_entropy("E", [0, 2]),
        mn.losses.rate("E", 20 * Hz) + 0.1 * mn.losses.first_spike("E", 5 * ms),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_gradient_is_that_of_finite_differences(loss: Any, rng: np.random.Generator) -> None:
    chances = torch.from_numpy(rng.uniform(0.1, 0.9, (140, 2, 3))).requires_grad_()

    def of(spikes: Tensor) -> Tensor:
        return loss(recorded(spikes), TRIAL)

    assert torch.autograd.gradcheck(of, (chances,), fast_mode=True)


def test_the_gradient_of_a_trace_is_that_of_finite_differences(rng: np.random.Generator) -> None:
    loss = mn.losses.voltage("E.v", torch.from_numpy(rng.normal(size=(20, 3))))
    spikes, v = torch.zeros(20, 2, 3), torch.from_numpy(rng.normal(size=(20, 2, 3)))
    assert torch.autograd.gradcheck(
        lambda x: loss(recorded(spikes, v=x), TRIAL), (v.requires_grad_(),)
    )


def test_a_network_is_trained_by_a_sum_of_losses() -> None:
    cells = NeuronGroup(
        2, "dv/dt = (drive - v)/(10*ms) : volt\ndrive : volt (constant)\ndepth = -v : volt",
        threshold="v > 10*mV", reset="v = 0*mV", method="exact", name="cells",
    )  # fmt: skip
    cells.drive = 10.5 * mV
    model = mn.mirror(Network(cells), train=["cells.drive"], dtype=torch.float64)
    loss = mn.losses.rate("cells", 60 * Hz) + 0.01 * mn.losses.voltage(
        "cells.depth", -5 * mV, scale=5 * mV
    )
    done = mn.fit(model, mn.Task(100 * ms, loss), steps=25, report=None)
    assert done.losses[-1] < 0.2 * done.losses[0]


def test_a_state_monitor_is_a_target() -> None:
    cells = NeuronGroup(2, "dv/dt = (10*mV - v)/(10*ms) : volt", method="exact", name="cells")
    monitor = StateMonitor(cells, "v", record=True)
    network = Network(cells, monitor)
    model = mn.mirror(network, dtype=torch.float64)
    network.run(5 * ms)
    loss = mn.losses.voltage("cells.v", monitor)
    assert loss(model.run(5 * ms, record=["cells.v"]), TRIAL).item() == 0
    with pytest.raises(UnknownName, match="the monitor's variable 'u' is not known"):
        mn.losses.voltage("cells.u", monitor)
