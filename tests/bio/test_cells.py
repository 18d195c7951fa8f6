"""Laws of published cells: each holds for every cell of every family in `bio/cells/`."""

import re
from collections.abc import Iterator

import brian2
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    Quantity,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    TimedArray,
    cm,
    ms,
    msiemens,
    mV,
    nA,
    pA,
    second,
    uA,
    volt,
)

import mirrorneuron as mn
from mirrorneuron.analysis import (
    SpikeTrains,
    coupling_coefficient,
    first_interval_rate,
    oscillation,
    phase_coherence,
    slope,
)
from mirrorneuron.bio import Cell, cells, neurons
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells.olivocerebellar_loop import climbing_fibre_eglif
from mirrorneuron.bio.neurons.inferior_olive import FORMS, gap_junctions
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

FAMILIES = pytest.mark.parametrize("family", cells.values(), ids=cells)
ALL = {f"{family} {name}": cell for family in cells for name, cell in cells[family].every().items()}
EVERY = pytest.mark.parametrize("cell", ALL.values(), ids=ALL)
EGLIF = {name: cell for name, cell in ALL.items() if name.startswith("geminiani")}
CLAIMED = {name: cell.claims[""] for name, cell in EGLIF.items() if "" in cell.claims}
SIGN = {name: round(float(evaluate(cell.parameters["leak_sign"]))) for name, cell in EGLIF.items()}

# Rates of ten seconds without the escape noise of one seed [Hz], with the sign +1 and with -1:
# Brian2's C++ code, 20 cells, dt 0.1 ms, Runge-Kutta.
SIGNS = {
    "golgi": (12.8, 0.0), "purkinje": (45.6, 39.3), "purkinje awake": (83.3, 85.3),
    "purkinje z_minus": (87.0, 88.7), "purkinje z_plus": (37.7, 39.8), "basket": (9.53, 0.0),
    "nuclear": (33.0, 30.9), "nuclear awake": (61.9, 77.3), "nuclear z_minus": (82.1, 102.2),
    "nuclear z_plus": (65.0, 81.3), "nuclear_inhibitory": (14.2, 21.8), "granule": (0.0, 0.0),
    "olive": (0.0, 0.0), "unipolar_brush": (0.0, 0.0),
}  # fmt: skip

pytestmark = pytest.mark.timeout(900)  # one C++ build, which waits for others on a busy machine
REST, STEP, COPIES = 5.0, 0.25, 15
MANY = 300  # where the first interval is a matter of chance: cells in the awake state
IRREGULAR = ("geminiani_refitted basket", "geminiani_refitted stellate")  # intervals at rest, too
PHASES = 40  # of refitted cells, in which a step of current finds them
COUPLED, UNCOUPLED, QUIET = slice(0, 12), slice(12, 24), slice(24, 28)
DENSITY = uA / cm**2
CONDUCTANCE = msiemens / cm**2


@FAMILIES
def test_the_source_is_told(family: object) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", family.source, re.DOTALL)
    assert "Differs from it:" in family.source


UNSTABLE = {  # as printed, and told by the group
    "geminiani granule 2024": r"k_2 = 41\. Hz is below leak_sign/tau_m = 41\.4",
    "de_grazia basket": r"k_adap/C_m = .* is below leak_sign\*k_2/tau_m",
    "de_grazia stellate": r"k_adap/C_m = .* is below leak_sign\*k_2/tau_m",
}


@EVERY
@pytest.mark.filterwarnings("ignore:.*is below leak_sign:UserWarning")
def test_a_cell_is_a_plain_group_with_its_values_and_receptors(cell: Cell) -> None:
    group = cell.group(3, name="cells")
    assert type(group) is NeuronGroup
    for name, text in cell.model.parameters.items():
        assert name in cell.parameters, text
        value = evaluate(cell.parameters[name])
        assert float(getattr(group, name)[:]) == pytest.approx(float(value)), name
        assert group.variables[name].scalar
    assert float(group.I[0]) == pytest.approx(float(evaluate(cell.parameters["I"])))
    for label, receptor in cell.receptors.items():
        for name, text in receptor.labelled(label).items():
            assert float(getattr(group, name)[:]) == pytest.approx(float(evaluate(text))), name


@pytest.mark.parametrize(
    "cell",
    [pytest.param(c, id=f"{f}-{n}") for f in cells for n, c in cells[f].items() if c.inputs],
)
def test_every_input_arrives_at_its_receptor(cell: Cell) -> None:
    source = SpikeGeneratorGroup(1, [0], [0] * ms)
    group = cell.group(2, name="cells")
    for name in cell.inputs:
        assert isinstance(cell.connect(source, group[1:], name, delay=1 * ms), Synapses)
    with pytest.raises(UnknownName, match=r"connect\(\.\.\., 'optic_nerve'\)"):
        cell.connect(source, group, "optic_nerve")


@pytest.mark.parametrize("name", ALL)
def test_a_published_set_is_stable_or_the_group_says_that_it_is_not(name: str) -> None:
    if name in UNSTABLE:
        with pytest.warns(UserWarning, match=UNSTABLE[name]):
            ALL[name].group(2)
    else:
        ALL[name].group(2)


def test_the_physiological_sign_is_stable_with_any_adaptation() -> None:
    neurons["eglif"].group(1, leak_sign=-1, k_2=0.001 / ms)
    with pytest.warns(UserWarning, match=r"1 of 2 values.*Raise k_2 to at least"):
        neurons["eglif"].group(2, k_2=[0.023, 0.02] / ms)
    with pytest.warns(UserWarning, match=r"k_adap/C_m = .* is below leak_sign\*k_2/tau_m"):
        neurons["eglif"].group(1, k_adap=0.01 * brian2.nS / ms)


def test_names_that_are_not_there_are_told() -> None:
    golgi = cells["geminiani"]["golgi"]
    with pytest.raises(UnknownName, match=r"family\['golgy'\].*Did you mean 'golgi'"):
        cells["geminiani"]["golgy"]
    with pytest.raises(UnknownName, match=r"state\('awake'\)"):
        golgi.state("awake")
    with pytest.raises(UnknownName, match=r"the receptor 'pff'.*Did you mean 'pf'"):
        golgi.group(1, receptors=["pff"])
    with pytest.raises(UnknownName, match=r"with_threshold\('escape'\)"):
        neurons["eglif"].with_threshold("escape")
    with pytest.raises(UnknownName, match=r"Cell\(values=\{'V_t': \.\.\.\}\)"):
        Cell(model=golgi.model, values={"V_t": "1*mV"})
    with pytest.raises(UnknownName, match=r"Cell\(inputs=\{\.\.\.: 'pf'\}\)"):
        Cell(model=golgi.model, values={}, inputs={"parallel_fibre": "pf"})
    with pytest.raises(
        ShapeError, match=r"(?s)tau_m is an array of shape \(2,\).*shared=True holds one"
    ):
        golgi.group(2, tau_m=[44, 45] * ms)
    assert golgi.group(2, shared=False, tau_m=[44, 45] * ms).tau_m[1] == 45 * ms


# ---- E-GLIF


def test_the_refractory_time_is_rounded_to_steps_in_which_v_is_held() -> None:
    for t_ref, held in ((1.59, 16), (1.67, 17), (2.0, 20), (0.0, 0)):
        model = neurons["eglif"].with_threshold("deterministic")
        cell = model.group(1, v=-54 * mV, t_ref=t_ref * ms)
        trace = brian2.StateMonitor(cell, "v", record=True)
        Network(cell, trace).run(4 * ms)
        v = trace.v[0] / mV
        assert np.count_nonzero(v == -75) == held + 1  # the step of the spike, too
        assert v[1] == -75


def test_v_is_floored_before_it_is_integrated() -> None:
    cell = neurons["eglif"].group(1, v=-80 * mV, V_min=-70 * mV, k_adap=0.5 * brian2.nS / ms)
    again = neurons["eglif"].group(1, v=-70 * mV, V_min=-70 * mV, k_adap=0.5 * brian2.nS / ms)
    Network(cell, again).run(0.1 * ms)
    assert cell.v[0] == again.v[0] != -70 * mV


def test_currents_are_set_and_added_at_a_spike() -> None:
    model = neurons["eglif"].with_threshold("deterministic")
    cell = model.group(
        1, v=-54 * mV, I_dep=50 * pA, I_adap=10 * pA, k_adap=0 * brian2.nS / ms, k_1=0 / ms,
        k_2=0 / ms, leak_sign=-1,
    )  # fmt: skip
    Network(cell).run(0.1 * ms)
    assert cell.v[0] == -75 * mV
    assert cell.I_dep[0] / pA == pytest.approx(259.988)
    assert cell.I_adap[0] / pA == pytest.approx(188.01)


def test_far_above_threshold_a_spike_is_certain_and_nothing_overflows() -> None:
    cell = neurons["eglif"].group(1, v=0 * mV)
    with np.errstate(over="raise"):
        Network(cell).run(0.1 * ms)
    assert cell.v[0] == -75 * mV


def test_drawn_numbers_decide_as_random_ones_do() -> None:
    """An escape threshold with given numbers: the chance of a spike is 1 - exp(-lambda dt)."""
    numbers = np.array([[0.0, 1.0]] * 3)
    uniform = TimedArray(numbers, dt=0.1 * ms)
    cell = neurons["eglif"].with_threshold("drawn").group(2, v=-55 * mV)
    spikes = SpikeMonitor(cell)
    Network(cell, spikes).run(0.1 * ms, namespace={"uniform": uniform})
    assert list(spikes.i) == [0]
    many = 20_000
    cell = neurons["eglif"].group(
        many, v=-55 * mV, leak_sign=0, I_e=0 * pA, k_adap=0 * brian2.nS / ms
    )
    brian2.seed(4)
    spikes = SpikeMonitor(cell)
    Network(cell, spikes).run(0.1 * ms)
    chance = 1 - np.exp(-0.15 * 0.1)
    assert abs(len(spikes.i) / many - chance) < 4 * np.sqrt(chance / many)


# ---- what the cells do, in one build for all of them


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> mn.Simulation:
    return mn.simulate(
        build, (REST + STEP) * second, "cpp", record=["olive.v"], interval=2.5 * ms, seed=5,
        directory=tmp_path_factory.mktemp("cells"), report=None,
    )  # fmt: skip


def rows() -> Iterator[tuple[str, int, float]]:
    """Each E-GLIF cell with its sign and the current that it gets after a rest [A]."""
    for name, cell in EGLIF.items():
        claim = cell.claims.get("")
        for sign in (1, -1):
            if sign == SIGN[name] or SIGN[name] > 0:
                yield name, sign, 0.0
        for text in claim.currents if claim else ():
            yield name, SIGN[name], float(evaluate(text))


def copies(name: str, current: float) -> int:
    """How many cells are simulated of a row."""
    irregular = name.endswith("awake") if current > 0 else name in IRREGULAR
    if irregular:
        return MANY
    return PHASES if current > 0 and SIGN[name] < 0 else COPIES


def started(name: str, current: float) -> list[float]:
    """Potential of each cell of a row at the start [V]: all phases where these matter."""
    low, high, own = (float(evaluate(EGLIF[name].parameters[p])) for p in ("V_r", "V_th", "v"))
    n = copies(name, current)
    if current > 0 and SIGN[name] < 0:
        return list(np.linspace(low, 0.1 * low + 0.9 * high, n))
    return [own] * n


def bundles(trains: SpikeTrains) -> Iterator[tuple[str, int, float, SpikeTrains]]:
    """Each row with the trains of its cells."""
    start = 0
    for name, sign, current in rows():
        stop = start + copies(name, current)
        yield name, sign, current, SpikeTrains(trains.trains[start:stop], trains.duration)
        start = stop


def build() -> Network:
    """E-GLIF cells, the published with both signs, then a step; olives, coupled and not."""
    table = [row for row in rows() for _ in range(copies(row[0], row[2]))]
    given = {
        p: Quantity([float(evaluate(EGLIF[name].parameters[p])) for name, *_ in table],
                    dim=brian2.get_dimensions(evaluate(text)))
        for p, text in EGLIF["geminiani golgi"].parameters.items()
        if p not in ("I", "leak_sign")
    }  # fmt: skip
    given["v"] = np.concatenate([started(name, current) for name, _, current in rows()]) * volt
    with pytest.warns(UserWarning, match="is below leak_sign/tau_m"):
        eglif = neurons["eglif"].group(
            len(table), name="eglif", leak_sign=[float(sign) for _, sign, _ in table], **given
        )
    steps = TimedArray(np.array([[0] * len(table)] * round(REST / STEP) + [[c for *_, c in table]])
                       * brian2.amp, dt=STEP * second)  # fmt: skip
    eglif.namespace["steps"] = steps
    eglif.run_regularly("I = steps(t, i)", dt=10 * ms, when="start")
    rng = np.random.default_rng(2)
    n = QUIET.stop
    noisy = np.arange(n) < QUIET.start
    olive = neurons["inferior_olive"].group(
        n,
        name="olive",
        dt=0.025 * ms,
        g_CaL=np.where(noisy, 1.4, [0.1, 0.75, 1.1, 1.2] * (n // 4)) * CONDUCTANCE,
        mu=np.where(noisy, -0.3, 0) * DENSITY,
        sigma=np.where(noisy, 0.7, 0) * DENSITY,
        v=np.where(noisy, rng.normal(-60, 3, n), -60) * mV,
    )
    ring = np.arange(COUPLED.stop)
    i, j = (np.concatenate(x) for x in zip(*((ring, (ring + k) % 12) for k in (1, 2, 3, 4, 5)),
                                           strict=True))  # fmt: skip
    return Network(eglif, olive, gap_junctions(olive, i, j, 0.02 * CONDUCTANCE, name="gap"))


def trains(result: mn.Simulation) -> SpikeTrains:
    spikes = result.spikes["eglif"]
    return SpikeTrains.from_events(spikes.t, spikes.index, spikes.size, result.duration)


def mean_rates(result: mn.Simulation) -> dict[tuple[str, int], float]:
    """Mean rate over the copies before the step: inverse of the mean interval [Hz]."""
    found: dict[tuple[str, int], float] = {}
    for name, sign, current, copies_ in bundles(trains(result).between(0.0, REST)):
        if current == 0:
            rates = [(t.size - 1) / (t[-1] - t[0]) if t.size > 2 else 0.0 for t in copies_.trains]
            found[name, sign] = float(np.mean(rates))
    return found


@pytest.mark.slow
def test_autorhythms_are_those_claimed(measured: mn.Simulation) -> None:
    found = mean_rates(measured)
    for name, claim in CLAIMED.items():
        assert claim.rate is not None
        assert found[name, SIGN[name]] == pytest.approx(claim.rate, rel=0.03, abs=0.05), name


@pytest.mark.slow
def test_the_sign_of_the_leak_decides_whether_the_constants_give_their_rates(
    measured: mn.Simulation,
) -> None:
    found = mean_rates(measured)
    for name, (plus, minus) in SIGNS.items():
        assert found[f"geminiani {name}", 1] == pytest.approx(plus, rel=0.03, abs=0.1), name
        assert found[f"geminiani {name}", -1] == pytest.approx(minus, rel=0.03, abs=0.1), name


@pytest.mark.slow
def test_rates_grow_with_current_as_claimed(measured: mn.Simulation) -> None:
    """Rate of a step: inverse of the mean of the copies' first intervals."""
    found: dict[str, list[tuple[float, float]]] = {}
    for name, _, current, copies_ in bundles(trains(measured)):
        if current > 0:
            rates = first_interval_rate(copies_, REST, REST + STEP)
            rate = 1 / np.mean(1 / rates) if np.all(rates > 0) else 0.0
            found.setdefault(name, []).append((current, float(rate)))
    assert set(found) == {name for name, claim in CLAIMED.items() if claim.slope}
    for name, curve in found.items():
        currents, rates = np.array(curve[1:]).T
        claim = CLAIMED[name]
        assert slope(currents, rates) == pytest.approx(claim.slope, rel=claim.tolerance), name


@pytest.mark.slow
def test_olives_oscillate_by_themselves_and_spike_only_with_noise(measured: mn.Simulation) -> None:
    v = measured["olive.v"][400:]
    still, small, middle, large = v[:, QUIET].T
    assert np.ptp(still) < 1e-4
    found = oscillation(np.stack([small, middle, large], axis=1), 2.5e-3)
    assert np.all((found.frequency > 6) & (found.frequency < 7.6))
    assert found.amplitude == pytest.approx([8.9e-3, 18.4e-3, 20.2e-3], rel=0.1)
    counts = measured.spikes["olive"].counts / measured.duration
    assert np.all(counts[QUIET] == 0)
    assert 0.3 < counts[COUPLED].mean() < 2
    assert counts[UNCOUPLED].mean() > 2


@pytest.mark.slow
def test_gap_junctions_make_olives_keep_step_without_changing_their_pace(
    measured: mn.Simulation,
) -> None:
    v = np.minimum(measured["olive.v"][400:], -40e-3)
    coupled, alone = (phase_coherence(v[:, part], 2.5e-3) for part in (COUPLED, UNCOUPLED))
    assert coupled - alone > 0.4
    pace = [np.median(oscillation(v[:, p], 2.5e-3).frequency) for p in (COUPLED, UNCOUPLED)]
    assert pace[1] == pytest.approx(pace[0], rel=0.15)


# ---- gap junctions


@pytest.mark.parametrize("form", FORMS)
def test_no_current_flows_between_equal_potentials_and_what_flows_is_conserved(form: str) -> None:
    brian2.defaultclock.dt = 0.025 * ms
    olive = neurons["inferior_olive"].group(3, v_d=[-60, -60, -40] * mV)
    gap = gap_junctions(olive, [0, 1], [1, 2], 0.02 * CONDUCTANCE, form=form)
    Network(olive, gap).run(brian2.defaultclock.dt)
    assert olive.I_gap[0] == 0 * DENSITY
    assert olive.I_gap[1] == -olive.I_gap[2] < 0 * DENSITY
    weaker = {"wide": 0.6 * np.exp(-0.16) + 0.4, "narrow": 0.8 * np.exp(-4) + 0.2}[form]
    assert olive.I_gap[2] / DENSITY == pytest.approx(0.02 * 20 * weaker)


def test_coupling_is_symmetric_and_grows_with_conductance() -> None:
    """A current into neither, the first or the second soma of pairs of quiet cells."""
    brian2.defaultclock.dt = 0.025 * ms
    model = neurons["inferior_olive"].variant("quiet")
    current = np.tile([0, 0, 1, 0, 0, 1], 3) * -0.5 * DENSITY * evaluate(model.parameters["area"])
    olive = model.group(18, method="euler", I=current)
    first = np.arange(0, 18, 2)
    g_c = np.repeat([0.005, 0.02, 0.05], 3) * CONDUCTANCE
    Network(olive, gap_junctions(olive, first, first + 1, g_c)).run(200 * ms)
    there, back = np.transpose(
        [
            [coupling_coefficient(still, one, 0)[1], coupling_coefficient(still, other, 1)[0]]
            for still, one, other in np.array(olive.v).reshape(3, 3, 2)
        ]
    )
    assert there == pytest.approx(back, rel=0.2)
    assert np.all(np.diff(there) > 0), there
    assert 0 < there[0] < there[-1] < 1


def test_gap_junctions_without_meaning_are_refused() -> None:
    olive = neurons["inferior_olive"].group(3, name="olive")
    asked = r"gap_junctions\('olive', i, j\)"
    with pytest.raises(DomainError, match=rf"{asked}: cell 1 is paired with itself"):
        gap_junctions(olive, [0, 1], [1, 1])
    with pytest.raises(ShapeError, match=rf"{asked}: i has shape \(2,\) and j \(1,\)"):
        gap_junctions(olive, [0, 1], [2])
    with pytest.raises(UnknownName, match=r"form='flat'"):
        gap_junctions(olive, 0, 1, form="flat")
    with pytest.raises(DomainError, match="g_c has to be >= 0"):
        gap_junctions(olive, 0, 1, -1 * CONDUCTANCE)
    with pytest.raises(UnitError, match="need g_c in siemens/meter"):
        gap_junctions(olive, 0, 1, 1 * nA)
    with pytest.raises(UnknownName, match="has no I_gap and no v_d"):
        gap_junctions(neurons["lif"].group(2, name="cells"), 0, 1)


# ---- climbing fibres and nuclei


def test_a_purkinje_cell_pauses_after_a_complex_spike() -> None:
    """AdEx cells with their step of adaptation; E-GLIF cells have a pause with the same step."""
    at = 300 * ms
    fibre = SpikeGeneratorGroup(1, [0], [at])
    loop = cells["olivocerebellar_loop"]["purkinje"]
    adex = loop.group(2, name="adex", I=1.35 * nA)
    eglif = cells["geminiani"]["purkinje"].state("awake").group(2, name="awake", receptors=[])
    connected = [
        loop.connect(fibre, adex[1:], "climbing_fibre", delay=2 * ms),
        climbing_fibre_eglif.connect(fibre, eglif[1:], "cf", w=1 * nA, delay=2 * ms),
    ]
    monitors = [SpikeMonitor(group) for group in (adex, eglif)]
    brian2.seed(1)
    Network(fibre, adex, eglif, connected, monitors).run(450 * ms)
    for monitor in monitors:
        free, paused = [np.asarray(t) for t in monitor.spike_trains().values()]
        usual = np.median(np.diff(free[free > 0.1]))
        around = np.diff(paused)[np.searchsorted(paused, 0.302) - 1]
        assert around > 2.5 * usual


def test_nuclear_spikes_inhibit_the_olive() -> None:
    brian2.defaultclock.dt = 0.025 * ms
    nucleus = SpikeGeneratorGroup(1, [0], [1] * ms)
    cell = cells["olivocerebellar_loop"]["olive"]
    olive = cell.group(2, name="olive")
    Network(nucleus, olive, cell.connect(nucleus, olive[1:], "nuclear", w=2 * DENSITY)).run(6 * ms)
    assert olive.v[1] < olive.v[0] - 1 * mV
    assert olive.I_inh[1] / DENSITY == pytest.approx(2 * np.exp(-5 / 30), rel=0.01)


def test_the_noise_of_the_olive_has_its_mean_and_spread() -> None:
    brian2.defaultclock.dt = 0.025 * ms
    brian2.seed(7)
    olive = neurons["inferior_olive"].group(
        2000, mu=-0.3 * DENSITY, sigma=0.7 * DENSITY, tau_ou=1 * ms, method="euler"
    )
    Network(olive).run(4 * ms)
    assert np.mean(olive.I_ou / DENSITY) == pytest.approx(-0.3, abs=0.05)
    assert np.std(olive.I_ou / DENSITY) == pytest.approx(0.7 / np.sqrt(2), rel=0.06)
