"""The parts of the study `cerebellum_arm`: its loop, also compiled and mirrored; its figures."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, ms, mV, nS, second

import mirrorneuron as mn
from mirrorneuron.bio.recording import Simulation, Spikes
from mirrorneuron.studies._kit.file import write_csv
from mirrorneuron.studies.cerebellum_arm._loop import LEARNING, NUCLEI, RULE, Loop
from mirrorneuron.studies.cerebellum_arm._report import (
    CUT,
    LEARNT,
    STILL,
    Findings,
    Run,
    metrics,
    table_of_trials,
    where,
)  # fmt: skip
from mirrorneuron.studies.cerebellum_arm.cerebellum_arm import SAMPLE, CerebellumArm
from mirrorneuron.units import Dimensions

UNITS = ("joints.angle", "nuclei.rate", f"{LEARNING}.w")
SMALL = Loop(
    scale=0.004, seed=5, drawn=False, base=100.0, peak=600.0, start=0, stop=9
)  # a few milliseconds, in which all groups are to fire


def excited(loop: Loop) -> Any:
    """The network, with cells that are about to fire."""
    net: Any = loop.network()
    rng = np.random.default_rng(2)
    for name in ("granule", "golgi", "purkinje", "basket", "stellate", "dcn_p"):
        net[name].v = rng.uniform(-60, -35, len(net[name])) * mV
    net["errors"].x = 0.999
    return net


@pytest.mark.slow
def test_the_mirror_of_the_loop_is_exact() -> None:
    net = excited(SMALL)
    result = mn.validate(net, mn.mirror(net, namespace={}), 20 * ms)
    assert result.ok, str(result)
    fired = {run.object for run in result.free_run if run.n_reference}
    assert fired >= {"mossy", "granule", "purkinje", "dcn_p", "errors", "olive"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_code_has_the_same_spikes_and_weights() -> None:
    def build() -> Network:
        return cast(Network, excited(SMALL))

    how: dict[str, Any] = {"record": ["joints.angle"], "report": None}
    one = mn.simulate(build, 260 * ms, target="numpy", **how)
    two = mn.simulate(build, 260 * ms, "cpp", **how)
    for name, spikes in one.spikes.items():
        assert np.array_equal(spikes.step, two.spikes[name].step)
        assert np.array_equal(spikes.index, two.spikes[name].index)
    weights = f"{LEARNING}.w"
    np.testing.assert_allclose(one.final[weights], two.final[weights], rtol=1e-9)
    assert np.any(one.final[weights] != SMALL.circuit.wiring[LEARNING].weight)
    np.testing.assert_allclose(one["joints.angle"], two["joints.angle"], atol=1e-9)


def test_an_arm_that_is_not_flexed_enough_calls_the_fibres_of_the_flexor() -> None:
    loop = Loop(scale=0.004, slope=20.0, spontaneous=1.0)
    net: Any = loop.network()
    flexor, extensor = (loop.circuit.zone["olive"] == zone for zone in range(2))
    rates = []
    for angle in (0.0, -0.03, 0.03, -1.0, 1.0):
        net["joints"].angle = angle
        rate = net["errors"].rate / Hz
        rates.append((rate[flexor][0], rate[extensor][0]))
    assert np.array(rates) == pytest.approx(
        np.array([(1, 1), (1.6, 0.4), (0.4, 1.6), (10, 0), (0, 10)])
    )


def test_what_is_taught_balances_at_the_spontaneous_rate() -> None:
    plastic = Loop(spontaneous=1.7, rate=3e-4).plastic
    relative = {name: float(value / nS) for name, value in plastic.values.items()}
    assert relative["A_plus"] == pytest.approx(3e-4)
    assert float(RULE.neutral_rate(**relative) / Hz) == pytest.approx(1.7)
    assert not any(float(value / nS) for value in Loop(rate=0.0).plastic.values.values())


def test_the_controller_follows_the_plan_without_a_field_and_lags_in_one() -> None:
    loop = Loop(scale=0.004, gain=0.0, dt=2e-3, start=1, stop=9)

    def build() -> Network:
        body = loop.arm()
        nuclei = NeuronGroup(2, NUCLEI, namespace=loop.names, dt=loop.clock, method="exact")
        return Network(nuclei, *loop.controller(body, nuclei), *body.objects)

    run = mn.simulate(build, 2 * second, record=["joints.angle"], target="numpy", report=None)
    plan = loop.amplitude * np.sin(2 * np.pi * run.t)
    without, within = np.degrees(plan - run["joints.angle"][:, 0]).reshape(2, -1)
    late = np.arange(len(within) // 2, len(within))
    assert np.sqrt(np.square(without[late]).mean()) < 1.5
    lag = (within - without)[late]
    assert np.sqrt(np.square(lag).mean()) > 3
    assert (lag * np.cos(2 * np.pi * late / len(within))).mean() > 1


# ---- figures, from runs that are made up


def made(name: str, errors: Any, loop: Loop, olive: float = 1.0) -> Run:
    """A run whose error in each trial is that of a lag, as many degrees as given."""
    t = np.arange(round(len(errors) * loop.period / SAMPLE)) * SAMPLE
    degrees = np.repeat(errors, round(loop.period / SAMPLE)) * np.cos(2 * np.pi * t) * np.sqrt(2)
    angle = loop.amplitude * np.sin(2 * np.pi * t) - np.radians(degrees)
    every = round(1 / olive / loop.dt)
    spikes = {}
    for group in ("purkinje", "dcn_p", "olive"):
        cells = loop.circuit.counts[group]
        step = np.arange(0, round(len(errors) / loop.dt), every)
        spikes[group] = Spikes(
            np.repeat(step, cells), np.tile(np.arange(cells), len(step)), loop.dt, cells
        )
    weights = loop.circuit.wiring[LEARNING].weight * 0.5
    simulation = Simulation(
        backend="", dt=loop.dt, duration=float(len(errors)), seed=0, t=t, spikes=spikes,
        traces={"joints.angle": angle[:, None], "nuclei.rate": np.zeros((len(t), 2))},
        indices={"joints.angle": np.arange(1), "nuclei.rate": np.arange(2)},
        final={f"{LEARNING}.w": weights}, units=dict.fromkeys(UNITS, Dimensions()),
        seconds={}, versions={},
    )  # fmt: skip
    return Run(name=name, loop=loop, simulation=simulation)


@pytest.fixture(scope="module")
def found() -> Findings:
    learner = Loop(scale=0.004, start=2, stop=8)
    control = Loop(scale=0.004, start=2, stop=5)
    return Findings(
        runs={
            LEARNT: [made(LEARNT, [1, 1, 4, 3, 2, 1, 1, 1, -2, -2], learner)],
            STILL: [made(STILL, [1, 1, 5, 5, 5, 1, 1], control)],
            CUT: [made(CUT, [1, 1, 5, 5, 5, 1, 1], control)],
        },
        judged=2, after=2, window=2,
    )  # fmt: skip


def test_metrics_of_errors_that_are_known(found: Findings) -> None:
    values = {name: metric.value for name, metric in metrics(found).items()}
    assert values["rms_late_no_plasticity"] == pytest.approx(5)
    assert values["ratio_plasticity"] == values["ratio_worst_plasticity"] == pytest.approx(0.2)
    assert values["ratio_output_cut"] == pytest.approx(1)
    assert values["trials_to_half"] == 4  # trials 2 and 1 are the first pair below 2.5
    assert values["aftereffect_plasticity"] == pytest.approx(-3)
    assert values["aftereffect_no_plasticity"] == pytest.approx(0)
    assert values["olive"] == values["olive_least"] == pytest.approx(1)
    assert found.runs[LEARNT][0].weights == pytest.approx(0.5)


def test_rates_are_of_each_trial_part_and_zone(found: Findings) -> None:
    run = found.runs[LEARNT][0]
    rates = run.rates("purkinje", bins=4)
    assert rates.shape == (10, 4, 2)
    assert rates[:, 0] == pytest.approx(4) and rates[:, 1:] == pytest.approx(0)


def test_a_shorter_run_is_drawn_where_the_field_ends(found: Findings) -> None:
    still = found.runs[STILL][0]
    loop = found.runs[LEARNT][0].loop
    assert list(where(still, loop, 7)) == [0, 1, 2, 3, 4, 8, 9]


def test_the_table_of_trials_has_a_row_for_each(found: Findings, tmp_path: Path) -> None:
    write_csv(tmp_path / "trials.csv", table_of_trials(found))
    head, *rows = (tmp_path / "trials.csv").read_text().splitlines()
    assert head.startswith("run,seed,trial,field,rms_deg,side_deg,purkinje_flexor_hz")
    assert len(rows) == 24
    assert rows[8].startswith("plasticity,0,8,0,2.0000,-3.0000,1.0000")


def test_controls_are_the_same_network_for_fewer_trials() -> None:
    study = CerebellumArm()
    learnt, still, cut = (study.variant(name, 7) for name in (LEARNT, STILL, CUT))
    assert {learnt.seed, still.seed, cut.seed} == {7}
    assert learnt.rate > 0 and learnt.gain > 0 and learnt.stop == study.loop.stop
    assert (still.rate, cut.gain) == (0, 0)
    assert still.stop == cut.stop == study.loop.start + study.control


def test_a_run_that_was_done_is_read_and_another_setting_is_run_anew(
    found: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, calls = CerebellumArm(trials=10, loop=Loop(scale=0.004, start=2, stop=8)), []

    def simulated(*_: Any, **how: Any) -> Simulation:
        calls.append(how["seed"])
        return found.runs[LEARNT][0].simulation

    monkeypatch.setattr("mirrorneuron.studies.cerebellum_arm.cerebellum_arm.simulate", simulated)
    first, again = (study.one(LEARNT, 3, tmp_path, False) for _ in range(2))
    assert calls == [3]
    assert np.array_equal(first.error, again.error)
    other = CerebellumArm(trials=10, loop=Loop(scale=0.004, start=2, stop=8, gain=0.1))
    other.one(LEARNT, 3, tmp_path, False)
    (tmp_path / "plasticity-3.npz").write_bytes(b"half")
    other.one(LEARNT, 3, tmp_path, False)
    assert calls == [3, 3, 3]
