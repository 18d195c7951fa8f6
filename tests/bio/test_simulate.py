"""Simulate: the same spikes on every backend, nothing left behind, and errors that say why."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import brian2
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    collect,
    get_device,
    magic_network,
    ms,
    mV,
    network_operation,
    prefs,
    second,
    seed,
    set_device,
)
from brian2.devices.device import all_devices, previous_devices, reset_device
from brian2.utils.logger import catch_logs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import mirrorneuron as mn
from mirrorneuron.bio.recording import Simulation, Spikes
from mirrorneuron.bio.simulate import _callable
from mirrorneuron.errors import (
    BuildError,
    CheckpointError,
    DomainError,
    NetworkError,
    TooLarge,
    UnitError,
    UnknownName,
)
from mirrorneuron.units import Dimensions

LENGTH = 300 * ms
RUNTIME = all_devices["runtime"]


def plastic() -> Network:
    """Recurrent cells with delays, refractoriness and pair-based plasticity."""
    rng = np.random.default_rng(1)
    cells = NeuronGroup(
        30,
        """dv/dt = (drive - v) / tau : 1 (unless refractory)
           twice = 2 * v : 1
           level : 1 (shared)
           drive : 1 (constant)""",
        threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", name="cells",
        namespace={"tau": 10 * ms},
    )  # fmt: skip
    cells.v = rng.uniform(0, 1, 30)
    cells.drive = rng.uniform(1.2, 2.0, 30)
    cells.level = 7
    synapses = Synapses(
        cells, cells,
        """w : 1
           dx/dt = -x / (10*ms) : 1 (event-driven)
           dy/dt = -y / (12*ms) : 1 (event-driven)""",
        on_pre="v_post += w; x += 0.01; w = clip(w - y, -0.1, 0.1)",
        on_post="y += 0.012; w = clip(w + x, -0.1, 0.1)",
        name="syn",
    )  # fmt: skip
    i, j = np.nonzero(rng.random((30, 30)) < 0.2)
    synapses.connect(i=i, j=j)
    synapses.w = rng.uniform(-0.02, 0.05, len(i))
    synapses.delay = rng.uniform(0.1, 3.0, len(i)) * ms
    return Network(cells, synapses)


def chain() -> Network:
    """Given spikes reach cells that integrate a current; two clocks."""
    source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 5] * ms, name="source")
    cells = NeuronGroup(
        3, "dv/dt = (30*mV - v) / (8*ms) : volt", threshold="v > 20*mV", reset="v = 0*mV",
        method="euler", name="cells",
    )  # fmt: skip
    slow = NeuronGroup(1, "dz/dt = 1 / second : 1", method="euler", dt=0.5 * ms, name="slow")
    synapses = Synapses(source, cells, on_pre="v_post += 5*mV", name="syn")
    synapses.connect(i=[0, 1, 0], j=[0, 1, 2])
    return Network(source, cells, slow, synapses)


def noisy() -> Network:
    """Random connections, initial values, noise and Poisson spikes."""
    cells = NeuronGroup(
        10, "dv/dt = -v / (10*ms) + 5*xi/sqrt(second) : 1", threshold="v > 0.5", reset="v = 0",
        method="euler", name="cells",
    )  # fmt: skip
    cells.v = "rand()"
    noise = PoissonGroup(5, rates=50 * brian2.Hz, name="noise")
    synapses = Synapses(noise, cells, on_pre="v_post += 0.1", name="syn")
    synapses.connect(p=0.5)
    return Network(cells, noise, synapses)


def numpy_run(build: Callable[[], object] = chain, duration=20 * ms, **given) -> Simulation:
    return mn.simulate(build, duration, target="numpy", **given)


RECORD = {"cells.v": None, "cells.twice": [3, 1], "cells.level": None, "syn.w": [0, 5]}


@pytest.fixture(scope="module")
def runs() -> dict[str, Simulation]:
    """The plastic network everywhere."""
    kinds = {
        "numpy": {"target": "numpy"}, "cython": {"target": "cython"}, "cpp": {"backend": "cpp"},
    }  # fmt: skip
    return {name: mn.simulate(plastic, LENGTH, record=RECORD, **k) for name, k in kinds.items()}


# ---- the same network everywhere


@pytest.mark.parametrize("other", ["cython", "cpp"])
def test_spikes_are_identical_and_weights_agree_on_all_backends(
    runs: dict[str, Simulation], other: str
) -> None:
    one, two = runs["numpy"], runs[other]
    assert len(one.spikes["cells"].step) > 500
    np.testing.assert_array_equal(one.spikes["cells"].step, two.spikes["cells"].step)
    np.testing.assert_array_equal(one.spikes["cells"].index, two.spikes["cells"].index)
    assert set(one.final) == set(two.final)
    start = plastic()["syn"].w[:]
    assert np.max(np.abs(one.final["syn.w"] - start)) > 0.01
    for key in one.final:
        np.testing.assert_allclose(one.final[key], two.final[key], rtol=1e-9, atol=1e-9)
    for key in RECORD:
        np.testing.assert_allclose(one[key], two[key], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(one.t, two.t)
    assert one.units == two.units


def test_a_result_is_what_brian2_records(runs: dict[str, Simulation]) -> None:
    network = plastic()
    spikes = SpikeMonitor(network["cells"])
    states = StateMonitor(network["cells"], ["v", "twice"], record=True)
    network.add(spikes, states)
    network.run(LENGTH)
    result = runs["numpy"]
    np.testing.assert_array_equal(result.spikes["cells"].index, spikes.i[:])
    np.testing.assert_allclose(result.spikes["cells"].t, spikes.t_[:], rtol=1e-14)
    np.testing.assert_array_equal(result["cells.v"], states.v_.T)
    np.testing.assert_array_equal(result["cells.twice"], states.twice_.T[:, [3, 1]])
    np.testing.assert_array_equal(result.t, states.t_[:])
    np.testing.assert_array_equal(result.final["syn.w"], network["syn"].w_[:])
    np.testing.assert_array_equal(result.final["syn_pre.delay"], network["syn"].delay_[:])
    trains = spikes.spike_trains()
    for neuron, train in result.spike_trains("cells").items():
        np.testing.assert_allclose(np.asarray(train), np.asarray(trains[neuron]), rtol=1e-14)
        assert train.dim == second.dim


def test_what_one_value_shares_has_one_column(runs: dict[str, Simulation]) -> None:
    assert runs["cpp"]["cells.level"].shape == (3000, 1)
    assert runs["cpp"].final["cells.level"].shape == ()
    np.testing.assert_array_equal(runs["cpp"].indices["cells.twice"], [3, 1])


def test_a_result_tells_where_and_how_long_it_ran(runs: dict[str, Simulation]) -> None:
    assert [r.backend for r in runs.values()] == ["runtime (numpy)", "runtime (cython)", "cpp"]
    for result in runs.values():
        assert set(result.seconds) == {"build", "run"}
        assert result.versions["brian2"] == brian2.__version__
    assert "cells: 30 neurons" in str(runs["cpp"])
    assert runs["cpp"].rates()["cells"] == pytest.approx(
        len(runs["cpp"].spikes["cells"].step) / 30 / 0.3
    )


# ---- nothing is left behind


CHAIN = """
import sys
sys.path.insert(0, sys.argv[1])
import test_simulate
from brian2 import ms
import mirrorneuron as mn
mn.simulate(test_simulate.chain, 20*ms, "cpp").save(sys.argv[2])
"""


def test_two_compiled_runs_at_once_disturb_neither_each_other_nor_this_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrorneuron._progress.LOG_INTERVAL", 0.0)  # a log has a line each 30 s
    mine = chain()
    mine.run(5 * ms)
    before = mine["cells"].v_[:].copy()
    state = np.random.get_state()[1].copy()  # pyright: ignore
    kept, record = tmp_path / "kept", {"cells.v": None, "slow.z": None}
    arguments = [str(Path(__file__).parent), str(tmp_path / "other.npz")]
    with subprocess.Popen([sys.executable, "-c", CHAIN, *arguments]) as other:
        two = mn.simulate(
            chain, 20 * ms, "cpp", record, directory=kept, seed=3, threads=2, report="text"
        )
    assert other.returncode == 0
    shown = capfd.readouterr().err
    assert "simulate: compiling" in shown
    assert "/0.02 s" in shown
    assert get_device() is RUNTIME
    assert not previous_devices
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # pyright: ignore
    np.testing.assert_array_equal(mine["cells"].v_[:], before)
    mine.run(15 * ms)
    np.testing.assert_allclose(mine["cells"].v_[:], two.final["cells.v"], rtol=1e-9)
    one, three = numpy_run(record=record), Simulation.load(tmp_path / "other.npz")
    for name in ("source", "cells"):
        for result in (two, three):
            np.testing.assert_array_equal(one.spikes[name].step, result.spikes[name].step)
            np.testing.assert_array_equal(one.spikes[name].index, result.spikes[name].index)
    np.testing.assert_allclose(one["slow.z"], two["slow.z"], rtol=1e-9)
    assert (one.backend, two.backend, three.backend) == (
        "runtime (numpy)",
        "cpp (2 threads)",
        "cpp",
    )
    assert (kept / "cpp" / "main").exists()
    assert not list((kept / "cpp").glob("results-*"))
    loaded = Simulation.load(kept / "simulation.npz")
    np.testing.assert_array_equal(loaded["cells.v"], two["cells.v"])


@pytest.mark.slow
def test_what_a_directory_holds_is_not_compiled_again(tmp_path: Path) -> None:
    def compiled() -> dict[str, int]:
        made = (tmp_path / "cpp" / "code_objects").glob("*.o")
        return {path.name: path.stat().st_mtime_ns for path in made}

    found: list[dict[str, int]] = []
    for duration in (5, 8):
        result = mn.simulate(chain, duration * ms, "cpp", directory=tmp_path, report=None)
        assert result.duration == pytest.approx(duration * 1e-3)
        found.append(compiled())
    assert found[0].keys() == found[1].keys()
    anew = {name for name, at in found[1].items() if at != found[0][name]}
    assert all(name.startswith("simulate_spikes") for name in anew)  # it holds given spikes


def test_preferences_clock_and_monitors_are_as_before() -> None:
    network = chain()
    names = {obj.name for obj in network.objects}
    prefs.codegen.target = "auto"
    before = prefs.as_file
    try:
        numpy_run(lambda: network, record=["cells.v"])
        numpy_run(faster)
        assert prefs.as_file == before
    finally:
        prefs.codegen.target = "numpy"
    assert brian2.defaultclock.dt == 0.1 * ms
    assert {obj.name for obj in network.objects} == names


def faster() -> Network:
    """A network that changes the default clock."""
    brian2.defaultclock.dt = 0.05 * ms
    return chain()


def test_the_time_step_that_build_sets_holds_for_the_run() -> None:
    assert numpy_run(faster).dt == pytest.approx(0.05e-3)


def test_a_standalone_project_of_the_user_is_not_touched() -> None:
    set_device("cpp_standalone", build_on_run=False, directory="mine")
    try:
        device = get_device()
        NeuronGroup(1, "v : 1", name="begun").v = 3
        queue = list(device.main_queue)
        assert queue
        numpy_run()
        assert get_device() is device
        assert device.main_queue == queue
        assert device.build_options == {"directory": "mine"}
    finally:
        device.reinit()
        reset_device("runtime")
        previous_devices.clear()


def test_what_build_raises_arrives_and_the_device_is_put_back() -> None:
    def broken() -> Network:
        brian2.defaultclock.dt = 1 * ms
        raise ZeroDivisionError("in build")

    for backend in ("runtime", "cpp"):
        with pytest.raises(ZeroDivisionError, match="in build"):
            mn.simulate(broken, 10 * ms, backend)
        assert get_device() is RUNTIME
        assert brian2.defaultclock.dt == 0.1 * ms


# ---- random numbers


def test_a_seed_repeats_a_run_and_leaves_the_random_numbers_of_others_alone() -> None:
    seed(1)
    expected = np.random.rand(3)
    seed(1)
    one, two, other = (numpy_run(noisy, 50 * ms, seed=k) for k in (4, 4, 5))
    np.testing.assert_array_equal(np.random.rand(3), expected)
    np.testing.assert_array_equal(one.final["cells.v"], two.final["cells.v"])
    np.testing.assert_array_equal(one.final["syn.i"], two.final["syn.i"])
    assert not np.array_equal(one.final["cells.v"], other.final["cells.v"])
    assert one.seed == 4


# ---- what is recorded


def test_samples_can_be_taken_less_often() -> None:
    every = numpy_run(record=["cells.v"])
    some = numpy_run(record=["cells.v"], interval=1 * ms)
    np.testing.assert_allclose(some.t, np.arange(20) * 1e-3, atol=1e-12)
    np.testing.assert_array_equal(some["cells.v"], every["cells.v"][::10])


def test_spikes_of_chosen_groups_only() -> None:
    assert set(numpy_run().spikes) == {"source", "cells"}
    assert set(numpy_run(spikes=["source"]).spikes) == {"source"}


def test_names_of_equations_are_found_around_build() -> None:
    tau = 5 * ms

    def build() -> Network:
        return Network(NeuronGroup(1, "dv/dt = (1 - v) / tau : 1", method="exact", name="cells"))

    final = mn.simulate(build, 5 * ms, target="numpy").final["cells.v"]
    assert final == pytest.approx(1 - np.exp(-1))
    given = numpy_run(build, 5 * ms, namespace={"tau": 2 * tau}).final["cells.v"]
    assert given == pytest.approx(1 - np.exp(-0.5))


def shadowed() -> Network:
    """Variables whose names a script has, too; `h` needs one of them, `g` the other."""
    g = NeuronGroup(
        3, "dv/dt = (I - v)/tau : 1\nI : 1", threshold="v > 1", reset="v = 0", method="euler",
        name="g",
    )  # fmt: skip
    g.I = 1.5
    h = NeuronGroup(3, "dx/dt = (u - x)/(3*ms) : 1", method="euler", name="h")
    s = Synapses(g, h, "w : 1", on_pre="x_post += w*t/t", name="s")
    s.connect(j="i")
    s.w = 0.1
    return Network(g, h, s)


@pytest.mark.parametrize("backend", ["runtime", "native", "stepper"])
def test_names_around_build_that_objects_have_themselves_are_not_taken(backend: str) -> None:
    v, I, dt, w, x = 3, 2 * ms, 0.5, 7, None  # noqa: E741, F841
    tau, u = 5 * ms, 0.25  # noqa: F841
    options = {"target": "numpy"} if backend == "runtime" else {}
    with catch_logs() as logs:
        result = mn.simulate(shadowed, 20 * ms, backend, **options)
    assert not [log for log in logs if "resolution_conflict" in log[1]]
    assert len(result.spikes["g"].step) == 9
    assert np.all(result.final["h.x"] > 0.25)


def test_names_that_are_given_are_told_where_objects_have_them_too() -> None:
    names = {"v": 3, "tau": 5 * ms, "u": 0.25}
    with catch_logs() as logs:
        mn.simulate(shadowed, 1 * ms, namespace=names, target="numpy")
    assert any("resolution_conflict" in log[1] for log in logs)


@pytest.mark.parametrize("backend", ["runtime", "native", "stepper"])
def test_what_brian2_finds_wrong_is_told_with_object_line_and_remedy(backend: str) -> None:
    def build() -> Network:
        return Network(NeuronGroup(1, "dv/dt = -v/tau_mem : 1", method="euler", name="cells"))

    options = {"target": "numpy"} if backend == "runtime" else {}
    told = rf"backend='{backend}'\): Brian2 cannot .* 'cells.*made in line .*\"tau_mem\" could not"
    with pytest.raises(NetworkError, match=told) as caught:
        mn.simulate(build, 1 * ms, backend, **options)
    assert isinstance(caught.value, KeyError)


def test_progress_is_shown_when_asked_for(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirrorneuron._progress.LOG_INTERVAL", 0.0)  # a log has a line each 30 s
    numpy_run(report=None)
    numpy_run()
    assert capfd.readouterr() == ("", "")
    numpy_run(report="text")
    assert "/0.02 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"record": ["cells.u"]}, r"record=\['cells.u'\] is not known. Did you mean 'cells.v'"),
        ({"record": ["cell.v"]}, r"record=\['cell.v'\] is not known. Did you mean 'cells.v'"),
        ({"spikes": ["sources"]}, r"spikes=\['sources'\] is not known. Did you mean 'source'\?"),
        ({"spikes": ["slow"]}, r"spikes=\['slow'\] is not known"),
        ({"backend": "cp"}, "backend='cp'.* is not known.*Did you mean 'cpp'.*Known are: 'bri"),
        ({"target": "cuda"}, "target='cuda' is not known.*'auto', 'cython', 'numpy'"),
        ({"threads": 2}, "backend='runtime'.*the option 'threads' is not known.*'fast_math', 'tar"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(given: dict, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        mn.simulate(chain, 20 * ms, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"record": "cells.v"}, r"record='cells.v' is one string.*Write record=\['cells.v'\]"),
        ({"spikes": "cells"}, r"spikes='cells' is one string.*Write spikes=\['cells'\]"),
        ({"record": {"cells.v": [3]}}, "has the index 3, but 'cells' has 3 elements"),
        ({"record": {"cells.v": [-1]}}, "has the index -1, but"),
        ({"record": {"cells.v": [0.5]}}, r"\[0.5\]} are no indices.*Write record={'cells.v': \[0"),
        ({"interval": 0.15 * ms}, "interval = 0.15 ms is no multiple.*Write interval=0.1\\*ms"),
        ({"interval": 0.01 * ms}, "no multiple of the time step 0.1 ms.*Write interval=0.1\\*ms"),
        ({"interval": -1 * ms}, "the interval is -1. ms. It has to be a positive"),
        ({"duration": 0 * ms}, "the duration is 0. s. It has to be a positive, finite time"),
        ({"duration": np.inf * ms}, "the duration is inf .*It has to be a positive, finite"),
        ({"seed": -1}, "seed=-1 is no seed. It is a whole number from 0 to"),
        ({"backend": "cpp", "threads": -1}, "threads=-1 is no number of threads. Write threads=2"),
        ({"backend": "cpp", "threads": 1.5}, "threads=1.5 is no number of threads"),
    ],
)
def test_a_value_out_of_range_is_refused(given: dict, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        mn.simulate(chain, **{"duration": 20 * ms, **given})


@pytest.mark.parametrize("backend", ["runtime", "native", "stepper"])
def test_a_run_that_no_computer_ends_is_refused(backend: str) -> None:
    with pytest.raises(TooLarge, match=r"1e\+15 s are 1\.0e\+19 steps.*Write a shorter duration"):
        mn.simulate(shadowed, 1e15 * second, backend)


def test_a_duration_is_a_time() -> None:
    with pytest.raises(UnitError, match=r"the duration is 100.*a plain number, but has to be in"):
        mn.simulate(chain, 100)
    with pytest.raises(UnitError, match=r"the interval is 1. \* mvolt, in \[V\]"):
        mn.simulate(chain, 10 * ms, interval=1 * mV)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: None, "returned None. It has to make.*Write return Network"),
        (lambda: 3, "returned int 3"),
        (lambda: magic_network, "returned the MagicNetwork 'magicnetwork"),
        (lambda: Network(collect()), "returned a Network without objects"),
        (lambda: set_device("cpp_standalone"), r"build\(\) called set_device\(...\)"),
    ],
)
def test_build_returns_a_network(build: Callable[[], object], message: str) -> None:
    with pytest.raises((DomainError, BuildError), match=message):
        numpy_run(build)
    assert get_device() is RUNTIME


def test_build_is_a_function() -> None:
    with pytest.raises(DomainError, match=r"build is <Network.*cannot be called.*without parenth"):
        _callable("simulate(...)", chain())


def test_objects_of_a_compiled_run_are_made_inside_of_build() -> None:
    network = chain()
    with pytest.raises(DomainError, match=r"which was made for another device.*inside of build"):
        mn.simulate(lambda: network, 10 * ms, "cpp")


def test_a_compiled_program_runs_no_python() -> None:
    def build() -> Network:
        @network_operation
        def move_target() -> None: ...

        return Network(chain().objects, move_target)

    with pytest.raises(DomainError, match=r"Python function move_target\(\) at each step"):
        mn.simulate(build, 10 * ms, "cpp")
    assert numpy_run(build, 1 * ms).spikes


def test_synapses_that_the_program_makes_are_recorded_by_index() -> None:
    def build() -> Network:
        cells = NeuronGroup(3, "v : 1", threshold="v > 1", name="cells")
        synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="syn")
        synapses.connect(condition="i != j")
        return Network(cells, synapses)

    with pytest.raises(DomainError, match=r"'syn' are made by the compiled.*{'syn.w': \[0, 1\]}"):
        mn.simulate(build, 10 * ms, "cpp", ["syn.w"])
    assert numpy_run(build, 1 * ms, record=["syn.w"])["syn.w"].shape == (10, 6)


# ---- builds that fail


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder of commands, the whole PATH of a test."""

    def make(**scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return make


def temporary() -> set[str]:
    return {p.name for p in Path("/tmp").glob("mirrorneuron-*") if p.is_dir()}


def test_a_missing_compiler_is_named(tools: Callable[..., Path]) -> None:
    tools()
    with pytest.raises(BuildError, match=r"g\+\+ and make cannot be found.*apt install g\+\+"):
        mn.simulate(chain, 20 * ms, "cpp")
    with pytest.raises(BuildError, match=r"target='cython' needs a C\+\+ compiler.*'numpy'"):
        mn.simulate(chain, 20 * ms, target="cython")
    assert mn.simulate(chain, 20 * ms, target="auto").backend == "runtime (numpy)"


BROKEN = "echo 'objects.cpp:7: error: no such thing'; exit 2"
KILLED = "echo compiling; kill -KILL $$"


@pytest.mark.parametrize(
    ("make", "message"),
    [(BROKEN, r"make ended with exit status 2. Its last(.|\n)*cpp:7: error: no such thing"),
     (KILLED, r"make was ended by SIGKILL, as the system does(.|\n)*compiling")],
)  # fmt: skip
def test_a_failed_build_shows_the_end_of_its_log(
    tools: Callable[..., Path], make: str, message: str
) -> None:
    tools(**{"g++": "exit 0", "make": make})
    before = temporary()
    with pytest.raises(BuildError, match=message) as caught:
        mn.simulate(chain, 20 * ms, "cpp")
    log = Path(str(caught.value).split("The whole log is ")[1].split(". If ")[0])
    assert log.read_text().splitlines()[0] in str(caught.value)
    log.unlink()
    assert temporary() == before
    assert get_device() is RUNTIME
    assert numpy_run().spikes["cells"].step.size


def test_a_program_that_dies_is_reported_with_its_log(
    tools: Callable[..., Path], tmp_path: Path
) -> None:
    program = "#!/bin/sh\\necho step 3\\nkill -SEGV $$\\n"
    tools(**{"g++": "exit 0", "make": f"printf '{program}' > main; /bin/chmod +x main"})
    with pytest.raises(BuildError, match=r"program was ended by SIGSEGV(.|\n)*step 3") as caught:
        mn.simulate(chain, 20 * ms, "cpp", directory=tmp_path / "kept")
    assert str(tmp_path / "kept" / "run.log") in str(caught.value)
    assert not (tmp_path / "kept" / "simulation.npz").exists()


def test_a_program_that_writes_nothing_is_reported(
    tools: Callable[..., Path], tmp_path: Path
) -> None:
    tools(**{"g++": "exit 0", "make": "printf '#!/bin/sh\\n' > main; /bin/chmod +x main"})
    with pytest.raises(BuildError, match=r"what it wrote to .* cannot be read.*disk may be full"):
        mn.simulate(chain, 20 * ms, "cpp")


def interrupt_soon(condition: Callable[[], bool]) -> threading.Thread:
    def wait() -> None:
        while not condition():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.fixture
def _python_interrupts() -> object:
    """Brian2's handler asks for one that Python does not always have in a test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_python_interrupts")
def test_an_interrupted_build_stops_its_compilers_and_leaves_nothing(
    tools: Callable[..., Path], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    tools(**{"g++": "exit 0", "make": f"/bin/sleep 60 & echo $! > {started}; wait"})
    before = temporary()
    thread = interrupt_soon(lambda: started.exists() and bool(started.read_text().strip()))
    with pytest.raises(KeyboardInterrupt):
        mn.simulate(chain, 20 * ms, "cpp")
    thread.join()
    assert temporary() == before
    status = Path(f"/proc/{int(started.read_text())}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_an_interrupted_run_raises_and_leaves_no_result(tmp_path: Path) -> None:
    # Brian2's own handler is at work here: by default it would end the run as if it were complete.
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import mirrorneuron as mn, {Path(__file__).stem} as m
from brian2 import second
def build():
    print("ready", flush=True)
    return m.chain()
try:
    mn.simulate(build, 1000*second, target="numpy", directory={str(tmp_path / "kept")!r})
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["mirrorneuron-simulation.json"]


# ---- directories, memory


def test_a_directory_with_files_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(
        BuildError, match=r"not empty and not of a simulation.*'thesis.tex'.*Name a"
    ):
        numpy_run(directory=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(BuildError, match=r"cannot be used .*File exists"):
        numpy_run(directory=tmp_path / "thesis.tex")


def test_a_directory_serves_one_simulation_at_a_time(tmp_path: Path) -> None:
    kept = tmp_path / "kept"

    def nested() -> Network:
        with pytest.raises(BuildError, match=r"is in use by another simulation.*Name another one"):
            numpy_run(directory=kept)
        return chain()

    numpy_run(nested, directory=kept)
    again = numpy_run(directory=kept)
    assert Simulation.load(kept / "simulation.npz").seconds == again.seconds


def test_what_does_not_fit_into_memory_is_refused_with_the_numbers() -> None:
    with pytest.raises(BuildError, match=r"at least 7.2e\+03 GB of memory, and .* GB are availabl"):
        numpy_run(duration=10_000_000 * second, record=["cells.v"])


def test_what_does_not_fit_on_the_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 10**6, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(BuildError, match=r"writes at least .* where 0 GB are free. Name a direct"):
        mn.simulate(chain, 20 * ms, "cpp", ["cells.v"])


# ---- files


names = st.text("abcXYZ_éß09", min_size=1, max_size=6)
keys = st.builds("{}.{}".format, names, names)
floats = st.floats(allow_nan=True)
values = arrays.arrays(st.sampled_from([np.float64, np.int32, np.bool_]), arrays.array_shapes())
units = st.builds(Dimensions, s=st.floats(-3, 3), A=st.floats(-3, 3))


@st.composite
def simulations(draw: st.DrawFn) -> Simulation:
    traces = draw(st.dictionaries(keys, values, max_size=3))
    final = draw(st.dictionaries(keys, values, max_size=3))
    steps = arrays.arrays(np.int64, st.integers(0, 4))
    spikes = st.builds(Spikes, steps, steps, floats, st.integers(0, 10**9))
    return Simulation(
        backend=draw(st.text()), dt=draw(st.floats(1e-6, 10)), duration=draw(st.floats(1e-6, 1e6)),
        seed=draw(st.none() | st.integers(0, 2**32 - 1)),
        t=draw(arrays.arrays(np.float64, st.integers(0, 5))),
        spikes=draw(st.dictionaries(names, spikes, max_size=3)),
        traces=traces, indices={key: draw(values) for key in traces}, final=final,
        units={key: draw(units) for key in {**traces, **final}},
        seconds=draw(st.dictionaries(names, floats, max_size=2)),
        versions=draw(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)),
    )  # fmt: skip


def assert_equal(one: object, two: object) -> None:
    assert type(one) is type(two)
    if isinstance(one, dict):
        assert list(one) == list(two)  # pyright: ignore
        for key in one:
            assert_equal(one[key], two[key])  # pyright: ignore
    elif isinstance(one, Spikes):
        assert_equal(vars(one), vars(two))
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype  # pyright: ignore
        np.testing.assert_array_equal(one, two)  # pyright: ignore
    else:
        np.testing.assert_equal(one, two)


@settings(max_examples=60, deadline=None)
@given(simulation=simulations())
def test_a_file_gives_back_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, simulation: Simulation
) -> None:
    path = tmp_path_factory.mktemp("file") / "result"
    assert simulation.save(path) == path
    loaded = Simulation.load(path)
    for name, value in vars(simulation).items():
        assert_equal(value, getattr(loaded, name))
    assert [p.name for p in path.parent.iterdir()] == ["result"]


def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    message = "no complete file of a simulation.*Write the path of a file"
    with pytest.raises(CheckpointError, match=f"{message}"):
        Simulation.load(path)
    path.write_text("hello")
    with pytest.raises(CheckpointError, match=message):
        Simulation.load(path)
    np.savez(path, header=np.array('{"format": "another", "version": 1}'))
    with pytest.raises(CheckpointError, match="format 'another' 1, not 'mirrorneuron simulation'"):
        Simulation.load(path)
    np.savez(path, header=np.array([object()]))
    with pytest.raises(CheckpointError, match="no complete file of a simulation"):
        Simulation.load(path)
    whole = numpy_run().save(tmp_path / "whole.npz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=message):
        Simulation.load(path)


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = numpy_run()
    path = result.save(tmp_path / "result.npz")
    before = path.read_bytes()

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot be written .*No space.*is untouched"):
        result.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["result.npz"]


def test_a_trace_or_group_that_was_not_recorded_is_named() -> None:
    result = numpy_run(record=["cells.v"])
    with pytest.raises(UnknownName, match=r"name it in simulate\(..., record=\['cells.u'\]\)"):
        result["cells.u"]
    with pytest.raises(UnknownName, match=r"spike_trains\('cell'\) is not known.*'cells'"):
        result.spike_trains("cell")
