"""Neurons that run away: where they decide on a spike, and what a shift is worth on the way."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, defaultclock, ms, mV

import mirrorneuron as mn
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.upstroke import Upstroke

TAU, DRIVE = 10.0, 0.25
EXPONENTIAL = "dv/dt = (-65*mV - v + D*exp((v + 50*mV)/D) + 17*mV)/(15*ms) : volt\nD : volt"


@pytest.fixture(autouse=True)
def step() -> Iterator[None]:
    yield
    defaultclock.dt = 0.1 * ms


def quadratic(dt: float, drive: float = DRIVE, size: int = 1) -> Any:
    defaultclock.dt = dt * ms
    return NeuronGroup(
        size, f"dv/dt = (v**2 + drive)/({TAU}*ms) : 1\ndrive : 1", threshold="v > 8",
        reset="v = -8", method="euler", name="cells",
    )  # fmt: skip


def mirrored(cells: Any, *keys: str) -> Mirror:
    return mn.mirror(Network(cells), train=list(keys), dtype=torch.float64)


def found(model: Mirror) -> Upstroke:
    reset = model.gradients["cells.spike"].reset
    assert reset is not None and reset.upstroke is not None
    return reset.upstroke


def period(drive: float) -> float:
    """Time of a quadratic neuron from reset to threshold [ms]."""
    return 2 * TAU / np.sqrt(drive) * np.arctan(8 / np.sqrt(drive))


def test_an_upstroke_begins_at_the_least_velocity_and_is_decided_at_the_unstable_point() -> None:
    cells = quadratic(0.1)
    cells.drive = -1
    here = found(mirrored(cells))
    assert here.begins.item() == pytest.approx(8, abs=0.25)
    assert here.decides.item() == pytest.approx(7, abs=0.25)
    assert here.rest.item() == pytest.approx(1, abs=0.25)
    assert here.leak.item() == pytest.approx(0.1 * 2 * 0.5 / TAU, rel=0.3)


def test_the_upstroke_of_a_cell_that_bursts_begins_below_its_reset() -> None:
    defaultclock.dt = 0.1 * ms
    cells: Any = NeuronGroup(
        2, f"dv/dt = (v**2 - 0.5)/({TAU}*ms) : 1\nc : 1", threshold="v > 8", reset="v = c",
        method="euler", name="cells",
    )  # fmt: skip
    cells.c = [-4, 3]
    here = found(mirrored(cells))
    assert here.begins.tolist() == pytest.approx([8, 8], abs=0.2)
    assert here.span.tolist() == pytest.approx([12, 8], abs=0.2)
    assert here.decides.tolist() == pytest.approx([8 - np.sqrt(0.5)] * 2, abs=0.25)


def test_with_enough_drive_it_is_decided_where_it_begins() -> None:
    cells = quadratic(0.1)
    cells.drive = DRIVE
    here = found(mirrored(cells))
    assert here.decides.item() == here.begins.item()


@pytest.mark.parametrize("margin", [-8.0, -7.0, -5.0, -1.0])
@pytest.mark.parametrize("drive", [0.5, 2.0])
def test_a_shift_is_worth_its_time_over_the_period(margin: float, drive: float) -> None:
    cells = quadratic(0.1)
    cells.drive = -0.01  # the drive comes as input
    speed = torch.tensor([[0.1 * drive / TAU]], dtype=torch.float64)
    here = found(mirrored(cells)).here(torch.tensor([[margin]], dtype=torch.float64), speed)
    expected = ((margin + 8) ** 2 + drive) / TAU * period(drive)
    assert here.depth.item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("dt", [0.05, 0.2])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_the_spikes_of_a_shift_are_those_of_the_time_that_it_saves(dt: float, start: float) -> None:
    cells = quadratic(dt)
    cells.drive, cells.v = DRIVE, start
    model = mirrored(cells, "cells.v") if start else mirrored(cells, "cells.drive")
    key = "cells.v" if start else "cells.drive"
    length = 2.5 * period(DRIVE)
    model.run(length * ms).spikes["cells"].sum().backward()
    gradient = float(model.parameter(key).grad)
    if start:
        expected = TAU / (start**2 + DRIVE) / period(DRIVE)
    else:
        small = 1e-4
        rates = [1 / period(DRIVE + x) for x in (small, -small)]
        expected = length * (rates[0] - rates[1]) / (2 * small)
    assert gradient == pytest.approx(expected, rel=0.2)


def exponential(cut: float, sharpness: float = 2.0) -> list[float]:
    """Gradients of the number of spikes of noisy exponential neurons, cut off at `cut` [mV]."""
    defaultclock.dt = 0.1 * ms
    cells: Any = NeuronGroup(
        20, EXPONENTIAL.replace("+ 17*mV", "+ 17*mV + 2*mV*sqrt(30*ms)*xi"),
        threshold=f"v > {cut}*mV", reset="v = -60*mV", method="euler", name="cells",
    )  # fmt: skip
    cells.v, cells.D = "-60*mV + i*0.4*mV", sharpness * mV
    model = mirrored(cells, "cells.D", "cells.v")
    spikes = model.run(100 * ms, seed=1).spikes["cells"].sum()
    assert spikes > 40
    spikes.backward()
    parameters = (model.parameter(key) for key in ("cells.D", "cells.v"))
    return [float((x.grad * x.detach()).sum()) for x in parameters]


def test_the_numeric_cut_off_of_an_upstroke_does_not_matter() -> None:
    near, far = exponential(-35), exponential(0)
    assert near[1] == pytest.approx(far[1], rel=0.1)
    assert abs(near[0] - far[0]) < 0.1 * abs(near[1])


@pytest.mark.parametrize("dt", [0.1, 0.5, 1.0])
def test_gradients_do_not_run_away_with_the_potential(dt: float) -> None:
    """Izhikevich's neuron overshoots by hundreds of millivolts where a step is long."""
    defaultclock.dt = dt * ms
    cells: Any = NeuronGroup(
        5, "dv/dt = 0.04/ms/mV*v**2 + 5/ms*v + 140*mV/ms - u + I : volt\n"
        "du/dt = 0.02/ms*(0.2/ms*v - u) : volt/second\nI : volt/second",
        threshold="v > 30*mV", reset="v = -65*mV; u += 8*mV/ms", method="euler", name="cells",
    )  # fmt: skip
    cells.v, cells.u, cells.I = -65 * mV, -13 * mV / ms, "(8 + i)*mV/ms"
    model = mirrored(cells, "cells.I")
    spikes = model.run(500 * ms).spikes["cells"].sum(dim=(0, 1))
    spikes.sum().backward()
    along = model.parameter("cells.I").grad * model.parameter("cells.I").detach()
    assert bool((along > 0.3 * spikes).all()) and bool((along < 3 * spikes).all())


def test_neither_spikes_nor_random_numbers_depend_on_the_gradient() -> None:
    defaultclock.dt = 0.1 * ms
    cells: Any = NeuronGroup(
        10, EXPONENTIAL.replace("+ 17*mV", "+ 15*mV + 3*mV*sqrt(30*ms)*xi") .replace(
            ": volt\nD", ": volt (unless refractory)\nD"),
        threshold="v > -30*mV", reset="v = -60*mV + 2*mV*rand()", refractory=2 * ms,
        method="euler", name="cells",
    )  # fmt: skip
    cells.v, cells.D = -60 * mV, 2 * mV
    model = mirrored(cells, "cells.D")
    with torch.no_grad():
        plain = model.run(100 * ms, record=["cells.v"], seed=3)
    carrying = model.run(100 * ms, record=["cells.v"], seed=3)
    assert carrying.spikes["cells"].requires_grad and plain.spikes["cells"].sum() > 5
    assert torch.equal(plain["cells.v"], carrying["cells.v"].detach())


def test_a_group_may_hold_cells_that_run_away_and_others() -> None:
    cells: Any = NeuronGroup(
        2, "dv/dt = (k*v**2 - v + 1.5)/(10*ms) : 1\nk : 1", threshold="v > 2", reset="v = 0",
        method="euler", name="cells",
    )  # fmt: skip
    cells.k = [0, 1]
    here = found(mirrored(cells))
    assert here.begins.tolist() == pytest.approx([0, 1.5], abs=0.05)
    gradient = mirrored(cells).gradients["cells.spike"]
    assert gradient.reset is not None
    at, still = torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    slope, share = gradient.passage(at, still)
    assert (slope * share * gradient.reset.depth)[0].tolist() == pytest.approx([1, 1])


def test_the_report_says_where_the_upstroke_begins() -> None:
    cells: Any = NeuronGroup(
        2, EXPONENTIAL, threshold="v > -30*mV", reset="v = -60*mV", method="euler", name="cells"
    )
    cells.D = 2 * mV
    said = re.search(r"30 mV deep, and its upstroke from ([\d.]+) mV", str(mirrored(cells).report))
    assert said is not None and float(said[1]) == pytest.approx(20, abs=0.5)
