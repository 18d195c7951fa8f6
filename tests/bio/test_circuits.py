"""Circuits: counts and pathways of the reference, wiring from a seed, networks that run alike."""

import re
import sys
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, ms, nA, nS, pA, second, um

import mirrorneuron as mn
from mirrorneuron.bio import plasticity
from mirrorneuron.bio.circuits import (
    Circuit,
    Plastic,
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
from mirrorneuron.errors import BuildError, DomainError, ShapeError, UnitError, UnknownName

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


def test_a_zonal_pathway_stays_within_its_zone() -> None:
    one, three = (cerebellum(scale=0.2, seed=4, zones=zones) for zones in (1, 3))
    zonal = {name for name, population in POPULATIONS.items() if population.zonal}
    assert zonal == {"purkinje", "dcn_p", "dcn_i", "olive"} == set(three.zone)
    for name, zone in three.zone.items():
        sizes, y = np.bincount(zone, minlength=3), three.positions[name][:, 1]
        assert sizes.sum() == three.counts[name] and np.ptp(sizes) <= 1
        assert np.all(np.diff(zone[np.argsort(y)]) >= 0)
        assert not one.zone[name].any()
    for name, wires in three.wiring.items():
        path = wires.pathway
        if path.zonal:
            assert np.array_equal(
                three.zone[path.source][wires.i], three.zone[path.target][wires.j]
            )
            in_zone = wires.sizes[0] / 3
            expected = min(path.pairs[0], in_zone)
            assert wires.in_degree.mean() == pytest.approx(expected, rel=0.2)
        elif path.source not in zonal:
            assert np.array_equal(wires.j, one.wiring[name].j)
    assert "3 zones" in str(three) and "zones" not in str(one)


def test_the_wiring_of_one_zone_is_what_it_was_without_any(reference: Circuit) -> None:
    digest = sha256()
    for name in ("purkinje_dcn_p", "climbing_purkinje", "dcn_i_olive", "parallel_purkinje"):
        wires = reference.wiring[name]
        digest.update(wires.i.astype("<i4").tobytes() + wires.j.astype("<i4").tobytes())
    assert digest.hexdigest()[:16] == "0d5f10a9f807af16"


def test_every_zone_has_an_olivary_cell_however_small_the_circuit_is() -> None:
    tiny = cerebellum(scale=0.01, seed=1, zones=2)
    assert all(set(zone) == {0, 1} for zone in tiny.zone.values())
    assert tiny.counts["olive"] == 2


def test_a_group_of_the_users_can_stand_for_the_mossy_fibres_and_excite_the_olive(
    patch: Circuit,
) -> None:
    def build() -> Network:
        fibres = NeuronGroup(patch.counts["mossy"], "x : 1", threshold="i == 1", name="mossy")
        errors = PoissonGroup(patch.counts["olive"], 4000 * Hz, name="errors")
        net = patch.network(mossy=fibres, olive=errors)
        net.add(errors)
        return net

    done = mn.simulate(build, 20 * ms, target="numpy", report=None)
    assert list(done.spikes["mossy"].counts) == [0, 80] + [0] * (patch.counts["mossy"] - 2)
    assert done.spikes["olive"].counts.sum() > 0
    assert "teaching_olive.w" in done.final


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
        ({"zones": 0}, DomainError, "zones=0 is no whole number from 1. Write zones=1"),
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
    few, called = (NeuronGroup(n, "x : 1", name=name) for n, name in ((3, "mossy"), (4, "fibres")))
    with pytest.raises(ShapeError, match=r"'mossy' has 3 cells, and the circuit\s+4 mossy cells"):
        patch.network(mossy=few)
    with pytest.raises(DomainError, match=r"is called 'fibres'. .* Write name='mossy'"):
        patch.network(mossy=called)
    with pytest.raises(ShapeError, match=r"Write a group of circuit.counts\['olive'\]"):
        patch.network(olive=few)
    with pytest.raises(
        DomainError, match=r"network\(olive=5\): this is neither trains nor a group"
    ):
        patch.network(olive=5)


def test_what_spikes_is_refused_before_any_synapse_is_made(
    patch: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object, **__: object) -> None:
        raise AssertionError("synapses were made first")

    home = sys.modules["mirrorneuron.bio.circuits.cerebellum"]
    monkeypatch.setattr(home, "_connecting", made)
    told = r"neither trains nor a group.*Write olive=mn\.bio\.Trains\(i, t\), with cells and tim"
    with pytest.raises(DomainError, match=told):
        patch.network(olive=[1, 2])
    twice = mn.bio.Trains([1, 1], [5.01, 5.02] * ms)
    with pytest.raises(DomainError, match=r"mossy=...\): number 1 fires twice in the step at 5 ms"):
        patch.network(mossy=twice)


def test_trains_are_given_as_lists_with_units() -> None:
    trains = mn.bio.Trains([0, 3], [1, 5] * ms)
    assert trains.i.tolist() == [0, 3] and trains.t.tolist() == [1e-3, 5e-3]
    with pytest.raises(UnitError, match=r"Trains\(t=...\)"):
        mn.bio.Trains([0], [1] * pA)
    with pytest.raises(ShapeError, match="i has 1 elements and t has 2"):
        mn.bio.Trains([0], [1, 2] * ms)
    with pytest.raises(DomainError, match="numbers of fibres are whole and count from 0"):
        mn.bio.Trains([-1], [1] * ms)
    with pytest.raises(DomainError, match="times are finite and not negative"):
        mn.bio.Trains([1], [-1] * ms)


def test_a_protocol_that_cannot_be_run_is_refused_by_name(patch: Circuit) -> None:
    with pytest.raises(DomainError, match="no mossy fibre lies so near to the middle"):
        mossy_fibre_step(patch, radius=0.01 * um)
    with pytest.raises(DomainError, match=r"bursts=0\): write a number from 1"):
        climbing_fibre_pause(patch, bursts=0)
    with pytest.raises(DomainError, match=r"burst to burst is .* at least 0.15 s"):
        climbing_fibre_pause(patch, every=0.12 * second)
    with pytest.raises(DomainError, match="resting_state: the duration is"):
        resting_state(patch, -1 * second)
    with pytest.raises(
        DomainError, match=r"with steps of 0.25 ms a fibre fires between 0 and 4000"
    ):
        resting_state(patch, rate=1e5 * Hz)


def test_a_network_is_made_anew_each_time(patch: Circuit, depressing: Network) -> None:
    assert not set(patch.network().objects) & set(depressing.objects)


def test_a_learning_pathway_keeps_its_weights_and_teachers_are_shared(patch: Circuit) -> None:
    rule, other = plasticity["pf_pc_sinexp"], plasticity["pf_pc_box"]
    given = {
        "parallel_purkinje": rule,
        "ascending_purkinje": Plastic(rule=other, values={"w_max": 90 * nS, "unit": 2 * nS}),
        "parallel_stellate": plasticity["pf_mli"],
        "mossy_dcn_p": Plastic(rule=plasticity["mf_dcn"], values={"tau": 3 * ms}),
    }
    net: Any = patch.network(plastic=given)
    for name in given:
        wires = patch.wiring[name]
        assert np.array_equal(net[name].w / nS, wires.weight / 1e-9)
    factor = patch.wiring["parallel_purkinje"].factor
    assert net["parallel_purkinje"].A_plus / nS == pytest.approx(0.001 * factor)
    assert net["ascending_purkinje"].w_max / nS == pytest.approx(
        90 * patch.wiring["ascending_purkinje"].factor
    )
    assert {"purkinje_olive", "purkinje_olive2"} <= {made.name for made in net.objects}
    assert ("dcn_p_purkinje" in net) == bool(len(patch.wiring["purkinje_dcn_p"]))
    assert net["dcn_p"].tau_purkinje / ms == pytest.approx(3)
    both = patch.network(plastic=dict.fromkeys(("parallel_purkinje", "ascending_purkinje"), rule))
    assert "purkinje_olive2" not in both and "purkinje_olive" in both


def test_what_cannot_learn_is_refused_by_name(patch: Circuit) -> None:
    rule = plasticity["pf_pc_sinexp"]
    for given, error, match in (
        ({"plastic": {"pf": rule}}, UnknownName, r"network\(plastic=\{'pf': ...\}\) is not known"),
        ({"plastic": {"parallel_purkinje": rule}, "instead": {"parallel_purkinje": None}},
         DomainError, "parallel_purkinje is in both, and only one can make its Synapses"),
        ({"plastic": {"golgi_granule": rule}}, DomainError,
         "spikes of a teacher that reach 'granule', and the teacher is 'none'. Write Plastic"),
        ({"plastic": {"parallel_basket": Plastic(rule=rule, teacher="climbing_purkinje")}},
         DomainError, "the teacher is 'climbing_purkinje'. Write Plastic"),
        ({"plastic": {"parallel_purkinje": Plastic(rule=rule, values={"A": 1 * nS})}},
         UnknownName, "'A' is not known"),
    ):  # fmt: skip
        with pytest.raises(error, match=match):
            patch.network(**given)
