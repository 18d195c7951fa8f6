"""Eyeblink conditioning: what is presented, what is read, and what each pathway learns."""

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms, nS, second, um

import mirrorneuron as mn
from mirrorneuron.bio.circuits import Circuit, Phase, Plastic, cerebellum, eyeblink_conditioning
from mirrorneuron.bio.circuits.anatomy import PATHWAYS
from mirrorneuron.bio.circuits.eyeblink import (
    NUMBER,
    SETTLE,
    Conditioning,
    closure,
    conditionable,
    conditioning,
    fibres,
    puff,
    schedule,
    tone,
)
from mirrorneuron.bio.circuits.stimuli import Trains, poisson, together
from mirrorneuron.bio.plasticity import plasticity
from mirrorneuron.bio.recording import Simulation, Spikes
from mirrorneuron.errors import DomainError, UnitError, UnknownName

TAUGHT = [name for name, pathway in PATHWAYS.items() if pathway.teacher]
RULE = {
    "ascending_purkinje": "pf_pc_sinexp",
    "parallel_purkinje": "pf_pc_sinexp",
    "parallel_basket": "pf_mli",
    "parallel_stellate": "pf_mli",
    "mossy_dcn_p": "mf_dcn",
}
LOUD, QUIET = 1e-4, 1e-5  # steps by the teacher, and by what learns alone [nS]
STEPS = {
    name: {"A_plus": QUIET, "A_minus": -LOUD}
    if rule != "pf_mli"
    else {"A_plus": LOUD, "A_minus": -QUIET}
    for name, rule in RULE.items()
}
SILENT = 0.4  # when the stimuli end [s]
END = 0.5


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return cerebellum(scale=0.03, seed=2, dt=0.5 * ms)


@pytest.fixture(scope="module")
def lesson(circuit: Circuit) -> Simulation:
    """Half a second in which every pathway with a teacher learns, and nothing else connects."""
    rng = np.random.default_rng(3)
    mossy = poisson(np.arange(circuit.counts["mossy"]), 10.0, (0.0, SILENT), circuit.dt, rng)
    olive = poisson(np.arange(circuit.counts["olive"]), 8.0, (0.0, SILENT), circuit.dt, rng)
    teachers = {PATHWAYS[name].teacher for name in TAUGHT}
    driving = {"mossy_granule", "mossy_golgi", "golgi_granule", "dcn_i_olive"}
    without = set(PATHWAYS) - {*TAUGHT, *teachers, *driving}
    plastic = {
        name: Plastic(rule=plasticity[RULE[name]],
                      values={"w_max": 100 * nS, **{k: v * nS for k, v in steps.items()}})
        for name, steps in STEPS.items()
    }  # fmt: skip
    return mn.simulate(
        lambda: circuit.network(
            mossy=mossy, olive=olive, plastic=plastic, instead=dict.fromkeys(without)
        ),
        END * second, "runtime", seed=1, target="numpy", report=None,
    )  # fmt: skip


def arrivals(lesson: Simulation, circuit: Circuit, name: str) -> list[Any]:
    """Times at which the spikes of each source of a pathway arrive."""
    delay, trains = PATHWAYS[name].delay, lesson.spike_trains(PATHWAYS[name].source)
    return [np.asarray(train) + delay for train in trains.values()]


@pytest.mark.parametrize("name", TAUGHT)
def test_a_pathway_learns_what_the_closed_form_says(
    circuit: Circuit, lesson: Simulation, name: str
) -> None:
    wires, teacher = circuit.wiring[name], circuit.wiring[PATHWAYS[name].teacher]
    rule = plasticity[RULE[name]]
    values = rule.values(**STEPS[name])
    step = min(STEPS[name].values(), key=abs)
    pre, other = (arrivals(lesson, circuit, n) for n in (name, PATHWAYS[name].teacher))
    heard = END - values.get("window", 0.0) - circuit.dt / 2  # of later ones the end is not there
    expected = []
    for i, j in zip(wires.i, wires.j, strict=True):
        taught = np.sort(
            np.concatenate([np.empty(0), *(other[k] for k in teacher.i[teacher.j == j])])
        )
        early, late = pre[i][pre[i] < heard], pre[i][(pre[i] >= heard) & (pre[i] < END)]
        expected.append(rule.change(early, taught, values) + step * len(late))
    change = (lesson.final[f"{name}.w"] - wires.weight) / (wires.factor * 1e-9)
    assert np.any(np.abs(expected) > 1e-4)
    assert np.any(np.array(expected) * step < 0)  # the teacher outweighed what spikes do alone
    assert change == pytest.approx(np.array(expected), abs=1e-9)


# ---- what is presented


PHASES = (
    Phase(name="before", trials=2, us="none"),
    Phase(name="paired", trials=6, probes=3),
    Phase(name="apart", trials=4, us="unpaired"),
    Phase(name="longer", trials=2, interval=0.4 * second),
)


@pytest.fixture(scope="module")
def zones() -> Circuit:
    return cerebellum(scale=0.02, seed=4, dt=0.5 * ms, zones=2)


def test_trials_follow_each_other_and_probes_have_no_puff(rng: np.random.Generator) -> None:
    trials = schedule(PHASES, 1.0, 0.3, rng)
    assert [trial.start for trial in trials] == pytest.approx(SETTLE + np.arange(14.0))
    assert [trial.onset - trial.start for trial in trials] == pytest.approx([0.3] * 14)
    alone = [0, 0, 1, 0, 0, 1]  # of the paired phase
    assert [trial.alone for trial in trials] == [*[True] * 2, *map(bool, alone), *[False] * 6]
    for trial in trials:
        lag = trial.us - trial.onset
        if trial.phase in ("paired", "longer") and not trial.alone:
            assert lag == pytest.approx(trial.interval)
        if trial.phase == "apart":
            assert 0.25 + 0.01 + 0.2 <= lag <= 0.7 - 0.01
    lags = [trial.us - trial.onset for trial in trials if trial.phase == "apart"]
    assert len(set(lags)) == len(lags)


def test_the_tone_is_the_same_in_every_trial_and_ends_with_the_puff(
    zones: Circuit, rng: np.random.Generator
) -> None:
    trials, chosen = schedule(PHASES, 1.0, 0.3, rng), fibres(zones)
    silent = tone(zones, trials, chosen, 100.0, 0.5, 0.0, 15.0, 1)
    steps = np.round(silent.t / zones.dt).astype(int)
    patterns = [
        [(i, s - round(trial.onset / zones.dt))
         for i, s in zip(silent.i, steps, strict=True)
         if trial.start <= s * zones.dt < trial.start + 1]
        for trial in trials
    ]  # fmt: skip
    short = [
        pattern for pattern, trial in zip(patterns, trials, strict=True) if trial.interval < 0.3
    ]
    assert short[0] and all(pattern == short[0] for pattern in short)
    assert patterns[-1][: len(short[0])] == short[0] and len(patterns[-1]) > len(short[0])
    assert max(s for _, s in short[0]) * zones.dt < 0.26
    assert {i for i, _ in patterns[-1]} <= set(chosen)
    assert len(short[0]) == pytest.approx(50 * 0.26 * len(chosen), rel=0.6)
    noisy = tone(zones, trials, chosen, 100.0, 0.5, 4.0, 15.0, 1)
    there = set(zip(noisy.i, np.round(noisy.t / zones.dt), strict=True))
    assert set(zip(silent.i, np.round(silent.t / zones.dt), strict=True)) <= there


def test_the_puff_is_five_spikes_at_500_hz_in_the_first_zone(
    zones: Circuit, rng: np.random.Generator
) -> None:
    trials = schedule(PHASES, 1.0, 0.3, rng)
    trains = puff(zones, trials, 0.0, 15.0, 1)
    hit = np.flatnonzero(zones.zone["olive"] == 0)
    assert set(trains.i) == set(hit) and 0 < len(hit) < zones.counts["olive"]
    onsets = np.array([trial.us for trial in trials if not trial.alone])
    own = trains.t[trains.i == hit[0]].reshape(len(onsets), NUMBER)
    assert own[:, 0] == pytest.approx(onsets, abs=zones.dt)
    assert np.diff(own) == pytest.approx(2e-3)
    random = puff(zones, trials, 2.0, 15.0, 1)
    assert len(random.i) - len(trains.i) == pytest.approx(30 * zones.counts["olive"], rel=0.5)


def test_weights_start_at_the_bound_that_they_go_back_to_at_rest(circuit: Circuit) -> None:
    for name, plastic in conditionable(circuit).items():
        rule, weight = plastic.rule, PATHWAYS[name].weight_in("awake")
        steps = {key: float(np.asarray(value)) / weight for key, value in plastic.values.items()}
        values = rule.values(**{k: v for k, v in steps.items() if k[0] == "A"})
        olive = len(np.unique(circuit.wiring[PATHWAYS[name].teacher].i))
        assert rule.neutral_rate(A_plus=steps["A_plus"], A_minus=steps["A_minus"]) > 4 * Hz
        back = rule.drift(3.0, 0.5 * olive, values)
        assert steps["w_max" if back > 0 else "w_min"] == pytest.approx(1.0)


# ---- what is read


def recorded(circuit: Circuit, trials: Any, bursts: dict[int, float]) -> Simulation:
    """Nuclear cells at 50 Hz, those of the first zone with a burst at a time in some trials."""
    end, zone = trials[-1].start + 1.0, circuit.zone["dcn_p"]
    steady = np.arange(0.0, end, 0.02)
    parts = [Trains(np.full(len(steady), k), steady + 1e-3 * k) for k in range(len(zone))]
    for k, at in bursts.items():
        t = trials[k].onset + at + np.arange(0.0, 0.05, 5e-3)
        parts += [Trains(np.full(len(t), cell), t) for cell in np.flatnonzero(zone == 0)]
    trains = together(*parts, dt=1e-3)
    step = np.round(trains.t / 1e-3).astype(np.int64)
    spikes = {"dcn_p": Spikes(step, trains.i, 1e-3, len(zone))}
    return Simulation(
        backend="", dt=1e-3, duration=end, seed=None, t=np.empty(0), spikes=spikes, traces={},
        indices={}, final={}, units={}, seconds={}, versions={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def read(zones: Circuit) -> Conditioning:
    trials = schedule((Phase(name="probe", trials=12, us="none"),), 1.0, 0.3,
                      np.random.default_rng(0))  # fmt: skip
    return conditioning(
        zones, recorded(zones, trials, {4: 0.12, 9: 0.5}), trials, 1.0, np.arange(1)
    )


def test_a_response_is_a_lid_above_threshold_before_the_time_of_the_puff(
    read: Conditioning,
) -> None:
    assert list(np.flatnonzero(read.responded)) == [4]
    assert 0.12 < read.peak[4] < 0.35
    assert read.where("probe").sum() == 12 and read.where("probe", alone=False).sum() == 0
    during = read.counted("dcn_p", (0.12, 0.17))
    assert during[4] > during[3] == pytest.approx(50, rel=0.3)
    assert during[4] == pytest.approx(read.rate("dcn_p", read.responded, 0, 0.01)[42:47].mean())
    other = read.counted("dcn_p", (0.12, 0.17), zone=1)
    assert other[4] == pytest.approx(other[3])
    assert np.ptp(read.threshold - read.baseline) < 1e-9 < (read.threshold - read.baseline)[0]
    assert "8%" in str(read)


def test_what_the_tone_does_without_learning_is_no_response(zones: Circuit) -> None:
    phases = (Phase(name="before", trials=3, us="none"), Phase(name="paired", trials=3))
    trials = schedule(phases, 1.0, 0.3, np.random.default_rng(0))
    naive = dict.fromkeys(range(6), 0.1)
    same = conditioning(zones, recorded(zones, trials, naive), trials, 1.0, np.arange(1))
    assert not same.responded.any()
    assert same.lid[5, 301:] == pytest.approx(same.baseline[5], abs=0.5)
    learned = {k: at for k, at in naive.items() if k > 2}
    other = conditioning(zones, recorded(zones, trials, learned), trials, 1.0, np.arange(1))
    assert list(other.responded) == [False] * 3 + [True] * 3
    assert np.isnan(other.peak[3:]).all() and np.isfinite(other.peak[:3]).all()


def test_the_lid_is_the_mean_of_the_past(zones: Circuit) -> None:
    everyone = np.ones(2, dtype=bool)
    spikes = Spikes(np.array([500, 500]), np.array([0, 1]), 1e-3, 2)
    lid = closure(spikes, 1.0, everyone)
    assert lid.sum() * 1e-3 == pytest.approx(1.0, rel=1e-3)
    assert lid[:400].max() < 1e-6 and lid[780:].max() < 1e-6
    assert lid[590] == pytest.approx(1 / 0.18, rel=1e-3)
    steady = Spikes(np.arange(0, 1000, 10), np.zeros(100, int), 1e-3, 2)
    assert closure(steady, 1.0, np.array([True, False])) == pytest.approx(100, rel=0.06)


@pytest.mark.slow
def test_conditioning_strikes_one_zone_and_weights_stay_within_their_bounds(zones: Circuit) -> None:
    phases = (Phase(name="one", trials=1, interval=20 * ms),)
    how: dict[str, Any] = {"length": 0.24 * second, "onset": 0.15 * second, "backend": "runtime",
                           "target": "numpy", "report": None, "cs": 300 * Hz}  # fmt: skip
    one = eyeblink_conditioning(zones, phases, seed=3, **how)
    assert one.lid.shape == (1, 240) and one.counted("mossy", (0.0, 0.03))[0] > 20
    struck, other = (one.counted("olive", (0.02, 0.06), zone)[0] for zone in (0, 1))
    assert struck > 20 > other
    weights = one.simulation.final["parallel_purkinje.w"] / zones.wiring["parallel_purkinje"].weight
    assert weights.max() <= 1 + 1e-12


def test_what_cannot_be_presented_is_refused_by_name(zones: Circuit) -> None:
    refused: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
        ({"phases": ()}, DomainError, r"phases=\(\)\): there is no trial. Write a Phase"),
        ({"phases": (Phase(name="x", trials=0),)}, DomainError, "trials=0, probes=0. There is"),
        ({"phases": (Phase(name="x", trials=9, probes=1),)}, DomainError, "every trial a probe"),
        ({"phases": (Phase(name="x", trials=1, us="often"),)}, UnknownName, "us='often' is not"),
        ({"phases": (Phase(name="x", trials=1, interval=2 * second),)}, DomainError,
         r"a trial of 1 s with the CS from 0.3 to 2.31 s leaves no room. .* Write length=2.7\*sec"),
        ({"phases": (Phase(name="x", trials=1, interval=0 * ms),)}, DomainError,
         "the interval is 0. s. Write a time, like 1"),
        ({"onset": 0.1 * second}, DomainError, "The baseline needs 0.15 s before the CS"),
        ({"length": 1}, UnitError, "eyeblink_conditioning: the length is 1"),
        ({"cs": 3 * second}, UnitError, "eyeblink_conditioning: the rate cs"),
        ({"active": 0.0}, DomainError, "active=0.0.: it is the share of the fibres that"),
        ({"extent": [1, 1, 1] * um}, DomainError, r"an ellipse has two axes.*extent=\(100, 50\)"),
        ({"extent": [1e-3, 1e-3] * um}, DomainError, "no mossy fibre lies inside of this ellipse"),
    )  # fmt: skip
    for faulty, error, match in refused:
        with pytest.raises(error, match=match):
            eyeblink_conditioning(zones, **faulty)
    trials = schedule(PHASES, 1.0, 0.3, np.random.default_rng(0))
    found = conditioning(zones, recorded(zones, trials, {}), trials, 1.0, np.arange(1))
    with pytest.raises(UnknownName, match=r"conditioning.where\('trained'\) is not known"):
        found.where("trained")
