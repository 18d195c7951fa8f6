"""Fluctuation-driven weights: published values, laws of balance and share, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    Quantity,
    Synapses,
    defaultclock,
    ms,
    mV,
    nS,
    second,
    volt,
)  # fmt: skip

import mirrorneuron as mn
from mirrorneuron.bridge.init.moments import Drive, exponential, normal, shares
from mirrorneuron.errors import DomainError, DomainWarning, UnitError, UnknownName

CURRENT = "du/dt = (I - u)/tm : 1\ndI/dt = -I/ts : 1"


def decaying(tau: Quantity) -> Quantity:
    """A time constant with which a step of Euler's method decays by exp(-dt/tau)."""
    return defaultclock.dt / (1 - np.exp(-defaultclock.dt / tau))


def layered(
    tm: Any = 20 * ms, ts: Any = 10 * ms, dt: Any = 2 * ms, inputs: int = 20, hidden: int = 128,
    train: Any = ("ih.w", "ho.w"), recurrent: bool = False,
) -> mn.Mirror:  # fmt: skip
    """Inputs, a hidden layer, and a readout that does not spike."""
    defaultclock.dt = dt
    names = {"tm": decaying(tm), "ts": decaying(ts)}
    spiking: dict[str, Any] = {"threshold": "u > 1", "reset": "u = 0"}
    source = PoissonGroup(inputs, 5 * Hz, name="inputs")
    layer = NeuronGroup(hidden, CURRENT, method="euler", name="hidden", namespace=names, **spiking)
    readout = NeuronGroup(10, CURRENT, method="euler", name="readout", namespace=names)
    ih = Synapses(source, layer, "w : 1", on_pre="I += w", name="ih")
    ho = Synapses(layer, readout, "w : 1", on_pre="I += w", name="ho")
    hh = Synapses(layer, layer, "w : 1", on_pre="I += w", name="hh")
    for some in (ih, ho, hh):
        some.connect()
    objects = [source, layer, readout, ih, ho, *([hh] if recurrent else [])]
    return mn.mirror(Network(objects), train=train)


# ---- kernels


@pytest.mark.parametrize(
    ("tm", "ts", "dt", "mean", "square"),
    [
        (20, 10, 0.1, 1.0049e-2, 1.6834e-3),
        (20, 10, 1.0, 1.0507e-2, 1.842e-3),
        (20, 5, 1.0, 5.516e-3, 6.097e-4),
        (10, 5, 1.0, 5.516e-3, 1.0178e-3),
    ],
)
def test_kernels_are_those_of_the_published_recurrence(
    tm: float, ts: float, dt: float, mean: float, square: float
) -> None:
    model = layered(tm * ms, ts * ms, dt * ms, hidden=3, train=["ih.w"])
    row = mn.init.fluctuation_driven(model, rate=5 * Hz)["ih.w"]
    assert row.kernel.mean == pytest.approx(np.full(3, mean), rel=2e-4)
    assert row.kernel.square == pytest.approx(np.full(3, square), rel=2e-4)


def test_kernels_of_fine_steps_are_the_analytic_ones() -> None:
    model = layered(20 * ms, 10 * ms, 0.05 * ms, hidden=1, inputs=1, train=["ih.w"])
    found = mn.init.fluctuation_driven(model, rate=5 * Hz)["ih.w"].kernel
    assert found.mean[0] == pytest.approx(10e-3, rel=5e-3)
    assert found.square[0] == pytest.approx(10e-3**2 / (2 * 30e-3), rel=1e-2)


def test_the_kernel_of_a_delta_synapse_is_that_of_the_membrane() -> None:
    source = PoissonGroup(2, 5 * Hz, name="inputs")
    cells = NeuronGroup(3, "dv/dt = -v/(20*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV",
                        method="exact", name="cells")  # fmt: skip
    ee = Synapses(source, cells, "w : volt", on_pre="v += w", name="ee", delay=3 * ms)
    ee.connect()
    model = mn.mirror(Network(source, cells, ee), train=["ee.w"])
    row = mn.init.fluctuation_driven(model, rate=5 * Hz, xi=2)["ee.w"]
    decay = np.exp(-0.1 / 20)
    assert row.kernel.mean[0] == pytest.approx(1e-4 * decay / (1 - decay), rel=1e-5)
    assert row.kernel.square[0] == pytest.approx(1e-4 * decay**2 / (1 - decay**2), rel=1e-5)
    assert row.kernel.square[0] == pytest.approx(10e-3, rel=0.01)
    assert row.deviation[0] == pytest.approx(5e-3 / np.sqrt(2 * 5 * row.kernel.square[0]))


# ---- weights


def test_weights_are_those_of_the_published_network() -> None:
    model = layered()
    start = mn.init.fluctuation_driven(model, rate=5 * Hz, sigma_u={"readout.u": 1.0}, seed=3)
    assert start["ih.w"].deviation[0] == pytest.approx(2.216, abs=5e-4)
    assert start["ho.w"].deviation[0] == pytest.approx(0.876, abs=5e-4)
    weights = model.parameter("ih.w").detach()
    assert weights.std() == pytest.approx(2.216, rel=0.05)
    assert abs(weights.mean()) < 0.15
    assert str(start).splitlines()[1].split()[:3] == ["ih.w", "inputs", "hidden"]


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    model = layered(hidden=4, train=["ih.w"])
    drawn = []
    for seed in (1, 1, 2):
        mn.init.fluctuation_driven(model, rate=5 * Hz, seed=seed)
        drawn.append(model.parameter("ih.w").detach().clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_size_of_a_parameter_is_that_of_its_new_weights() -> None:
    model = layered(hidden=4, train=["ih.w"])
    mn.init.fluctuation_driven(model, rate=5 * Hz)
    raw = model.parameter_groups()[0]["params"][0]
    assert 0.5 < raw.square().mean().sqrt() < 2


def test_a_layer_drives_itself_by_its_share_of_the_variance() -> None:
    model = layered(train=["ih.w", "hh.w"], recurrent=True)
    start = mn.init.fluctuation_driven(model, rate=5 * Hz, alpha=0.8, xi=2)
    ahead, back = (start[key] for key in ("ih.w", "hh.w"))
    power = [r.fan_in[0] * r.rate * r.kernel.square[0] * r.deviation[0] ** 2 for r in (ahead, back)]
    assert power[0] == pytest.approx(0.8 / 4, rel=1e-9)
    assert power[1] == pytest.approx(0.2 / 4, rel=1e-9)


def test_the_rate_of_a_layer_is_found_where_it_is_not_given() -> None:
    model = layered()
    start = mn.init.fluctuation_driven(
        model, {"inputs": 5 * Hz}, sigma_u={"readout.u": 1.0}, observe=0.5 * second
    )
    assert 3 < start.rates["hidden"] < 30
    assert start["ho.w"].rate == start.rates["hidden"]


def test_a_layer_that_drives_itself_is_run_until_its_rate_agrees_with_itself() -> None:
    model = layered(train=["ih.w", "hh.w"], recurrent=True)
    start = mn.init.fluctuation_driven(model, {"inputs": 5 * Hz}, observe=1 * second)
    rates = model.run(1 * second, {"inputs": poisson(500, 20, 5 * 2e-3)}).rates()
    assert start.rates["hidden"] == pytest.approx(rates["hidden"], rel=0.25)


def poisson(steps: int, size: int, chance: float) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(5).random((steps, 1, size)) < chance)


def test_a_mean_that_is_wanted_comes_with_the_same_fluctuations() -> None:
    drives = [drive(40, 0.01, 1e-3), drive(10, 0.02, 4e-3, recurrent=True)]
    sigma, mu = np.full(2, 0.5), np.full(2, 0.3)
    found = normal(drives, sigma, mu, 0.9)
    mean = sum(d.fan_in * d.rate * d.mean * m.mean for d, m in zip(drives, found, strict=True))
    power = sum(d.power * (m.mean**2 + m.deviation**2) for d, m in zip(drives, found, strict=True))
    assert mean == pytest.approx(mu, rel=1e-12)
    assert power == pytest.approx(sigma**2, rel=1e-12)
    with pytest.raises(DomainError, match=r"already let the membrane fluctuate more"):
        normal(drives, sigma, np.full(2, 300.0), 0.9)


def drive(
    count: int, mean: float, square: float, recurrent: bool = False, sign: int = 0, key: str = ""
) -> Drive:
    return Drive(
        key or f"{count}", np.full(2, count), 8.0, np.full(2, mean), np.full(2, square), recurrent,
        sign,
    )  # fmt: skip


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("alpha", [0.9, 0.5])
def test_dales_law_balances_excitation_with_inhibition(recurrent: bool, alpha: float) -> None:
    ahead = drive(100, 0.010, 1.7e-3, sign=1, key="f")
    back = [drive(128, 0.010, 1.7e-3, recurrent=True, sign=1, key="r")] if recurrent else []
    inhibitory = drive(32, 0.020, 5e-3, recurrent=True, sign=-1, key="i")
    drives = [ahead, *back, inhibitory]
    found = exponential(drives, np.full(2, 0.5), np.zeros(2), alpha)
    means = [d.fan_in * d.mean * m.mean for d, m in zip(drives, found, strict=True)]
    powers = [2 * d.power * m.mean**2 for d, m in zip(drives, found, strict=True)]
    assert abs(sum(means)).max() < 1e-12 * abs(means[0]).max()
    assert sum(powers) == pytest.approx(np.full(2, 0.25), rel=1e-12)
    if recurrent:
        assert powers[0] / (powers[0] + powers[1]) == pytest.approx(np.full(2, alpha), rel=1e-12)


def test_dales_law_gives_the_published_closed_forms() -> None:
    nu, xi, theta, alpha = 8.0, 2.0, 1.0, 0.9
    n_f, n_r, n_i, mean_e, mean_i, square_e, square_i = 100, 128, 32, 0.01, 0.02, 1.7e-3, 5e-3
    f = drive(n_f, mean_e, square_e, sign=1, key="f")
    r = drive(n_r, mean_e, square_e, recurrent=True, sign=1, key="r")
    i = drive(n_i, mean_i, square_i, recurrent=True, sign=-1, key="i")
    sigma = np.full(2, theta / xi)
    d = n_i * mean_i / (n_f * mean_e)
    lambda_e = xi * np.sqrt(2 * nu) * np.sqrt(d**2 * n_f * square_e + n_i * square_i) / (theta * d)
    ours = exponential([f, i], sigma, np.zeros(2), alpha)
    assert 1 / ours[0].mean == pytest.approx(np.full(2, lambda_e), rel=1e-12)
    assert -1 / ours[1].mean == pytest.approx(np.full(2, d * lambda_e), rel=1e-12)
    d_r = np.sqrt(alpha * n_r / ((1 - alpha) * n_f))
    d = d_r * n_i * mean_i / (mean_e * (d_r * n_f + n_r))
    inner = d**2 * square_e * n_r + d_r**2 * (n_f * d**2 * square_e + n_i * square_i)
    lambda_f = xi * np.sqrt(2 * nu) * np.sqrt(inner) / (theta * d * d_r)
    ours = exponential([f, r, i], sigma, np.zeros(2), alpha)
    assert [1 / abs(m.mean[0]) for m in ours] == pytest.approx(
        [lambda_f, d_r * lambda_f, d * lambda_f], rel=1e-12
    )


def test_shares_are_those_of_the_kinds_that_reach_a_neuron() -> None:
    counts = [[5, 5, 0], [5, 0, 0], [3, 3, 3]]
    drives = [
        Drive(str(k), np.array(n), 1.0, np.ones(3), np.ones(3), recurrent)
        for k, (n, recurrent) in enumerate(zip(counts, (False, False, True), strict=True))
    ]
    found = np.stack(shares(drives, 0.8)) * (np.array(counts) > 0)
    assert found == pytest.approx(np.array([[0.4, 0.8, 0], [0.4, 0, 0], [0.2, 0.2, 1.0]]))


def balanced(limit: Any = None) -> mn.Mirror:
    """Conductances of two kinds onto one layer."""
    equations = """
    dv/dt = (-70*mV - v + (ge*(0*mV - v) + gi*(-80*mV - v))/(10*nS))/(20*ms) : volt
    dge/dt = -ge/(5*ms) : siemens
    dgi/dt = -gi/(10*ms) : siemens"""
    cells = NeuronGroup(40, equations, threshold="v > -50*mV", reset="v = -70*mV", name="cells",
                        method="euler")  # fmt: skip
    cells.v = -70 * mV
    e, i = (PoissonGroup(n, 10 * Hz, name=name) for n, name in ((200, "e"), (50, "i")))
    ee = Synapses(e, cells, "w : siemens", on_pre="ge += w", name="ee")
    ei = Synapses(i, cells, "w : siemens", on_pre="gi += w", name="ei")
    ee.connect()
    ei.connect()
    ee.w = ei.w = 1 * nS
    limits = {"ee.w": limit or mn.Positive(), "ei.w": mn.Positive()}
    return mn.mirror(Network(e, i, cells, ee, ei), train=limits)


def test_conductances_are_balanced_and_positive_and_write_back() -> None:
    model = balanced()
    start = mn.init.fluctuation_driven(model, rate=10 * Hz, xi=3)
    for key in ("ee.w", "ei.w"):
        weights = model.parameter(key).detach()
        assert (weights > 0).all()
        assert weights.mean() == pytest.approx(start[key].deviation[0], rel=0.1)
        assert float(weights.std()) == pytest.approx(float(weights.mean()), rel=0.1)
    e, i = (start[key] for key in ("ee.w", "ei.w"))
    means = [r.fan_in[0] * r.rate * r.kernel.mean[0] * r.mean[0] for r in (e, i)]
    assert sum(means) == pytest.approx(0, abs=1e-9 * abs(means[0]))
    model.write_back()
    objects = {o.name: o for o in model.network.objects}
    assert np.asarray(objects["ee"].w) == pytest.approx(model.parameter("ee.w").detach().numpy())


def test_rescaled_conductances_fluctuate_as_far_as_wanted() -> None:
    model = balanced()
    plain = mn.init.fluctuation_driven(model, rate=10 * Hz, xi=2)
    found = mn.init.fluctuation_driven(model, rate=10 * Hz, xi=2, rescale=0.2 * second)
    assert found["ee.w"].deviation[0] > 1.2 * plain["ee.w"].deviation[0]


# ---- what is refused


def test_conductances_of_both_signs_are_refused() -> None:
    model = single("dv/dt = (g*10*mV/nS - v)/(20*ms) : volt\ndg/dt = -g/(5*ms) : siemens", "g += w",
                   "w : siemens")  # fmt: skip
    with pytest.raises(DomainError, match=r"are conductances .*half would be negative.*Positive"):
        mn.init.fluctuation_driven(model, rate=10 * Hz)


def test_weights_with_and_without_a_sign_do_not_meet() -> None:
    with pytest.raises(DomainError, match=r"ei.w keeps its sign and ee.w need not.*mn.Sign\(\)"):
        mn.init.fluctuation_driven(balanced(mn.Free()), rate=10 * Hz)


def test_signs_that_are_mixed_are_refused() -> None:
    model = single("dv/dt = -v/(20*ms) : volt", train={"ee.w": mn.Sign()})
    with pytest.raises(DomainError, match=r"ee.w keeps the signs .*Make two Synapses of it"):
        mn.init.fluctuation_driven(model, rate=5 * Hz)


def test_limits_that_cut_off_weights_are_said() -> None:
    model = balanced(mn.Bounded(0 * nS, 2 * nS))
    with pytest.warns(DomainWarning, match=r"% of the weights ee.w lie beyond"):
        mn.init.fluctuation_driven(model, rate=10 * Hz, xi=1)
    assert model.parameter("ee.w").max() <= 2e-9 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"rate": 5 * mV}, UnitError, "that of 'inputs'"),
        ({"rate": 0 * Hz}, DomainError, "one number above zero, as silent inputs"),
        ({"rate": {"input": 5 * Hz}}, UnknownName, "inputs"),
        ({"rate": {"hidden": 5 * Hz}}, DomainError, "the rates of inputs are not given"),
        ({"xi": 0}, DomainError, r"xi=0.*above 0"),
        ({"alpha": 1.5}, DomainError, r"alpha=1.5.*at most 1"),
        ({"mu": 2.0}, DomainError, "above its threshold, so that it fires without"),
        ({"mu": 2 * mV}, UnitError, "mu"),
        ({"sigma_u": {"hiden": 1.0}}, UnknownName, "hidden"),
        ({"sigma_u": {"hidden.x": 1.0}}, UnknownName, "hidden.x"),
        ({"sigma_u": {"hidden": -1.0}}, DomainError, "one finite positive value"),
        ({"weights": ["ho.w"]}, DomainError, r"'readout', in which they end, has no threshold"),
        ({"weights": ["hh.w"]}, UnknownName, "hh.w"),
        ({"weights": "ih.w"}, DomainError, r"a list of names.*weights=\['ih.w'\]"),
        ({"observe": 1 * mV}, UnitError, "observe"),
        ({"seed": -1}, DomainError, "a whole number from 0 on"),
        ({"rescale": 0 * ms}, DomainError, "one time of at least a step"),
    ],
)
def test_nonsense_is_refused(arguments: Any, error: type[Exception], says: str) -> None:
    model = layered(hidden=3)
    with pytest.raises(error, match=says):
        mn.init.fluctuation_driven(model, **{"rate": 5 * Hz, **arguments})


def test_what_is_left_is_said() -> None:
    start = mn.init.fluctuation_driven(layered(hidden=3), rate=5 * Hz)
    assert [row.key for row in start.rows] == ["ih.w"]
    assert "ho.w was left: 'readout' has no threshold" in str(start)
    with pytest.raises(UnknownName, match=r"start\['ho.w'\]"):
        start["ho.w"]


def single(equations: str, on_pre: str = "v += w", weight: str = "w : volt", **more: Any) -> Any:
    source = PoissonGroup(2, 5 * Hz, name="inputs")
    cells = NeuronGroup(2, equations, threshold="v > 10*mV", reset="v = 0*mV", method="euler",
                        name="cells")  # fmt: skip
    ee = Synapses(source, cells, weight, on_pre=on_pre, name="ee")
    ee.connect()
    return mn.mirror(Network(source, cells, ee), **{"train": ["ee.w"], **more})


@pytest.mark.parametrize(
    ("equations", "on_pre", "says"),
    [
        ("dv/dt = 0*volt/second : volt", "v += w", r"not died away .*Give 'cells' a leak"),
        ("dv/dt = (20*mV - v)/(20*ms) : volt", "v += w", "fires without any fluctuation"),
        ("dv/dt = v/(2*ms) + volt/second : volt", "v += w", r"runs to infinity|not at rest"),
        ("dv/dt = -v/(20*ms) : volt\nx : volt", "x += w", "does not move cells.spike.margin"),
        ("dv/dt = -v/(20*ms) : volt", "v += w*w/volt", "twice the weight does not move"),
    ],
)
def test_membranes_without_a_kernel_are_refused(equations: str, on_pre: str, says: str) -> None:
    with pytest.raises(DomainError, match=says):
        mn.init.fluctuation_driven(single(equations, on_pre), rate=5 * Hz)


def test_one_value_for_all_synapses_is_no_distribution() -> None:
    model = single("dv/dt = -v/(20*ms) : volt", weight="w : volt (shared)")
    with pytest.raises(DomainError, match=r"trains no weight that has one value for each synapse"):
        mn.init.fluctuation_driven(model, rate=5 * Hz)
    with pytest.raises(DomainError, match=r"one value for all synapses.*without \(shared\)"):
        mn.init.fluctuation_driven(model, rate=5 * Hz, weights=["ee.w"])


def test_what_is_no_mirror_is_refused() -> None:
    with pytest.raises(DomainError, match=r"weights are set in a mirror"):
        mn.init.fluctuation_driven(Network(), rate=5 * Hz)  # pyright: ignore


def test_weights_of_one_sign_without_inhibition_are_refused() -> None:
    model = single("dv/dt = -v/(20*ms) : volt", train={"ee.w": mn.Bounded(0 * mV, 1 * volt)})
    with pytest.raises(DomainError, match=r"neuron 0 has no inhibitory weights"):
        mn.init.fluctuation_driven(model, rate=5 * Hz)
