"""Laws of trained delays: Brian2's spikes on whole steps, a gradient in between, rounding told."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, start_scope

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, GradientError, UnitError

STEPS, DT = 80, 0.5


def network(delays: Any = None, on_pre: str = "g_post += w", model: str = "w : 1") -> Network:
    """Four inputs reach three cells after delays of many lengths, or of one for all."""
    start_scope()
    step: Any = DT * ms
    source = SpikeGeneratorGroup(4, [0, 1, 2, 3], [2, 4, 6, 8] * ms, dt=step, name="inp")
    cells = NeuronGroup(
        3, "dv/dt = (g - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", dt=step, name="E",
    )  # fmt: skip
    shared: dict[str, Any] = {"delay": 3 * ms} if delays is None else {}
    way: Any = Synapses(source, cells, model, on_pre=on_pre, dt=step, name="s", **shared)
    way.connect()
    way.w = np.linspace(0.8, 1.5, 12)
    if delays is not None:
        way.delay = np.asarray(delays) * ms
    return Network(source, cells, way)


def mirrored(delays: Any = None, **options: Any) -> mn.Mirror:
    options = {"dtype": torch.float64, "train": ["s.w", "s.delay"]} | options
    return mn.mirror(network(delays), **options)


def loss(model: mn.Mirror) -> torch.Tensor:
    """A loss that hears when input comes."""
    ramp = torch.linspace(0, 1, STEPS, dtype=torch.float64)[:, None, None]
    return (model.run(STEPS * DT * ms, record=["E.g"])["E.g"] * ramp).sum()


DELAYS: dict[str, Any] = {"one for all": None, "each its own": np.arange(12) % 5}


@pytest.mark.parametrize("delays", DELAYS.values(), ids=DELAYS)
def test_on_whole_steps_nothing_differs(delays: Any) -> None:
    with_delay, without = mirrored(delays), mirrored(delays, train=["s.w"])
    found, expected = (m.run(STEPS * DT * ms, record=["E.g"]) for m in (with_delay, without))
    assert torch.equal(found.spikes["E"], expected.spikes["E"]) and found.spikes["E"].sum() > 1
    assert torch.equal(found["E.g"], expected["E.g"])


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize("delays", DELAYS.values(), ids=DELAYS)
def test_the_gradient_is_that_of_differences(delays: Any, backend: str) -> None:
    model = mirrored(delays, backend=backend)
    with torch.no_grad():
        model.parameter("s.delay").add_(0.2e-3)
    loss(model).backward()
    slopes = model.parameter("s.delay").grad
    assert slopes is not None
    small = 1e-6
    for k in range(slopes.numel()):
        sides: list[float] = []
        for way in (small, -small):
            with torch.no_grad():
                model.parameter("s.delay").view(-1)[k] += way
                sides.append(float(loss(model)))
                model.parameter("s.delay").view(-1)[k] -= way
        expected = (sides[0] - sides[1]) / (2 * small)
        assert float(slopes.view(-1)[k]) == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_on_a_whole_step_the_gradient_is_the_mean_of_both_sides() -> None:
    model = mirrored(DELAYS["each its own"])
    loss(model).backward()
    here = model.parameter("s.delay").grad
    sides: list[torch.Tensor] = []
    for way in (1e-7, -1e-7):
        other = mirrored(DELAYS["each its own"])
        with torch.no_grad():
            other.parameter("s.delay").add_(way)
        loss(other).backward()
        sides.append(other.parameter("s.delay").grad.clone())  # type: ignore[union-attr]
    inside = np.flatnonzero(DELAYS["each its own"] > 0)
    mean = (sides[0] + sides[1]) / 2
    assert here is not None
    assert torch.allclose(here[inside], mean[inside], rtol=1e-5)


def test_delays_are_learnt_and_rounding_is_told() -> None:
    target = mirrored(np.array([0, 1, 2, 3, 4, 5, 6, 7, 3, 2, 1, 4]), train=[])
    wanted = target.run(STEPS * DT * ms, record=["E.g"])["E.g"].float()
    net = network(np.full(12, 3.0))
    model = mn.mirror(net, train={"s.delay": mn.Bounded(0 * ms, 10 * ms)})
    task = mn.Task(
        STEPS * DT * ms, lambda r, t: (r["E.g"] - wanted).square().mean(), record=["E.g"]
    )
    done = mn.fit(model, task, optimizer=lambda p: torch.optim.Adam(p, lr=0.05), steps=150,
                  report=None)  # fmt: skip
    assert done.losses[-1] < 0.3 * done.losses[0]
    written = model.write_back()
    assert "s.delay rounded to steps of 0.5 ms, by" in repr(written)
    delays = np.array(net["s"].delay)
    assert np.allclose(delays / 0.5e-3, np.round(delays / 0.5e-3))
    assert np.abs(delays - model.parameter("s.delay").detach().numpy()).max() <= 0.25001e-3
    twin = mn.mirror(net, dtype=torch.float64)
    assert mn.validate(net, twin, STEPS * DT * ms, namespace={}).ok


def test_what_has_no_share_is_refused() -> None:
    net = network(on_pre="g_post += w; u += 1", model="w : 1\nu : 1")
    with pytest.raises(GradientError, match="s_pre also changes 'u', which has no share"):
        mn.mirror(net, train=["s.delay"])
    with pytest.raises(
        DomainError, match=r"Write train=\{'s.delay': mn.Bounded\(0\*ms, 20\*ms\)\}"
    ):
        mn.mirror(network(), train={"s.delay": mn.Positive()})
    with pytest.raises(UnitError, match="upper bound"):
        mn.mirror(network(), train={"s.delay": mn.Bounded(0 * mV, 1 * mV)})
