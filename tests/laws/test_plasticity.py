"""Laws of the plasticity rules: each holds for every file in `bio/plasticity/`."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import brian2
import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    ms,
    mV,
    nS,
    pA,
    second,
)

import mirrorneuron as mn
from mirrorneuron.bio import NeuronModel, PlasticityRule, neurons, plasticity, synapses
from mirrorneuron.bio.plasticity._contracts import no_drift
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

RECEPTOR = synapses["exponential_conductance"]
SETS = [
    pytest.param(rule.variant(variant) if variant else rule, id=f"{name}-{variant or 'default'}")
    for name, rule in plasticity.items()
    for variant in (None, *rule.variants)
]
EVERY = pytest.mark.parametrize("rule", plasticity.values(), ids=plasticity)
EVERY_NAME = pytest.mark.parametrize("name", plasticity)
EVERY_SET = pytest.mark.parametrize("rule", SETS)
EVERY_DRIFT = pytest.mark.parametrize(
    "rule", [case for case in SETS if case.values[0].drift is not no_drift]
)
TAUGHT = pytest.mark.parametrize(
    "rule", [pytest.param(r, id=n) for n, r in plasticity.items() if r.teaching]
)
STEP = 0.5  # [ms]
FREE = {"w_min": -1e9 * nS, "w_max": 1e9 * nS}
Trains = list[list[int]]


@dataclass
class Swept:
    """Weights after given trains, one synapse for each pair of them [nS]."""

    change: np.ndarray
    expected: np.ndarray
    bounded: np.ndarray
    bounds: tuple[float, float]


def generator(trains: Trains, dt: float) -> SpikeGeneratorGroup:
    index = np.repeat(np.arange(len(trains)), [len(t) for t in trains])
    times = np.concatenate([np.asarray(t, dtype=int) for t in trains]) * dt
    return SpikeGeneratorGroup(len(trains), index, times * ms)


def target(rule: PlasticityRule, N: int) -> NeuronGroup:
    """Cells that fire when they are told to, with the receptor and whatever the rule asks for."""
    text = f"v : 1\n{RECEPTOR.text('e')}\n{rule.equations()}"
    threshold, reset = "v > 0.5", "v = 0"
    if rule.teaching and rule.teaching.threshold:
        threshold += " or " + rule.teaching.threshold.format(c="cf")
        reset += "\n" + rule.teaching.reset.format(c="cf")
    cells = NeuronGroup(N, text, threshold=threshold, reset=reset, method="exponential_euler")
    cells.tau_e = 5 * ms
    return rule.prepare(cells) if rule.teaching else cells


def driven(rule: PlasticityRule, pre: Trains, other: Trains, dt: float) -> list[Any]:
    """Both trains of each synapse, and a cell for each."""
    source, told, cells = generator(pre, dt), generator(other, dt), target(rule, len(other))
    each = np.arange(len(other))
    if rule.teaching:
        drive = rule.teach(told, cells, i=each, j=each)
    else:
        drive = Synapses(told, cells, on_pre="v_post += 1")
        drive.connect(i=each, j=each)
    return [source, told, cells, drive]


def compared(rule: PlasticityRule, other: Trains) -> Trains:
    """Steps of the spikes that a rule sees: a cell fires one step after it was told to."""
    late = 1 if rule.teaching is None or rule.teaching.threshold else 0
    return [[step + late for step in train] for train in other]


def trains() -> tuple[Trains, Trains]:
    """Single pairs at lags from -50 to 250 ms, then random trains [steps]."""
    rng = np.random.default_rng(5)
    sweep = np.arange(-100, 501)
    pre = [[200] for _ in sweep] + [list(rng.permutation(400)[:6]) for _ in range(40)]
    other = [[200 + lag] for lag in sweep] + [list(rng.permutation(700)[:5]) for _ in range(40)]
    return [sorted(t) for t in pre], [sorted(t) for t in other]


@lru_cache
def swept(name: str) -> Swept:
    rule, (pre, other) = plasticity[name], trains()
    p = rule.values() | {"end": 719.5e-3, "w_start": float(rule.weight)}
    brian2.start_scope()
    brian2.defaultclock.dt = STEP * ms
    objects = driven(rule, pre, other, STEP)
    source, cells, each = objects[0], objects[2], np.arange(len(pre))
    made = {"i": each, "j": each, "unit": nS, "delay": 2 * ms}
    start = float(rule.weight) * nS
    free = rule.connect(source, cells, RECEPTOR, "e", w=start, **made, **FREE)
    expected = np.array(
        [
            rule.change(np.array(a) * STEP * 1e-3 + 2e-3, np.array(b) * STEP * 1e-3, p)
            for a, b in zip(pre, compared(rule, other), strict=True)
        ]
    )
    room = 0.5 * np.abs(expected).max()
    low, high = start - room * nS, start + room * nS
    bound = rule.connect(source, cells, RECEPTOR, "e", w=start, w_min=low, w_max=high, **made)
    Network(*objects, free, bound).run(720 * ms)
    change = np.asarray(free.w - start) * 1e9
    limits = (float(low / nS), float(high / nS))
    return Swept(change, expected, np.asarray(bound.w) * 1e9, limits)


@EVERY_NAME
def test_the_weight_changes_as_the_closed_form_says_at_every_lag_and_for_any_trains(
    name: str,
) -> None:
    found = swept(name)
    scale = np.abs(found.expected).max()
    assert len(np.unique(found.expected.round(12))) > (1 if name == "pf_pc_box" else 30)
    np.testing.assert_allclose(found.change, found.expected, rtol=1e-6, atol=1e-8 * scale)


@EVERY_NAME
def test_a_weight_stays_between_its_bounds_and_reaches_them(name: str) -> None:
    found = swept(name)
    low, high = found.bounds
    rounding = 1e-12 * max(abs(low), abs(high))
    assert found.bounded.min() >= low - rounding
    assert found.bounded.max() <= high + rounding
    relaxes = plasticity[name].drift is no_drift  # and leaves a border in the steps that follow
    near = 0.01 * (high - low) if relaxes else rounding
    reached = np.minimum(found.bounded - low, high - found.bounded) < near
    assert reached.any()


def test_the_kernel_of_the_purkinje_cell_peaks_at_a_hundred_milliseconds() -> None:
    rule = plasticity["pf_pc_sinexp"]
    lags = np.arange(1, 200) * 1e-3
    p = rule.values() | {"A_plus": 0.0, "A_minus": -1.0}
    kernel = [-rule.change(np.zeros(1), np.array([lag]), p) for lag in lags]
    assert lags[np.argmax(kernel)] == pytest.approx(0.1, abs=2e-3)
    assert max(kernel) == pytest.approx(1, abs=2e-3)


@EVERY_DRIFT
def test_the_mean_drift_is_that_of_independent_poisson_trains(rule: PlasticityRule) -> None:
    rng, p, T = np.random.default_rng(3), rule.values(), 20.0
    changes = np.array(
        [
            rule.change(rng.uniform(0, T, rng.poisson(5 * T)), rng.uniform(-1, T + 1, n), p)
            for n in rng.poisson(8 * (T + 2), 200)
        ]
    )
    error = changes.std() / np.sqrt(len(changes))
    assert error > 0
    assert abs(changes.mean() - T * rule.drift(5.0, 8.0, p)) < 4 * error


NEUTRAL = [
    pytest.param(rule.values[0], id=rule.id)
    for rule in SETS
    if rule.values[0].neutral and rule.values[0].neutral(rule.values[0].values()) > 0
]


@pytest.mark.parametrize("rule", NEUTRAL)
def test_a_neutral_rate_balances_and_a_higher_one_has_the_sign_of_what_is_compared(
    rule: PlasticityRule,
) -> None:
    rate, p = float(rule.neutral_rate() / Hz), rule.values()
    scale = abs(rule.drift(10.0, 0.0, p))
    assert abs(rule.drift(10.0, rate, p)) < 1e-9 * scale
    below, above = rule.drift(10.0, 0.5 * rate, p), rule.drift(10.0, 2 * rate, p)
    assert below * above < 0
    assert below * rule.drift(10.0, 0.0, p) > 0


@pytest.mark.parametrize(
    ("name", "variant", "rate"),
    [
        ("pf_pc_sinexp", None, 1.139),
        ("pf_pc_sinexp", "extra_cereb_nest", 0.4555),
        ("pf_pc_sinexp", "mesoscale_run", 0.1139),
        ("pf_pc_box", None, 1.054),
        ("pf_mli", None, 0.810),
        ("pf_pc_flagged", None, 0.3517),
        ("mf_dcn", "pd_bg_cereb_loop", 20.0),
        ("inhibitory", None, 3.0),
    ],
)
def test_neutral_rates_are_these(name: str, variant: str | None, rate: float) -> None:
    rule = plasticity[name].variant(variant) if variant else plasticity[name]
    assert rule.neutral_rate() / Hz == pytest.approx(rate, rel=1e-3)


def simulated() -> list[Any]:
    """For each rule that has a neutral rate, the first set where a second of it is informative."""
    chosen = {}
    for case in NEUTRAL:
        (rule,) = case.values
        if 0.3 < float(rule.neutral_rate() / Hz) < 30:
            chosen.setdefault(case.id.split("-")[0], case)
    return list(chosen.values())


@pytest.mark.parametrize("rule", simulated())
def test_simulated_weights_rest_at_the_neutral_rate_and_drift_on_either_side(
    rule: PlasticityRule,
) -> None:
    """200 cells below, at and above it, with four inputs each, for two seconds."""
    rng, N, steps, dt = np.random.default_rng(8), 600, 2000, 1.0
    brian2.defaultclock.dt = dt * ms
    factor = np.repeat([0.25, 1, 2.5], N // 3)
    rates = float(rule.neutral_rate() / Hz) * factor
    pre = [np.flatnonzero(rng.random(steps) < 0.04) for _ in range(4 * N)]
    other = [np.flatnonzero(rng.random(steps + 600) < rate * 1e-3) for rate in rates]
    objects = driven(rule, pre, other, dt)
    plastic = rule.connect(
        objects[0], objects[2], RECEPTOR, "e", i=np.arange(4 * N), j=np.arange(4 * N) // 4,
        w=0 * nS, unit=nS, **FREE,
    )  # fmt: skip
    Network(*objects, plastic).run((steps + 620) * ms)
    change = np.asarray(plastic.w).reshape(3, N // 3, 4).mean(2) * 1e9
    mean, error = change.mean(1), change.std(1) / np.sqrt(N // 3)
    expected = [2 * rule.drift(40.0, rates[k * N // 3], rule.values()) for k in range(3)]
    assert (np.abs(mean - expected) < 4 * error + 0.02 * np.abs(expected)).all()
    assert mean[0] * expected[0] > 0
    assert abs(mean[0]) > 6 * error[0]
    assert mean[2] * expected[0] < 0
    assert abs(mean[2]) > 6 * error[2]


def test_a_rate_that_balances_nothing_is_refused() -> None:
    with pytest.raises(DomainError, match="cancel at no rate"):
        plasticity["pf_pc_box"].variant("kuriyama_2021").neutral_rate()
    with pytest.raises(DomainError, match="cancel at no rate"):
        plasticity["pair_stdp"].neutral_rate()
    with pytest.raises(DomainError, match="cancel at no rate"):
        plasticity["pf_mli"].neutral_rate(A_plus=-1)


# ---- on neurons


def learning(rule: PlasticityRule) -> Network:
    """Thirty inputs onto three driven cells, which a teacher each teaches."""
    rng = np.random.default_rng(4)
    model, receptors = rule.taught(neurons["lif"]), {"e": RECEPTOR}
    short = {"window_cf": 8 * ms} if "window_cf" in model.parameters else {}
    cells = model.group(3, name="cells", receptors=receptors, I=260 * pA, **short)
    pre = generator([list(rng.permutation(250)[:4]) for _ in range(30)], 0.1)
    teacher = generator([list(rng.permutation(250)[:4]) for _ in range(3)], 0.1)
    plastic = rule.connect(
        pre, cells, RECEPTOR, "e", i=np.repeat(np.arange(30), 3), j=np.tile(np.arange(3), 30),
        w=0.4 * nS, unit=0.8 * nS, name="plastic", delay=1 * ms, **FREE,
    )  # fmt: skip
    network = Network(pre, cells, plastic)
    if rule.teaching:
        network.add(teacher, rule.teach(teacher, cells, i=[0, 1, 2], j=[0, 1, 2], delay=1 * ms))
    return network


@EVERY
def test_every_rule_moves_weights_on_neurons_and_its_gradients_are_finite(
    rule: PlasticityRule,
) -> None:
    network = learning(rule)
    keys = ["plastic.w", *(f"plastic.{name}" for name in rule.parameters)]
    model = mn.mirror(
        network,
        train=keys,
        surrogate=mn.SuperSpike(width=5 * mV),
        reset_gradient="detach",
        dtype=torch.float64,
    )
    recording = model.run(35 * ms)
    assert recording.spikes["cells"].sum() > 2
    weights = recording.state["plastic.w"]
    assert (weights - 0.4e-9).abs().max() > 1e-16
    (weights / 1e-9).sum().backward()
    for key in keys:
        gradient = model.parameter(key).grad
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
    amplitudes = [f"plastic.{n}" for n in rule.weighted if n not in ("w_min", "w_max")]
    assert any((model.parameter(key).grad != 0).any() for key in amplitudes)


@EVERY
def test_a_rule_lies_inside_of_what_genn_can_do_or_says_why_not(rule: PlasticityRule) -> None:
    found = mn.genn_findings(learning(rule))
    if rule.genn is True:
        assert found == ()
    else:
        assert [rule.genn in finding.line for finding in found] == [True]


@EVERY
def test_the_texts_keep_to_what_runs_on_genn(rule: PlasticityRule) -> None:
    """One += into the cell, no subexpression, no presynaptic variable, no summed variable."""
    codes = (rule.on_pre, rule.late, rule.on_post, rule.every)
    text = "\n".join(codes)
    assert not re.search(r"_pre\b|summed|exprel", text)
    assert not re.search(r"\w+_post\s*[-+*/]?=(?!=)", text)
    assert " = " not in rule.states.replace("dt = ", "")


def test_a_flagged_cell_fires_when_its_climbing_fibre_does() -> None:
    rule = plasticity["pf_pc_flagged"]
    cells = rule.taught(neurons["lif"]).group(2, receptors={"e": RECEPTOR}, I=0 * pA)
    fibre = SpikeGeneratorGroup(1, [0, 0], [10, 30] * ms)
    teach, spikes = rule.teach(fibre, cells, i=[0], j=[0], delay=1 * ms), SpikeMonitor(cells)
    Network(fibre, cells, teach, spikes).run(50 * ms)
    assert list(spikes.i) == [0, 0]
    assert np.allclose(spikes.t / ms, [11.1, 31.1])


@EVERY
def test_delays_may_differ_from_synapse_to_synapse(rule: PlasticityRule) -> None:
    source, cells = generator([[1], [2]], 1), target(rule, 2)
    made = rule.connect(
        source, cells, RECEPTOR, "e", i=[0, 1], j=[1, 0], unit=nS, delay=[1, 3] * ms, name="s"
    )
    assert np.allclose(made.pre.delay / ms, [1, 3])
    if rule.late:
        wait = float(rule.teaching.parameters["window"].removesuffix("*ms"))
        assert np.allclose(made.late.delay / ms, [1 + wait, 3 + wait])
        with pytest.raises(DomainError, match=r"window_cf has 2 different values in"):
            cells.window_cf = [100, 200] * ms
            rule.connect(source, cells, RECEPTOR, "e", i=[0], j=[0], unit=nS)


def test_a_burst_of_five_climbing_fibre_spikes_is_remembered_whole() -> None:
    rule, burst = plasticity["pf_pc_sinexp"], [110, 112, 114, 116, 118]
    brian2.defaultclock.dt = 1 * ms
    objects = driven(rule, [[10]], [burst], 1.0)
    made = rule.connect(objects[0], objects[2], RECEPTOR, "e", i=[0], j=[0], w=0 * nS, **FREE)
    Network(*objects, made).run(220 * ms)
    expected = rule.change(np.array([0.01]), np.array(burst) * 1e-3, rule.values())
    assert made.w[0] / nS == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(0.001 - 5 * 0.0098, rel=0.03)


@pytest.mark.parametrize("name", ["pf_pc_sinexp", "pf_mli"])
def test_fibres_that_fire_together_count_each_and_what_is_forgotten_is_counted(name: str) -> None:
    rule = plasticity[name]
    brian2.defaultclock.dt = 1 * ms
    bursts = [[100, 104, 110], [104, 120], list(range(100, 128, 2))]
    source, told, cells = generator([[10]] * 3, 1.0), generator(bursts, 1.0), target(rule, 2)
    fibres = rule.teach(told, cells, i=[0, 1, 2], j=[0, 0, 1])  # the first two reach one cell
    made = rule.connect(source, cells, RECEPTOR, "e", i=[0, 1], j=[0, 1], w=0 * nS, **FREE)
    Network(source, told, cells, fibres, made).run(320 * ms)
    once = np.array(bursts[0] + bursts[1]) * 1e-3
    expected = rule.change(np.array([0.01]), once, rule.values())
    assert made.w[0] / nS == pytest.approx(expected, rel=1e-9)
    kept = sum(re.match(r"k\d+_cf$", variable) is not None for variable in cells.variables)
    assert list(cells.lost_cf) == [0, len(bursts[2]) - kept]


# ---- what is refused


@EVERY_SET
def test_a_published_set_names_parameters_that_exist_and_starts_within_its_bounds(
    rule: PlasticityRule,
) -> None:
    base = plasticity[next(n for n, r in plasticity.items() if r.source == rule.source)]
    assert set(rule.parameters) == set(base.parameters)
    p = rule.values()
    assert p["w_min"] <= float(rule.weight) <= p["w_max"]
    assert set(rule.weighted) <= set(rule.parameters)
    codes = "\n".join((rule.on_pre, rule.late, rule.on_post, rule.every, rule.states))
    assert all(re.search(rf"\b{name}\b", codes) for name in rule.parameters)


@EVERY
@pytest.mark.parametrize("neuron", neurons.values(), ids=neurons)
def test_a_rule_and_a_neuron_share_no_name(rule: PlasticityRule, neuron: NeuronModel) -> None:
    own = {*rule.parameters, *brian2.Equations(rule.held())} if rule.states else {*rule.parameters}
    held = set(brian2.Equations(rule.taught(neuron).text({"pf": RECEPTOR})))
    assert held > set(brian2.Equations(neuron.text()))
    assert own.isdisjoint(held)


@EVERY
def test_the_source_is_told(rule: PlasticityRule) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", rule.source, re.DOTALL)
    assert "Differs from it:" in rule.source


def test_a_rule_of_ones_own_needs_borders_and_no_closed_form() -> None:
    texts = {"on_pre": "w = clip(w - 0.1, w_min, w_max)", "weight": "1", "source": "none"}
    borders = {"w_min": "0", "w_max": "2"}
    with pytest.raises(DomainError, match=r"w_max is not among `parameters` and `weighted`, so"):
        PlasticityRule(**texts, parameters={"w_min": "0"}, weighted=("w_min",))
    rule = PlasticityRule(**texts, parameters=borders, weighted=("w_min", "w_max"))
    with pytest.raises(DomainError, match="change: this rule states no closed form"):
        rule.change(np.zeros(1), np.zeros(1), rule.values())
    with pytest.raises(DomainError, match="drift: this rule states no mean change"):
        rule.drift(1.0, 1.0, rule.values())


@EVERY
def test_synapses_without_meaning_are_refused(rule: PlasticityRule) -> None:
    source, cells = generator([[1]], 1), target(rule, 3)
    made = {"i": [0, 0, 0], "j": [0, 1, 2]}
    other = NeuronGroup(3, f"v : 1\n{rule.equations()}", name="other")
    below = (float(rule.parameters["w_min"]) - 1) * nS
    with pytest.raises(UnknownName, match="'other' has no receptor 'e' of this kind"):
        rule.connect(source, other, RECEPTOR, "e", unit=nS, **made)
    with pytest.raises(UnitError, match=r"needs w in siemens, and unit="):
        rule.connect(source, cells, RECEPTOR, "e", unit=1 * pA, **made)
    with pytest.raises(DomainError, match="is not between w_min="):
        rule.connect(source, cells, RECEPTOR, "e", unit=nS, w=below, **made)
    with pytest.raises(UnitError, match=r"w=1\.0 has no unit"):
        rule.connect(source, cells, RECEPTOR, "e", unit=nS, w=1.0, **made)
    with pytest.raises(ShapeError, match="one value of w for each of 3"):
        rule.connect(source, cells, RECEPTOR, "e", unit=nS, w=[1, 2] * nS, **made)
    with pytest.raises(ShapeError, match="w_max is an array of shape"):
        rule.connect(source, cells, RECEPTOR, "e", unit=nS, w_max=[1, 2, 3] * nS, **made)
    with pytest.raises(UnknownName, match="A_pluss"):
        rule.connect(source, cells, RECEPTOR, "e", unit=nS, A_pluss=1 * nS, **made)
    with pytest.raises(UnknownName, match=r"variant\('nobody'\) is not known"):
        rule.variant("nobody")


def test_a_relative_rule_asks_what_one_is() -> None:
    source, cells = generator([[1]], 1), target(plasticity["pair_stdp"], 1)
    with pytest.raises(UnitError, match="its weights are relative numbers"):
        plasticity["pair_stdp"].connect(source, cells, RECEPTOR, "e", i=[0], j=[0])


@TAUGHT
def test_a_target_that_cannot_be_taught_is_refused(rule: PlasticityRule) -> None:
    source, edges = generator([[1]], 1), {"i": [0], "j": [0]}
    bare = NeuronGroup(1, f"v : 1\n{RECEPTOR.text('e')}", name="bare")
    held = NeuronGroup(1, f"v : 1\n{RECEPTOR.text('e')}\n{rule.equations()}", name="held")
    for refused in (
        lambda group: rule.connect(source, group, RECEPTOR, "e", unit=nS, **edges),
        lambda group: rule.teach(source, group, **edges),
    ):
        with pytest.raises(UnknownName, match=r"'bare' has no n_cf.*Write rule.taught\(model"):
            refused(bare)
        with pytest.raises(DomainError, match=r"'held' has the variables.*rule.prepare\(held"):
            refused(held)
    with pytest.raises(UnknownName, match="'bare' has no n_cf"):
        rule.prepare(bare)
    rule.prepare(held)
    assert len(rule.teach(source, held[:1], **edges)) == 1
    with pytest.raises(DomainError, match="the group follows 'cf' already"):
        rule.prepare(held)
    with pytest.raises(DomainError, match=r"the model has .*n_cf.* already"):
        rule.taught(rule.taught(neurons["lif"]))


def test_two_teachers_of_a_cell_have_labels_of_their_own() -> None:
    sinexp, mli = plasticity["pf_pc_sinexp"], plasticity["pf_mli"]
    model = mli.taught(sinexp.taught(neurons["lif"], "climbing"), "other")
    cells = model.group(2, receptors={"e": RECEPTOR}, window_other=150 * ms)
    source = generator([[1]], 1)
    one = sinexp.connect(source, cells, RECEPTOR, "e", i=[0], j=[0], label="climbing", delay=1 * ms)
    two = mli.connect(source, cells, RECEPTOR, "e", i=[0], j=[1], label="other", delay=1 * ms)
    assert (one.late.delay / ms, two.late.delay / ms) == (201.0, 151.0)
    fibre = sinexp.teach(source, cells, "climbing", i=[0], j=[0])
    Network(source, cells, one, two, fibre).run(1 * second / 1000)


def test_a_rule_without_teacher_says_so() -> None:
    rule, source = plasticity["pair_stdp"], generator([[1]], 1)
    assert rule.equations() == ""
    assert rule.taught(neurons["lif"]) is neurons["lif"]
    with pytest.raises(DomainError, match="has no teacher"):
        rule.teach(source, target(rule, 1), i=[0], j=[0])
