"""Circuits: counts and pathways of the reference, wiring from a seed, networks that run alike."""

import re
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, ms, mV, nA, nS, pA, second, um

import mirrorneuron as mn
from mirrorneuron.bio.circuits import (
    Circuit,
    cerebellum,
    climbing_fibre_pause,
    mossy_fibre_step,
    resting_state,
    wiring,
)
from mirrorneuron.bio.circuits.activity import activity
from mirrorneuron.bio.circuits.anatomy import LAYERS, PATHWAYS, POPULATIONS
from mirrorneuron.bio.circuits.pairs import collapse, near, picks
from mirrorneuron.bio.circuits.stimuli import Trains, poisson, together
from mirrorneuron.bio.recording import Spikes
from mirrorneuron.errors import BuildError, DomainError, UnitError, UnknownName

PATH = pytest.mark.parametrize("name", PATHWAYS)
COUNTED = {"mossy": 118, "granule": 30420, "golgi": 69, "purkinje": 69, "basket": 150,
           "stellate": 303, "dcn_p": 119, "dcn_i": 67, "olive": 14}  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> Circuit:
    return cerebellum(seed=3)


@pytest.fixture(scope="module")
def patch() -> Circuit:
    return cerebellum(scale=0.01, seed=2, dt=0.25 * ms)


@pytest.fixture(scope="module")
def depressing(patch: Circuit) -> Network:
    return patch.network(short_term=True)


@pytest.mark.parametrize("group", POPULATIONS)
def test_a_column_has_the_cells_of_the_reference(reference: Circuit, group: str) -> None:
    assert reference.counts[group] == pytest.approx(COUNTED[group], rel=0.02)
    assert POPULATIONS[group].reference == COUNTED[group]


@pytest.mark.parametrize("group", POPULATIONS)
def test_cells_lie_in_their_layer(reference: Circuit, group: str) -> None:
    low, high = LAYERS[POPULATIONS[group].layer]
    at = reference.positions[group]
    assert np.all((at >= (0, 0, low)) & (at <= (300e-6, 200e-6, high)))


@PATH
def test_a_target_has_the_sources_of_the_reference(reference: Circuit, name: str) -> None:
    wires, (mean, sd) = reference.wiring[name], PATHWAYS[name].pairs
    degree = wires.convergence if name == "mossy_golgi" else wires.in_degree
    if mean:
        assert degree.mean() == pytest.approx(mean, rel=0.2)
        assert abs(degree.mean() - mean) <= 2 * sd
        assert 0.5 * sd <= degree.std() <= 1.5 * sd
    else:  # every interneuron that contacts a Purkinje cell of the climbing fibre
        contact = reference.wiring[f"{PATHWAYS[name].target}_purkinje"]
        fibre = reference.wiring["climbing_purkinje"]
        of = dict(zip(fibre.j, fibre.i, strict=True))
        expected = {(of[p], cell) for cell, p in zip(contact.i, contact.j, strict=True)}
        assert set(zip(wires.i, wires.j, strict=True)) == expected


def test_a_granule_cell_has_four_mossy_fibres_by_four_glomeruli(reference: Circuit) -> None:
    wires = reference.wiring["mossy_granule"]
    assert set(wires.in_degree) == {4}
    assert set(wires.contacts) == {1}


@PATH
def test_each_pair_is_one_synapse_in_order(reference: Circuit, name: str) -> None:
    wires = reference.wiring[name]
    key = wires.i.astype(np.int64) * wires.sizes[1] + wires.j
    assert np.all(np.diff(key) > 0)
    assert not (wires.pathway.source == wires.pathway.target and np.any(wires.i == wires.j))


@PATH
def test_weights_make_up_for_other_numbers_of_contacts(patch: Circuit, name: str) -> None:
    wires, path = patch.wiring[name], PATHWAYS[name]
    if path.convergence and len(wires):
        mean = np.bincount(wires.j, wires.weight, wires.sizes[1]).mean()
        assert mean == pytest.approx(path.convergence * path.weight_in("awake"))
    assert wires.weight == pytest.approx(wires.contacts * path.weight_in("awake") * wires.factor)


def test_contacts_of_a_pair_are_summed() -> None:
    pairs = collapse(np.array([2, 0, 2, 2]), np.array([1, 3, 1, 0]), np.array([1, 2, 3, 4]), 4)
    assert [list(part) for part in pairs] == [[0, 2, 2], [3, 0, 1], [2, 4, 4]]


def test_a_larger_circuit_keeps_the_sources_of_a_nuclear_cell() -> None:
    pathway = PATHWAYS["mossy_dcn_p"]
    sites = wiring.place((1.2e-3, 0.1e-3), 0)
    pairs = pathway.rule.draw(sites, pathway, np.random.default_rng(0))
    count = len(pairs.i) / len(sites.positions["dcn_p"])
    assert len(sites.positions["mossy"]) > 200
    assert count == pytest.approx(pathway.pairs[0], rel=0.1)


def test_a_pair_is_drawn_with_its_probability_wherever_it_stands(rng: np.random.Generator) -> None:
    drawn = np.zeros(50)
    for _ in range(2000):
        drawn[picks(50, 0.3, rng)] += 1
    assert drawn.mean() / 2000 == pytest.approx(0.3, abs=0.01)
    assert np.all(np.abs(drawn / 2000 - 0.3) < 0.05)
    assert list(picks(4, 1.0, rng)) == [0, 1, 2, 3]
    assert len(picks(4, 0.0, rng)) == 0


def test_sources_in_reach_are_those_that_a_table_of_all_distances_has(
    rng: np.random.Generator,
) -> None:
    source, target = rng.uniform(0, 1, (200, 3)), rng.uniform(0, 1, (30, 3))
    bounds = ((-0.2, 0.3), (-0.25, 0.1), (-np.inf, 0.4))
    i, j = near(source, target, 1.0, bounds, rng)
    apart = source[:, None] - target[None]
    inside = np.all([(apart[..., k] >= a) & (apart[..., k] <= b)
                     for k, (a, b) in enumerate(bounds)], axis=0)  # fmt: skip
    assert sorted(zip(i, j, strict=True)) == list(zip(*np.nonzero(inside), strict=True))


def test_a_seed_repeats_and_another_differs() -> None:
    one, same, other = (cerebellum(scale=0.02, seed=seed) for seed in (1, 1, 2))
    for name in PATHWAYS:
        for part in ("i", "j", "weight"):
            assert np.array_equal(getattr(one.wiring[name], part), getattr(same.wiring[name], part))
    name = "parallel_basket"
    assert not np.array_equal(one.wiring[name].i, other.wiring[name].i)


def test_the_condition_changes_weights_and_no_connection(patch: Circuit) -> None:
    vitro = cerebellum(scale=0.01, seed=2, condition="in vitro")
    for name, wires in patch.wiring.items():
        ratio = PATHWAYS[name].weight_in("in vitro") / PATHWAYS[name].weight_in("awake")
        assert np.array_equal(wires.j, vitro.wiring[name].j)
        assert vitro.wiring[name].weight == pytest.approx(wires.weight * ratio)
    assert vitro.cell("purkinje").parameters["I_e"] == "590*pA"
    assert patch.cell("purkinje").parameters["I_e"] == "700*pA"


def test_the_summary_shows_numbers_beside_those_of_the_reference(patch: Circuit) -> None:
    text = str(patch)
    for name in (*POPULATIONS, *PATHWAYS):
        assert re.search(rf"^{name} ", text, re.M)
    assert "1,532.0 ± 292.0" in text


def test_a_network_holds_the_wiring_and_lies_inside_of_what_genn_can_run(patch: Circuit) -> None:
    net: Any = patch.network(complex_spike=0.22 * nA)
    assert {len(net[name]) for name in POPULATIONS} == set(patch.counts.values())
    for name, wires in patch.wiring.items():
        if len(wires):
            assert np.array_equal(net[name].i, wires.i)
            assert np.array_equal(net[name].w / nS, wires.weight / 1e-9)
            assert net[name].delay[:] / second == pytest.approx(wires.delay)
    assert net["purkinje"].leak_sign == 1
    assert mn.genn_findings(net) == ()


def test_the_mirror_of_a_patch_is_exact() -> None:
    circuit = cerebellum(scale=0.004, seed=5, dt=0.2 * ms)
    fibres = np.arange(circuit.counts["mossy"])
    trains = poisson(fibres, 300.0, (0.0, 0.02), circuit.dt, np.random.default_rng(1))
    olive = Trains(np.zeros(1, int), np.array([5e-3]))
    net: Any = circuit.network(
        mossy=trains, olive=olive, threshold="deterministic", short_term=True
    )
    rng = np.random.default_rng(2)
    for name in ("granule", "golgi", "purkinje", "basket", "stellate", "dcn_p"):
        net[name].v = rng.uniform(-60, -35, len(net[name])) * mV
    result = mn.validate(net, mn.mirror(net), 20 * ms)
    assert result.ok, str(result)
    fired = {run.object for run in result.free_run if run.n_reference}
    assert fired >= {"mossy", "granule", "purkinje", "dcn_p", "olive"}


@PATH
def test_short_term_plasticity_begins_with_the_weight_of_a_static_synapse(
    depressing: Network, patch: Circuit, name: str
) -> None:
    wires = patch.wiring[name]
    if len(wires):
        made: Any = depressing[name]
        first = made.w / nS * (made.U if PATHWAYS[name].short_term else 1)
        assert first == pytest.approx(wires.weight / 1e-9)


def test_a_pathway_can_be_replaced_or_left_out(patch: Circuit) -> None:
    made = []

    def mine(source: Any, target: Any, cell: Any, wires: Any) -> Any:
        made.append((source.name, target.name, wires.pathway.input, len(wires)))
        return cell.connect(source, target, wires.pathway.input, i=[0], j=[0], name="mine")

    net: Any = patch.network(instead={"parallel_purkinje": mine, "dcn_i_olive": None})
    size = len(patch.wiring["parallel_purkinje"])
    assert made == [("granule", "purkinje", "parallel_fibre", size)]
    assert "mine" in net and "dcn_i_olive" not in net and "parallel_purkinje" not in net


def test_a_group_of_fibres_fires_at_its_rate_at_most_once_a_step(rng: np.random.Generator) -> None:
    trains = poisson(np.array([3, 5]), 2000.0, (0.5, 2.5), 1e-4, rng)
    both = together(trains, trains, Trains(np.array([5]), np.array([0.1])), dt=1e-4)
    assert len(trains.i) == pytest.approx(2 * 2 * 2000, rel=0.05)
    assert set(trains.i) == {3, 5} and trains.t.min() >= 0.5 and trains.t.max() < 2.5
    assert len(both.i) == len(trains.i) + 1 and np.all(np.diff(both.t) >= 0)


def test_activity_of_trains_that_are_known() -> None:
    step = np.array([0, 10, 20, 30, 40, 100, 150, 400])
    found = activity(Spikes(step, np.array([0, 0, 0, 0, 0, 1, 1, 1]), 1e-3, 4), (0.0, 0.2))
    assert found.rate == pytest.approx((25 + 10) / 2) and found.sd == pytest.approx(7.5)
    assert found.silent == 0.5 and found.everyone == pytest.approx(35 / 4)
    assert found.interval == pytest.approx((0.01 + 0.05) / 2) and found.cv == pytest.approx(0)
    silent = activity(Spikes(step[:0], step[:0], 1e-3, 4), (0.0, 0.2))
    assert (silent.rate, silent.silent) == (0.0, 1.0) and np.isnan(silent.interval)


def test_the_protocols_run_and_their_stimuli_arrive(patch: Circuit) -> None:
    how: dict[str, Any] = {"backend": "runtime", "target": "numpy", "report": None}
    rest = resting_state(patch, 20 * ms, settle=5 * ms, rate=200 * Hz, **how)
    assert rest.activity["mossy"].everyone == pytest.approx(200, rel=0.6)
    assert rest.activity["purkinje"].everyone > 20
    assert re.search(r"^purkinje .*91 ± 2.2", str(rest), re.M)
    step = mossy_fibre_step(
        patch, step=800 * Hz, start=10 * ms, length=10 * ms, after=10 * ms, rate=0 * Hz, **how
    )
    mossy = {phase: step.activity[phase]["mossy"].everyone for phase in step.windows}
    assert mossy["before"] == mossy["after"] == 0 and mossy["step"] > 300
    assert step.activity["step"]["granule"].everyone > 0
    assert re.search(r"^granule ", str(step), re.M)
    pause = climbing_fibre_pause(patch, bursts=1, start=20 * ms, every=150 * ms, **how)
    olive = pause.activity["0-20 ms"]["olive"].everyone
    assert pause.activity["before"]["olive"].everyone == 0 and olive >= 50
    assert 0.023 < pause.arrivals[0] < 0.06 and pause.pause > 0


def test_what_cannot_be_laid_out_is_refused_by_name(patch: Circuit) -> None:
    for faulty, error, match in (
        ({"condition": "asleep"}, UnknownName, "condition='asleep' is not known"),
        ({"scale": 0}, DomainError, "scale is a positive number. Write scale=0.01"),
        ({"volume": (300, 200)}, UnitError, "a side is 300, a plain number"),
        ({"volume": [300, 200, 1] * um}, DomainError, "a footprint has two sides"),
        ({"volume": [300, -1] * um}, DomainError, "sides are positive lengths"),
        ({"leak_sign": 0}, DomainError, "leak_sign=0. It is the sign of a term"),
        ({"seed": -1}, DomainError, "seed=-1 is no whole number from 0"),
        ({"dt": 2 * ms}, DomainError, "The shortest delays are 2 ms"),
        ({"scale": 1e7}, BuildError, r"need .* GB\s+of memory, and .* Write a smaller circuit"),
    ):  # fmt: skip
        with pytest.raises(error, match=match):
            cerebellum(**faulty)
    with pytest.raises(UnknownName, match=r"circuit.cell\('mossy'\) is not known"):
        patch.cell("mossy")
    with pytest.raises(UnknownName, match=r"network\(instead=\{'pf': ...\}\) is not known"):
        patch.network(instead={"pf": None})
    with pytest.raises(DomainError, match="a fibre fires between 0 and 4000 times a second"):
        patch.network(mossy=-1 * Hz)
    with pytest.raises(UnitError, match=r"network\(mossy=...\): the rate"):
        patch.network(mossy=4 * pA)
    far = Trains(np.array([99]), np.array([0.0]))
    with pytest.raises(DomainError, match=r"network\(olive=...\): a train is for number 99"):
        patch.network(olive=far)


def test_a_protocol_that_cannot_be_run_is_refused_by_name(patch: Circuit) -> None:
    with pytest.raises(DomainError, match="no mossy fibre lies so near to the middle"):
        mossy_fibre_step(patch, radius=0.01 * um)
    with pytest.raises(DomainError, match=r"bursts=0\): write a number from 1"):
        climbing_fibre_pause(patch, bursts=0)
    with pytest.raises(DomainError, match=r"The every of a protocol is .* at least 0.15 s"):
        climbing_fibre_pause(patch, every=0.12 * second)
    with pytest.raises(DomainError, match="The duration of a protocol is"):
        resting_state(patch, -1 * second)
    with pytest.raises(
        DomainError, match=r"with steps of 0.25 ms a fibre fires between 0 and 4000"
    ):
        resting_state(patch, rate=1e5 * Hz)


def test_a_network_is_made_anew_each_time(patch: Circuit, depressing: Network) -> None:
    assert not set(patch.network().objects) & set(depressing.objects)
