"""GeNN: results as those of other backends, refusals in one list, failures that harm nothing."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import brian2
import genn_networks
import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    Synapses,
    TimedArray,
    get_device,
    ms,
    network_operation,
    second,
)
from brian2.devices.device import all_devices

import mirrorneuron as mn
from mirrorneuron.bio.recording import Simulation
from mirrorneuron.bridge import compile_c
from mirrorneuron.errors import BuildError, DomainError, NetworkError, OutsideGeNN, UnknownName

LENGTH = 60 * ms
STRICT = ("layers", "learning", "junctions")
BRIAN2GENN = os.environ.get("BRIAN2GENN_PYTHON", "")
in_pinned_environment = pytest.mark.skipif(
    not BRIAN2GENN, reason="$BRIAN2GENN_PYTHON is not set: tier (b) did not run"
)
with_genn = pytest.mark.skipif(
    find_spec("pygenn") is None, reason="GeNN is not installed: tier (c) did not run"
)


def strict(name: str) -> Callable[[], Network]:
    return getattr(genn_networks, name)


def numpy_run(build: Callable[[], Network], **given) -> Simulation:
    return mn.simulate(build, LENGTH, target="numpy", **given)


def require_same(one: Simulation, two: Simulation) -> None:
    """Spikes, traces, samples and final values."""
    assert set(one.spikes) == set(two.spikes)
    for name, spikes in one.spikes.items():
        np.testing.assert_array_equal(spikes.step, two.spikes[name].step)
        np.testing.assert_array_equal(spikes.index, two.spikes[name].index)
    assert set(one.traces) == set(two.traces)
    np.testing.assert_allclose(one.t, two.t, atol=1e-15)
    for key, trace in one.traces.items():
        np.testing.assert_allclose(two.traces[key], trace, rtol=1e-9, atol=1e-9 * ceiling(trace))
        np.testing.assert_array_equal(one.indices[key], two.indices[key])
    assert set(one.final) == set(two.final)
    for key, value in one.final.items():
        np.testing.assert_allclose(
            two.final[key], value, rtol=1e-9, atol=1e-9 * ceiling(value), err_msg=key
        )
    assert one.units == two.units


def ceiling(value: np.ndarray) -> float:
    return float(np.abs(np.asarray(value, dtype=float)).max()) if value.size else 0.0


# ---- results


@pytest.mark.parametrize("name", STRICT)
def test_the_stepper_gives_what_brian2_gives(name: str) -> None:
    one, two = numpy_run(strict(name)), mn.simulate(strict(name), LENGTH, "stepper")
    assert all(len(spikes.step) > 5 for spikes in one.spikes.values())
    require_same(one, two)
    assert two.backend == "stepper"


@with_genn
@pytest.mark.parametrize("name", STRICT)
def test_genn_gives_what_brian2_gives(name: str) -> None:
    one = numpy_run(strict(name))
    two = mn.simulate(strict(name), LENGTH, "genn", hardware="cpu")
    require_same(one, two)
    assert two.backend == "genn (cpu, double)"


@with_genn
def test_genn_in_single_precision_gives_about_as_many_spikes() -> None:
    one = numpy_run(strict("learning")).spikes["cells"]
    two = mn.simulate(strict("learning"), LENGTH, "genn", hardware="cpu", precision="float")
    assert len(two.spikes["cells"].step) == pytest.approx(len(one.step), abs=5)


def recorded() -> Network:
    """A subexpression, what runs before and after a StateMonitor, parts, kinds of variables."""
    cells = NeuronGroup(
        6,
        """dv/dt = (drive(t)*(1 + 0.1*i) - v) / (10*ms) : 1 (unless refractory)
           twice = 2*v : 1
           n : integer
           warm : boolean
           gain : 1 (constant)""",
        threshold="v > 1", reset="v = 0; n += 1; warm = n > 1", refractory="gain*ms",
        method="euler", name="cells",
        namespace={"drive": TimedArray(np.linspace(1.2, 2.5, 20), dt=3 * ms)},
    )  # fmt: skip
    cells.gain = np.linspace(0.5, 2, 6)
    cells[2:4].run_regularly("v *= 0.99", dt=0.1 * ms)
    cells.run_regularly("v = clip(v, -inf, 5)", dt=0.1 * ms, when="end")
    slow = cells.run_regularly("v += 0.01*(t > 20*ms)", dt=1 * ms)
    assert slow in cells.contained_objects
    return Network(cells)


def test_samples_are_those_of_a_state_monitor() -> None:
    record = {"cells.v": None, "cells.twice": [3, 1], "cells.n": [0], "cells.gain": [5]}
    one = numpy_run(recorded, record=record)
    two = mn.simulate(recorded, LENGTH, "stepper", record=record)
    assert one.final["cells.n"].min() > 1
    require_same(one, two)
    assert two["cells.twice"].shape == (600, 2)
    some = mn.simulate(recorded, LENGTH, "stepper", record=record, interval=1 * ms)
    np.testing.assert_array_equal(some["cells.v"], two["cells.v"][::10])
    np.testing.assert_allclose(some.t, two.t[::10], atol=1e-15)


def test_weights_are_recorded_in_the_order_of_the_synapses() -> None:
    record = {"synapses.w": [5, 0, 80], "cells.s": [1]}
    one = numpy_run(strict("learning"), record=record)
    two = mn.simulate(strict("learning"), LENGTH, "stepper", record=record)
    assert np.ptp(one["synapses.w"]) > 0.05
    require_same(one, two)


def test_the_network_holds_the_final_values() -> None:
    network = strict("learning")()
    result = mn.simulate(lambda: network, LENGTH, "stepper")
    np.testing.assert_array_equal(network["synapses"].w_[:], result.final["synapses.w"])
    assert not [obj for obj in network.objects if isinstance(obj, SpikeMonitor)]


def noisy() -> Network:
    """Sources that are drawn before the run."""
    noise = PoissonGroup(20, "20*Hz*(1 + sin(2*pi*10*Hz*t)) + 5*Hz*i", name="noise")
    cells = NeuronGroup(
        4, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    synapses = Synapses(noise, cells, on_pre="v += 0.3", name="synapses")
    synapses.connect()
    return Network(noise, cells, synapses)


def test_the_same_seed_gives_the_poisson_spikes_of_brian2s_numpy_target() -> None:
    one, two = numpy_run(noisy, seed=5), mn.simulate(noisy, LENGTH, "stepper", seed=5)
    assert len(one.spikes["noise"].step) > 30
    require_same(one, two)
    other = mn.simulate(noisy, LENGTH, "stepper", seed=6)
    assert len(other.spikes["noise"].step) != len(two.spikes["noise"].step)


def test_noise_inside_of_neurons_follows_the_seed() -> None:
    def build() -> Network:
        return Network(
            NeuronGroup(
                200, "dv/dt = -v/(10*ms) + xi*(10*ms)**-0.5 : 1", threshold="rand() < 0.01",
                method="euler", name="cells",
            )
        )  # fmt: skip

    one, two, other = (mn.simulate(build, LENGTH, "stepper", seed=k) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.final["cells.v"], two.final["cells.v"])
    assert not np.array_equal(one.final["cells.v"], other.final["cells.v"])
    assert one.final["cells.v"].std() == pytest.approx(np.sqrt(0.5), rel=0.2)
    assert len(one.spikes["cells"].step) == pytest.approx(200 * 600 * 0.01, rel=0.1)


# ---- what lies outside


def pair(on_pre: str = "s += w", **given) -> Network:
    """Two groups and synapses from one to the other."""
    text = "dv/dt = (1.5 - v + s)/(10*ms) : 1\nds/dt = -s/(5*ms) : 1\nu : 1\nlevel : 1 (shared)"
    one, two = (
        NeuronGroup(3, text, threshold="v > 1", reset="v = 0", method="exact", name=name)
        for name in ("one", "two")
    )
    synapses = Synapses(one, two, "w : 1\nx : 1", on_pre=on_pre, name="synapses", **given)
    synapses.connect(i=[0, 1, 2], j=[1, 2, 0])
    return Network(one, two, synapses)


def delayed(learn: str) -> Network:
    """Two reactions to a spike, the presynaptic `u` changes."""
    network = pair({"a": "s += w", "b": learn}, delay={"a": 0.2 * ms, "b": 0.5 * ms})
    network["one"].run_regularly("u += 1", dt=0.1 * ms)
    return network


def operated() -> Network:
    @network_operation
    def move() -> None: ...

    return Network(pair().objects, move)


def watched() -> Network:
    network = pair()
    network.add(SpikeMonitor(network["one"], name="mine"))
    return network


def summed(model: str, on_pre: str | None = None, **given) -> Network:
    cells = NeuronGroup(
        3, "dv/dt = (1.5 - v + gap)/(10*ms) : 1\ngap : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="cells",
    )  # fmt: skip
    synapses = Synapses(cells, cells, model, on_pre=on_pre, name="synapses", **given)
    synapses.connect(i=[0, 1], j=[1, 2])
    if on_pre is None:
        kick = Synapses(cells, cells, on_pre="v += 0.1", name="kick")
        kick.connect(i=[0], j=[1])
        return Network(cells, synapses, kick)
    return Network(cells, synapses)


def regular() -> Network:
    network = pair()
    network["two"].run_regularly("s *= 0.99", dt=0.1 * ms)
    return network


def poisson(rates: str) -> Network:
    noise = PoissonGroup(3, rates, name="noise")
    target = NeuronGroup(1, "v : 1", name="target")
    synapses = Synapses(noise, target, on_pre="v += 1", name="synapses")
    synapses.connect(i=[0], j=[0])
    return Network(noise, target, synapses)


@pytest.mark.parametrize(
    ("build", "line", "instead"),
    [
        (lambda: pair("u_pre += 1"), "synapses_pre: u_pre \\+= 1", "the other way round"),
        (lambda: pair("v_post = 0"), "v_post = 0", "Write \\+="),
        (lambda: pair("s_post += w*s_post"), "it reads two.s, to which it adds", "the neuron's"),
        (lambda: pair("s_post += v_pre", delay=1 * ms), "it reads one.v after a delay", "leave"),
        (lambda: pair("s += w; v += w; x += 1"), "delivers into two.s, two.v", "Synapses for each"),
        (lambda: pair("s += w*rand()"), "rand\\(\\)", "Draw the number in the neuron"),
        (lambda: pair({"a": "s += w", "b": "x += 1"}), "without a delay", "at least 0.1 ms"),
        (lambda: pair({"a": "s += w", "b": "x += 1", "c": "w += 1"}), "more than 2 on_", "Join"),
        (lambda: delayed("x += u_pre"), "it reads one.u beside two on_pre", "in the synapse"),
        (lambda: pair("s += w", on_post="v_post += 0.1"), "v_post \\+= 0.1", "of its own"),
        (operated, r"Python between steps, move\(\)", "as equations"),
        (watched, "a monitor of your own", "record=\\['cells.v'\\]"),
        (lambda: summed("w : 1\ngap_pre = w : 1 (summed)", "w += 1"), "the presynaptic", "Turn"),
        (lambda: summed("w : 1\ngap_post = w : 1 (summed)", "w += 1"), "spikes change", "filter"),
        (lambda: summed("gap_post = v_pre - v_post : 1 (summed)"), "cells.v, which", "current or"),
    ],
)  # fmt: skip
def test_what_genn_cannot_do_is_found(build, line: str, instead: str) -> None:
    found = mn.genn_findings(build())
    text = "\n".join(f"{f.line} -> {f.instead}" for f in found)
    with pytest.raises(OutsideGeNN, match=f"(?s){line}.*{instead}"):
        raise OutsideGeNN("x", found)
    assert {f.route for f in found} == {"genn, brian2genn"}, text


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: pair("s -= w"), "s -= w"),
        (lambda: pair("v += w"), "two.v, which the reset of 'two' touches"),
        (lambda: pair("s += w; u += w"), "it adds to two.s and two.u"),
        (lambda: pair("s += w*u_pre*0 + v_pre"), "it reads one.v of the presynaptic neuron"),
        (lambda: poisson("10*Hz*i"), "rates as an expression"),
        (regular, "it touches two.s, to which spikes add"),
    ],
)
def test_what_brian2genn_alone_cannot_do_is_found_for_that_route(build, line: str) -> None:
    network = build()
    assert mn.genn_findings(network) == ()
    found = mn.genn_findings(network, "brian2genn")
    assert any(line in f.line for f in found), [f.line for f in found]
    assert {f.route for f in found} == {"brian2genn"}


@pytest.mark.parametrize("route", ["genn", "brian2genn"])
@pytest.mark.parametrize("name", STRICT)
def test_the_strict_subset_is_inside_for_both_routes(name: str, route: str) -> None:
    assert mn.genn_findings(strict(name), route) == ()


def test_a_run_refuses_with_the_whole_list() -> None:
    def build() -> Network:
        network = pair("u_pre += 1; s_post += w*s_post")
        network["one"].run_regularly("level += 1", dt=0.1 * ms)
        return network

    for backend in ("stepper", "brian2genn"):
        options = {"python": sys.executable, "compile": False} if backend == "brian2genn" else {}
        with pytest.raises(
            OutsideGeNN, match=r"things in the network cannot run on GeNN"
        ) as caught:
            mn.simulate(build, LENGTH, backend, **options)
        lines = " ".join(item.line for item in caught.value.items)
        for part in ("u_pre += 1", "it reads two.s", "level += 1"):
            assert part in lines
    assert get_device() is all_devices["runtime"]


def test_a_subexpression_of_synapses_is_not_recorded() -> None:
    def build() -> Network:
        network = pair()
        more = Synapses(network["one"], network["two"], "y = 2 : 1", on_pre="s += 1", name="more")
        more.connect(i=[0], j=[0])
        network.add(more)
        return network

    with pytest.raises(OutsideGeNN, match=r"record=\['more.y'\](.|\n)*variables that it consists"):
        mn.simulate(build, LENGTH, "stepper", record=["more.y"])


def test_findings_are_asked_of_networks_and_routes_that_exist() -> None:
    with pytest.raises(UnknownName, match=r"route='gen'\) is not known. Did you mean 'genn'"):
        mn.genn_findings(pair(), "gen")
    with pytest.raises(DomainError, match=r"3 is no network. .*Write genn_findings\(Network"):
        mn.genn_findings(lambda: 3)


# ---- failures


def test_without_genn_the_line_that_installs_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygenn", None)
    with pytest.raises(
        BuildError, match=r"PyGeNN 5 cannot be imported.*another one.*Write: pip install https://g"
        r"ithub.com/genn-team/genn/archive/refs/tags/5.4.0.zip .*backend='stepper'",
    ):  # fmt: skip
        mn.simulate(pair, LENGTH, "genn")


@pytest.mark.parametrize(
    ("given", "message"),
    [({"hardware": "gpu"}, "hardware='gpu' is not known.*'auto', 'cpu', 'cuda', 'hip'"),
     ({"precision": "half"}, "precision='half' is not known.*'double', 'float'")],
)  # fmt: skip
def test_hardware_and_precision_are_known(given: dict, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        mn.simulate(pair, LENGTH, "genn", **given)


def library(*modules: str) -> types.ModuleType:
    """What PyGeNN is before a model is made: it knows for what it was built."""
    made = types.ModuleType("pygenn")
    made.genn_model = types.SimpleNamespace(backend_modules=dict.fromkeys(modules))  # pyright: ignore
    return made


def test_hardware_for_which_genn_was_not_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygenn", library("single_threaded_cpu"))
    with pytest.raises(
        BuildError, match=r"hardware='cuda', and the PyGeNN that is installed was built for 'cpu' "
        r"alone.*where CUDA_PATH names the toolkit: pip install https.*hardware='auto'",
    ):  # fmt: skip
        mn.simulate(pair, LENGTH, "genn", hardware="cuda")


FAULTY = {
    "an unknown name": (
        lambda: Network(NeuronGroup(1, "dv/dt = -v/tau_mem : 1", method="euler", name="cells")),
        NetworkError, r"backend='genn'\): Brian2 cannot prepare 'cells.*tau_mem",
    ),
    "units": (
        lambda: Network(
            NeuronGroup(1, "dv/dt = -v/(10*ms) : volt", threshold="v > 1", method="exact")
        ),
        NetworkError, r"Brian2 cannot prepare '.*_spike_thresholder'.*unit",
    ),
    "an error in build": (lambda: {}["cells"], KeyError, "cells"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_faults_of_the_users_own_keep_their_message(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygenn", library("single_threaded_cpu"))
    build, kind, message = FAULTY[name]
    with pytest.raises(kind, match=message) as caught:
        mn.simulate(build, LENGTH, "genn")
    assert "PyGeNN" not in str(caught.value)


def test_what_fails_within_genn_is_told_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(*_: object, **__: object) -> None:
        os.write(1, b"no such device\n")
        raise RuntimeError("the driver is too old")

    genn = library("single_threaded_cpu")
    genn.GeNNModel = model  # pyright: ignore
    monkeypatch.setitem(sys.modules, "pygenn", genn)
    with pytest.raises(
        BuildError, match=r"PyGeNN failed \(RuntimeError: the driver is too old\)(.|\n)*no such de"
    ):
        mn.simulate(pair, LENGTH, "genn")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder of commands, the whole PATH of a test, and an empty cache."""

    def make(**scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return folder

    return make


def temporary() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("mirrorneuron-*") if p.is_dir()}


def test_a_missing_compiler_is_named(tools: Callable[..., Path]) -> None:
    tools()
    with pytest.raises(BuildError, match=r"C compiler 'cc' cannot be found.*apt install gcc.*CC"):
        mn.simulate(pair, LENGTH, "stepper")


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo 'stepper.c:7: error: no such thing' >&2; exit 2",
      r"cc ended with exit status 2. Its first(.|\n)*stepper.c:7: error: no such thing"),
     ("kill -KILL $$", r"cc was ended by signal 9(.|\n)*killed, free some memory")],
)  # fmt: skip
def test_a_failed_or_killed_build_leaves_nothing(
    tools: Callable[..., Path], tmp_path: Path, script: str, message: str
) -> None:
    tools(cc=f"echo half > $8; {script}")
    before = temporary()
    with pytest.raises(BuildError, match=message):
        mn.simulate(pair, LENGTH, "stepper")
    assert temporary() == before
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.*"))
    assert get_device() is all_devices["runtime"]


def test_an_interrupted_build_leaves_nothing(tools: Callable[..., Path], tmp_path: Path) -> None:
    started = tmp_path / "started"
    tools(cc=f"echo half > $8; echo > {started}; exec /bin/sleep 30")
    before, handler = temporary(), signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while not started.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            mn.simulate(pair, LENGTH, "stepper")
    finally:
        signal.signal(signal.SIGINT, handler)
        thread.join()
    assert temporary() == before
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_what_was_compiled_is_used_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = mn.simulate(pair, LENGTH, "stepper", directory=tmp_path / "kept")
    assert (tmp_path / "kept" / "stepper" / "stepper.c").exists()
    assert len(list(compile_c.kept_in("stepper").iterdir())) == 1
    monkeypatch.setattr(compile_c, "LOADED", {})
    monkeypatch.setattr(compile_c, "_compile", None)
    require_same(one, mn.simulate(pair, LENGTH, "stepper"))


TOGETHER = """
import sys
sys.path.insert(0, sys.argv[1])
import genn_networks
from brian2 import ms
import mirrorneuron as mn
mn.simulate(genn_networks.layers, 60*ms, "stepper", directory=sys.argv[2])
"""


@pytest.mark.slow
def test_two_simulations_at_once_build_apart(tmp_path: Path) -> None:
    arguments = [str(Path(__file__).parent), str(tmp_path / "other")]
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", TOGETHER, *arguments]) as other:
        mine = mn.simulate(strict("layers"), LENGTH, "stepper", directory=tmp_path / "mine")
    assert other.returncode == 0
    require_same(mine, Simulation.load(tmp_path / "other" / "simulation.npz"))


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dense() -> Network:
        cells = NeuronGroup(50, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
        synapses = Synapses(cells, cells, "w : 1", on_pre="v += w", name="synapses")
        synapses.connect(i=np.repeat(np.arange(50), 50), j=np.tile(np.arange(50), 50))
        return Network(cells, synapses)

    monkeypatch.setattr("mirrorneuron.bio.simulate.available_memory", lambda: 140_000)
    with pytest.raises(
        BuildError, match=r"synapses need at least .* GB of memory.*Make fewer syna"
    ):
        mn.simulate(dense, LENGTH, "stepper")
    with pytest.raises(BuildError, match=r"at least .* GB of memory, and .* GB are available"):
        mn.simulate(strict("learning"), 10_000 * second, "stepper", record=["cells.v"])


# ---- Brian2GeNN


def test_without_its_environment_brian2genn_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BRIAN2GENN_PYTHON", raising=False)
    with pytest.raises(
        BuildError, match=r"\$BRIAN2GENN_PYTHON is not set.*scripts/brian2genn FOLD"
    ):
        mn.simulate(strict("layers"), LENGTH, "brian2genn")
    with pytest.raises(BuildError, match=r"'/nowhere/python' does not exist.*backend='genn'"):
        mn.simulate(strict("layers"), LENGTH, "brian2genn", python="/nowhere/python")
    monkeypatch.delenv("GENN_PATH", raising=False)
    with pytest.raises(BuildError, match=r"GENN_PATH is not set.*4.9.0.*compile=False"):
        mn.simulate(strict("layers"), LENGTH, "brian2genn", python=sys.executable)


def test_an_environment_without_brian2genn_is_reported_with_its_log() -> None:
    with pytest.raises(BuildError, match=r"Brian2GeNN ended with exit status 1(.|\n)*brian2genn'"):
        mn.simulate(strict("layers"), LENGTH, "brian2genn", python=sys.executable, compile=False)


def test_brian2genn_gets_text_and_numbers_alone() -> None:
    def build() -> Network:
        equations = brian2.Equations("dv/dt = -v/(10*ms) : 1")
        return Network(NeuronGroup(1, equations, method="exact", name="cells"))

    with pytest.raises(BuildError, match=r"'cells' was made with model=.*Write equations as text"):
        mn.simulate(build, LENGTH, "brian2genn", python=sys.executable, compile=False)


@in_pinned_environment
@pytest.mark.parametrize("name", STRICT)
def test_brian2genn_translates_the_strict_subset(name: str, tmp_path: Path) -> None:
    result = mn.simulate(
        strict(name), LENGTH, "brian2genn", directory=tmp_path / "kept", compile=False
    )
    assert result.backend == "brian2genn (code only)"
    assert list((tmp_path / "kept" / "genn").glob("*.cpp"))


@in_pinned_environment
@pytest.mark.skipif("GENN_PATH" not in os.environ, reason="$GENN_PATH is not set: nothing compiled")
def test_brian2genn_gives_what_brian2_gives() -> None:
    one = numpy_run(strict("layers"))
    two = mn.simulate(strict("layers"), LENGTH, "brian2genn")
    for name, spikes in one.spikes.items():
        np.testing.assert_array_equal(spikes.step, two.spikes[name].step)
        np.testing.assert_array_equal(spikes.index, two.spikes[name].index)
