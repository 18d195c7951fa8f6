"""Rows of faults that are counted: what was done, how often, and how often it ended as it should.

`benchmarks/reliability.py` writes the table of all of them, `test_trust_rows.py` runs a few trials
of each row. A trial is right if it gives what the row expects; it says what is wrong otherwise.
"""

import os
import re
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "bridge"))

import brian2 as b
import numpy as np
import test_brian2_faults
import test_domain
import test_stability
import test_write_back
import torch
from brian2 import DimensionMismatchError, Hz, Network, NeuronGroup, Synapses, mA, ms, mV, second
from reliability_cases import layers, rate_loss
from test_checkpoint import train

import mirrorneuron as mn
from mirrorneuron.bridge.bounds import needed_memory
from mirrorneuron.bridge.read import read
from mirrorneuron.bridge.stability import limits
from mirrorneuron.check import check_script
from mirrorneuron.errors import (
    BundleError,
    DomainError,
    DomainWarning,
    GradientError,
    MirrorNeuronError,
    NetworkError,
    NumericalError,
    TooLarge,
    UnknownName,
    WriteBackError,
)

Trial = Callable[[], str]
LONGEST, MOST = 2.0, 500e6  # s and byte, of what no computer can do


@dataclass(frozen=True)
class Row:
    """One kind of fault.

    Arguments:
        number: Its number in the table.
        fault: What goes wrong.
        expected: What is to happen.
        trials: Each gives an empty text, or what was wrong.
    """

    number: int
    fault: str
    expected: str
    trials: Callable[[], Iterator[Trial]]

    def run(self, most: int | None = None) -> tuple[int, int, str]:
        """Trials that were made, those that were right, and the first that was not."""
        wrong = [trial() for trial in islice(self.trials(), most)]
        found = [text for text in wrong if text]
        return len(wrong), len(wrong) - len(found), found[0] if found else ""


rows: dict[int, Row] = {}


def row(number: int, fault: str, expected: str) -> Callable[[Any], Any]:
    """Register a row under its number."""

    def register(trials: Callable[[], Iterator[Trial]]) -> Callable[[], Iterator[Trial]]:
        rows[number] = Row(number, fault, expected, trials)
        return trials

    return register


def refusal(act: Callable[[], Any], kind: type[Exception], pattern: str) -> Trial:
    """A trial that is right if an error of ours is raised with the words."""

    def trial() -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                act()
        except kind as error:
            text = " ".join(str(error).split())
            if not isinstance(error, MirrorNeuronError):
                return f"{type(error).__name__} is not ours: {text}"
            return "" if re.search(pattern, text) else f"{pattern}: {text}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return f"{pattern}: nothing was raised"

    return trial


def saying(act: Callable[[], Any], pattern: str, kind: type[Warning] = DomainWarning) -> Trial:
    """A trial that is right if a warning has the words."""

    def trial() -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            act()
        texts = [str(w.message) for w in caught if issubclass(w.category, kind)]
        return "" if any(re.search(pattern, t) for t in texts) else f"{pattern}: {texts}"

    return trial


# ---- values


def driven(table: float = 1.0) -> Network:
    """Everything that can hold a number."""
    sound = b.TimedArray(np.array([1.0, table, 1.0]) * mV, dt=1 * ms, name="sound")
    noise = b.PoissonGroup(3, [10, 20, 30] * Hz, name="noise")
    cells = NeuronGroup(
        3, "dv/dt = (E_L + I + sound(t) - v)/tau : volt\nI : volt\ntau : second (constant)",
        threshold="v > 10*mV", reset="v = 0*mV", method="euler", name="cells",
        namespace={"E_L": 0 * mV, "sound": sound},
    )  # fmt: skip
    cells.tau = 10 * ms
    syn = Synapses(noise, cells, "w : volt", on_pre="v += w", name="syn")
    syn.connect(j="i")
    syn.w, syn.delay = 1 * mV, 1 * ms
    return Network(noise, cells, syn)


def changed(change: Callable[[Network], None]) -> Callable[[], Any]:
    def act() -> Any:
        network = driven()
        change(network)
        return mn.mirror(network)

    return act


def put(owner: str, name: str, bad: float, unit: Any) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        value = np.array(network[owner].state(name, use_units=False))
        value[1] = bad
        setattr(network[owner], f"{name}_", value)

    return change


def in_parameter(bad: float) -> Any:
    model = mn.mirror(driven(), train=["syn.w"])
    with torch.no_grad():
        model.parameter("syn.w")[1] = bad
    return model.run(1 * ms)


def in_constant(bad: float) -> Any:
    """An infinite one can have a meaning, and is noticed where it reaches a variable."""
    network = driven()
    network["cells"].namespace.update(E_L=bad * mV)
    return mn.mirror(network).run(1 * ms)


def in_limit(bad: float) -> Any:
    """What is above all numbers is no limit, so that it is the lower one."""
    return mn.mirror(driven(), train={"syn.w": mn.Bounded(abs(bad) * mV, bad * mV)})


def in_state(bad: float) -> Any:
    model = mn.mirror(driven())
    state = model.run(1 * ms).state
    state["cells.v"] = state["cells.v"].clone()
    state["cells.v"].view(-1)[1] = bad
    return model.run(1 * ms, state=state)


def in_input(key: str, bad: float) -> Any:
    given = np.zeros((10, 1, 3))
    given[4, 0, 1] = bad
    return mn.mirror(driven()).run(1 * ms, inputs={key: given})


@row(1, "NaN or infinity in weights, parameters, states, inputs", "refused before step 0, by name")
def not_finite() -> Iterator[Trial]:
    for bad in (np.nan, np.inf, -np.inf):
        for owner, name in (
            ("syn", "w"), ("cells", "v"), ("cells", "I"), ("cells", "tau"), ("noise", "rates"),
        ):  # fmt: skip
            act = changed(put(owner, name, bad, None))
            yield refusal(act, MirrorNeuronError, rf"{owner}\.{name} .*(index|element) 1")
        late = [1e-3, bad, 1e-3] * second
        yield refusal(changed(lambda n, v=late: setattr(n["syn"], "delay", v)),
                      DomainError, "'syn_pre' has a delay of .* at synapse 1")  # fmt: skip
        yield refusal(lambda v=bad: in_constant(v), MirrorNeuronError, r"E_L is|cells\.v")
        yield refusal(lambda v=bad: mn.mirror(driven(v)), DomainError, "'sound' is .* at index 1")
        yield refusal(
            lambda v=bad: in_parameter(v),
            MirrorNeuronError,
            r"parameter\(.syn\.w.\).*NaN or infinite",
        )
        yield refusal(lambda v=bad: in_state(v), MirrorNeuronError, r"cells\.v.*1")
        yield refusal(lambda v=bad: in_input("cells.I", v), MirrorNeuronError, r"cells\.I.*4")
        yield refusal(lambda v=bad: in_input("noise", v), MirrorNeuronError, "noise.*4")
        yield refusal(lambda v=bad: in_limit(v), MirrorNeuronError, "Bounded|limit|bound")
        width = bad * mV
        yield refusal(lambda v=width: mn.mirror(driven(), surrogate=mn.Gaussian(v)), DomainError,
                      "width")  # fmt: skip


@row(2, "a value that explodes at some step", "stopped within 100 steps, by name; nothing learnt")
def explosions() -> Iterator[Trial]:
    for start in np.linspace(0.11, 1.3, 20):
        yield lambda v=start: _explosion(float(v))


def _explosion(start: float) -> str:
    group = NeuronGroup(3, "dx/dt = k*x**2/(1*ms) : 1\nk : 1 (constant)", method="euler", name="g")
    group.k, group.x = 1, [0, 0, start]
    x, first = start, 0
    with np.errstate(over="ignore"):
        while np.isfinite(np.float64(x)):
            x, first = np.float64(x) + np.float64(x) ** 2 / 1e-3 * 1e-4, first + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mn.mirror(Network(group), train=["g.k"], dtype=torch.float64)
        before = model.parameter("g.k").detach().clone()
        try:
            mn.fit(model, mn.Task(60 * ms, lambda r, _: r.state["g.x"].sum()), steps=1, report=None)
        except NumericalError as error:
            found = re.search(r"g\.x of element 2.*steps (\d+) to (\d+)", str(error))
            if not found or not int(found[1]) <= first - 1 <= int(found[2]) < int(found[1]) + 100:
                return f"step {first - 1}: {error}"
        else:
            return "nothing was raised"
    return "" if torch.equal(before, model.parameter("g.k").detach()) else "weights changed"


@row(3, "a gradient that is NaN in a third of the steps", "skipped and counted; the loss is finite")
def nan_gradients() -> Iterator[Trial]:
    for seed in range(20):
        yield lambda s=seed: _nan_gradient(s)


def _nan_gradient(seed: int) -> str:
    bad = np.random.default_rng(seed).random(12) < 1 / 3
    count = iter(range(100))

    def loss(recording: Any, _: Any) -> torch.Tensor:
        v = recording["cells.v"]
        if bad[next(count) % 12]:
            v.register_hook(lambda g: g * float("nan"))
        return (v - 2).square().mean()

    group = NeuronGroup(2, "dv/dt = (E - v)/(2*ms) : 1\nE : 1 (constant)", method="euler",
                        name="cells")  # fmt: skip
    group.E = 1
    model = mn.mirror(Network(group), train=["cells.E"], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            done = mn.fit(model, mn.Task(1 * ms, loss, record=["cells.v"]), steps=12, report=None)
        except MirrorNeuronError as error:  # three in a row end a training, with what there is
            done = error.fit  # pyright: ignore[reportAttributeAccessIssue]
    finite = torch.isfinite(model.parameter("cells.E")).all() and np.all(np.isfinite(done.losses))
    if not finite:
        return f"seed {seed}: losses {done.losses}"
    skipped, right = list(done.skipped), np.flatnonzero(bad).tolist()
    ended = len(skipped) >= 3 and skipped[-1] - skipped[-3] == 2  # three in a row
    same = skipped == (right[: len(skipped)] if ended else right)
    return "" if same else f"seed {seed}: skipped {skipped} of {right}"


@row(4, "a silent or a saturated network", "said in the first step, with the rate and remedies")
def lifeless() -> Iterator[Trial]:
    for drive, words in ((0.2, "silent|no spike"), (500.0, "every step|saturat")):
        yield saying(lambda d=drive: _trained(d), words, mn.TrainingWarning)


def _trained(drive: float) -> None:
    group = NeuronGroup(3, "dv/dt = (I - v)/(10*ms) : 1\nI : 1 (constant)", threshold="v > 1",
                        reset="v = 0", method="euler", name="g")  # fmt: skip
    group.I = drive
    model = mn.mirror(Network(group), train=["g.I"])
    mn.fit(model, mn.Task(20 * ms, rate_loss("g", 20.0)), steps=2, report=None)


@row(5, "a time step beyond the integrator's stability", "the largest stable one within 20 %")
def unstable() -> Iterator[Trial]:
    for name in test_stability.MODELS:
        yield lambda n=name: _limit(n)


def _limit(name: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (limit,) = limits(read(Network(test_stability.group(name, 1e-5)), {})[0])
        below = test_stability.grows(name, limit.largest / 1.2)
        above = test_stability.grows(name, limit.largest * 1.2)
    return "" if above and not below else f"{name}: {limit.largest:g} s"


@row(6, "a parameter outside its domain, or never set", "refused, with its name")
def outside() -> Iterator[Trial]:
    for build, message in test_domain.REFUSED.values():
        yield refusal(lambda make=build: mn.mirror(make()), DomainError, message)
    for bad in (0, -1):
        yield refusal(changed(lambda n, v=bad: setattr(n["cells"], "tau", v * ms)), DomainError,
                      r"cells\.tau is ")  # fmt: skip


def network(equations: str, on_pre: str = "v += 1*mV", **given: Any) -> Network:
    group = NeuronGroup(2, equations, name="cells", **{"method": "euler", **given})
    if "threshold" not in given:
        return Network(group)
    syn = Synapses(group, group, "w : volt", on_pre=on_pre, name="syn")
    syn.connect()
    return Network(group, syn)


LEAK = "dv/dt = -v/(10*ms) : volt"


def _wrong_units() -> Iterator[Callable[[], Any]]:
    spiking = {"threshold": "v > 1*mV", "reset": "v = 0*mV"}
    for text in ("dv/dt = -v/(10*mV) : volt", "dv/dt = -v : volt", "dv/dt = (1 - v)/ms : volt",
                 "dv/dt = (k - v)/ms : volt\nk = 3*mA : amp"):  # fmt: skip
        yield lambda t=text: mn.mirror(network(t))
    for name, text in (("threshold", "v > 1"), ("reset", "v = 0"), ("reset", "v = 1*mA")):
        yield lambda g={**spiking, name: text}: mn.mirror(network(LEAK, **g))
    for on_pre in ("v += 1", "w += 1*mA", "v += w*w"):
        yield lambda t=on_pre: mn.mirror(network(LEAK, t, **spiking))
    yield lambda: mn.mirror(driven()).run(1 * mV)
    yield lambda: mn.mirror(driven()).run(1 * ms, inputs={"cells.I": np.ones((10, 1, 3)) * mA})
    yield lambda: mn.mirror(driven(), train={"syn.w": mn.Bounded(0 * mA, 1 * mA)})
    yield lambda: mn.mirror(driven(), surrogate=mn.Gaussian(1 * mA))
    yield lambda: mn.simulate(driven, 1 * mV)
    yield lambda: mn.set_weights(
        mn.mirror(driven(), train=["syn.w"]), "syn.w", np.ones((3, 3)) * mA
    )


@row(7, "units that do not agree", "a DimensionMismatchError of ours, or of Brian2 as it is made")
def units() -> Iterator[Trial]:
    for act in _wrong_units():
        yield lambda a=act: _unit_error(a)


def _unit_error(act: Callable[[], Any]) -> str:
    try:
        act()
    except DimensionMismatchError:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


@row(8, "unknown names, functions, methods, numbers of arguments", "an error with place and remedy")
def unknown() -> Iterator[Trial]:
    for name, (build, _, message) in test_brian2_faults.FAULTS.items():
        if name not in ("threshold", "synapse", "arity"):  # Brian2 refuses that as it is made
            yield refusal(lambda make=build: mn.mirror(make()), NetworkError, message)
    for key in ("cell.v", "cells.V", "syn.W", "tau_x"):
        yield refusal(lambda k=key: mn.mirror(driven(), train=[k]), UnknownName, "not known|known")
    yield refusal(lambda: mn.mirror(driven()).run(1 * ms, record=["cells.u"]), UnknownName,
                  r"cells\.u")  # fmt: skip
    yield refusal(lambda: mn.mirror(driven()).run(1 * ms, inputs={"cell": 1}), UnknownName,
                  "Did you mean 'cells'")  # fmt: skip


# ---- features


FEATURES: dict[str, str] = {
    "SpatialNeuron": "o = SpatialNeuron(Cylinder(length=1*mm, diameter=1*um, n=3),"
    " 'Im = 0*amp/meter**2 : amp/meter**2')",
    "custom event": "o = NeuronGroup(2, LIF + '\\nn : 1', events={'high': 'v > 0.5'}, **S)\n"
    "o.run_on_event('high', 'n += 1')",
    "run_regularly": "o = NeuronGroup(2, LIF, **S)\n"
    "r = o.run_regularly('v += 0.1*rand()', dt=1*ms)",
    "linked variable": "g = NeuronGroup(1, LIF, **S)\n"
    "o = NeuronGroup(2, 'dx/dt = (v - x)/ms : 1\\nv : 1 (linked)', method='euler')\n"
    "o.v = linked_var(g, 'v', index=array([0, 0]))",
    "GSL": "o = NeuronGroup(2, LIF, threshold='v > 1', reset='v = 0', method='gsl_rk4')",
    "several clocks": "g = NeuronGroup(2, LIF, dt=0.3*ms, **S)\n"
    "o = NeuronGroup(2, LIF, dt=0.2*ms, **S)\ns = Synapses(g, o, on_pre='v += 0.1')\ns.connect()",
    "2-D TimedArray": "a = TimedArray(arange(20).reshape(10, 2)*0.2, dt=3*ms)\n"
    "o = NeuronGroup(2, 'dv/dt = (a(t, i) - v)/(5*ms) : 1', **S)",
    "PoissonInput": "o = NeuronGroup(2, LIF, **S)\np = PoissonInput(o, 'v', 20, 50*Hz, 0.1)",
    "several synapses of a pair": "o = NeuronGroup(2, LIF, **S)\n"
    "s = Synapses(o, o, 'w : 1', on_pre='v += 0.1*w', multisynaptic_index='k')\n"
    "s.connect(n=3)\ns.w = 'k'\ns.delay = '(k + 1)*ms'",
    "summed variable": "o = NeuronGroup(2, LIF + '\\nu : 1', **S)\n"
    "s = Synapses(o, o, 'u_post = 0.2*v_pre : 1 (summed)')\ns.connect()",
    "subgroup": "o = NeuronGroup(6, LIF, **S)\ns = Synapses(o[:3], o[2:], on_pre='v += 0.1')\n"
    "s.connect()",
    "event-driven": "o = NeuronGroup(3, LIF, **S)\n"
    "s = Synapses(o, o, 'dx/dt = -x/(9*ms) : 1 (event-driven)\\nw : 1',"
    " on_pre='x += 1; v_post += 0.1*w', on_post='w = x')\ns.connect()",
    "network_operation": "o = NeuronGroup(2, LIF, **S)\n@network_operation(dt=1*ms)\ndef f():\n"
    "    o.v_ = o.v_[:]*0.9",
    "function of the user": "@implementation('numpy', discard_units=True)\n"
    "@check_units(x=1, result=1)\ndef f(x):\n    return x*2\n"
    "o = NeuronGroup(2, 'dv/dt = (f(0.9) - v)/(5*ms) : 1', **S)",
    "truth values": "o = NeuronGroup(2, LIF + '\\nb : boolean\\nn : integer', threshold='v > 1',"
    " reset='v = 0; b = not b; n += 1 + int(b)', method='euler')",
    "refractory text": "o = NeuronGroup(2, LIF.replace(': 1', ': 1 (unless refractory)')"
    " + '\\nr : second', refractory='r + i*ms', **S)\no.r = 1*ms",
    "period of a generator": "g = SpikeGeneratorGroup(2, [0, 1], [1, 2]*ms, period=5*ms)\n"
    "o = NeuronGroup(2, LIF, **S)\ns = Synapses(g, o, on_pre='v += 0.2')\ns.connect()",
    "an inactive object": "g = PoissonGroup(9, 300*Hz)\no = NeuronGroup(2, LIF, **S)\n"
    "s = Synapses(g, o, on_pre='v += 0.2')\ns.connect()\ng.active = False",
    "noise": "o = NeuronGroup(2, 'dv/dt = (1.2 - v)/(5*ms) + 0.3*xi*ms**-0.5 : 1', **S)",
    "an escape rate": "o = NeuronGroup(2, LIF, threshold='rand() < v*0.01', reset='v = 0',"
    " method='euler')",
    "constant over dt": "o = NeuronGroup(2, 'dv/dt = (q - v)/(5*ms) : 1\\n"
    "q = 1.2 + rand() : 1 (constant over dt)', **S)",
    "probability of transmission": "g = PoissonGroup(9, 300*Hz)\no = NeuronGroup(2, LIF, **S)\n"
    "s = Synapses(g, o, on_pre='v += 0.2*int(rand() < 0.5)')\ns.connect()",
}  # fmt: skip
START = """from brian2 import *
LIF = 'dv/dt = (1.2 - v)/(5*ms) : 1'
S = {'threshold': 'v > 1', 'reset': 'v = 0', 'method': 'euler'}
"""


@row(9, "features beyond the ordinary", "faithful, or refused with the complete list; none silent")
def features() -> Iterator[Trial]:
    for name, text in FEATURES.items():
        yield lambda n=name, t=text: _feature(n, t)


def _feature(name: str, text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.py"
        path.write_text(f"{START}{text}\nrun(30*ms)\n")
        finding = check_script(path)
    right = finding.status == "faithful" or (finding.status == "refused" and finding.unsupported)
    return "" if right else f"{name}: {finding.status}: {finding.reason}"


@row(10, "delays off the grid, and on its edges", "in the same step as in Brian2")
def delays() -> Iterator[Trial]:
    for seed in range(10):
        yield lambda s=seed: _delays(s)


def _delays(seed: int) -> str:
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0, 200, 1000)
    steps[::3] = np.floor(steps[::3]) + rng.choice([0.0, 0.5, 0.4999999999, 0.5000000001], 334)
    source = b.SpikeGeneratorGroup(1, [0], [0] * ms, name="source")
    cells = NeuronGroup(1000, "x : second", name="cells")
    syn = Synapses(source, cells, on_pre="x_post = t", name="syn")
    syn.connect()
    syn.delay = steps * 0.1 * ms
    net = Network(source, cells, syn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mn.mirror(net, dtype=torch.float64).run(21 * ms).state["cells.x"].reshape(-1)
    net.run(21 * ms)
    wrong = np.flatnonzero(found.numpy() != np.array(cells.x_[:]))
    return f"{len(wrong)} of 1000, as of {steps[wrong[0]]!r} steps" if wrong.size else ""


@row(11, "writing back to other edges, or none", "each to its own edge bit for bit, or refused")
def edges() -> Iterator[Trial]:
    ours, rng = test_write_back.EDGES, np.random.default_rng(0)
    for dtype in (torch.float64, torch.float32):
        for _ in range(20):
            order = ours[rng.permutation(len(ours))]
            yield lambda e=order, d=dtype: _written(e, d)
    other = [ours[:-1], np.vstack([ours, ours[:1]]), np.vstack([ours[:-1], [[2, 2]]])]
    for changed_edges in other:
        act = lambda e=changed_edges: _trained_model(torch.float64).write_back(  # noqa: E731
            test_write_back.build(e)
        )
        yield refusal(act, WriteBackError, "syn")
    yield refusal(
        lambda: _trained_model(torch.float64).write_back(test_write_back.build(size=5)),
        WriteBackError, "cells",
    )  # fmt: skip


def _trained_model(dtype: torch.dtype) -> mn.Mirror:
    return test_write_back.trained(test_write_back.mirrored(test_write_back.build(), dtype))


def _written(order: Any, dtype: torch.dtype) -> str:
    model, other = _trained_model(dtype), test_write_back.build(order)
    model.write_back(other)
    w, syn = model.parameter("syn.w").detach().numpy(), other["syn"]
    for pair in {tuple(edge) for edge in test_write_back.EDGES}:
        mine = w[(pair == test_write_back.EDGES).all(axis=1)]
        theirs = np.array(syn.w_)[(syn.i == pair[0]) & (syn.j == pair[1])]
        most = 0 if dtype == torch.float64 else np.spacing(np.abs(mine))
        if np.any(np.abs(mine - theirs) > most):
            return f"edge {pair}: {mine} and {theirs}"
    return ""


# ---- files and interruption


@row(12, "a checkpoint cut at 200 places", "found damaged, and the one before is used")
def cuts() -> Iterator[Trial]:
    folder = tempfile.TemporaryDirectory()
    place = Path(folder.name)
    train(place, 3)
    whole = (place / "checkpoint.pt").read_bytes()
    for offset in np.linspace(0, len(whole) - 1, 200).astype(int):
        yield lambda k=int(offset): _cut(place, whole[:k])
    folder.cleanup()


def _cut(place: Path, content: bytes) -> str:
    (place / "checkpoint.pt").write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done, _ = train(place, 2)
    said = any("checkpoint.pt is damaged" in str(w.message) for w in caught)
    return "" if said and done.resumed == 2 else f"cut at {len(content)}: resumed {done.resumed}"


@row(13, "SIGKILL at 50 moments of a training", "goes on, with the losses of an undisturbed one")
def kills() -> Iterator[Trial]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        straight, _ = train(Path(folder), 8)
        lasts = time.perf_counter() - start
    for fraction in np.linspace(0.02, 1.0, 50):
        yield lambda f=fraction: _killed(f * lasts, straight.losses)


def _killed(after: float, losses: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            try:
                train(Path(folder), 8)
            finally:
                os._exit(0)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        done, _ = train(Path(folder), 8)
    return "" if done.losses == losses else f"killed after {after:.3f} s: {done.losses}"


@row(14, "hostile files of a model", "refused by name; nothing is executed, and no other file read")
def hostile() -> Iterator[Trial]:
    import test_hostile_bundles as hostile_bundles

    saved = hostile_bundles.saved.__wrapped__()  # pyright: ignore
    watch = hostile_bundles.Watch()
    hostile_bundles.loads(saved)
    for make in (hostile_bundles.expression("v +"), hostile_bundles.header("{}", 10**12)):
        refusal(lambda m=make: hostile_bundles.loads(m(saved)), BundleError, "")()
    for make in hostile_bundles.PAYLOADS.values():
        yield lambda m=make: _harm(m, saved, watch, hostile_bundles.CANARY)


def _harm(make: Any, saved: bytes, watch: Any, canary: str) -> str:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(folder) / "hostile.mirror"
        place.write_bytes(_made(make, saved))
        watch.seen, watch.allowed, watch.on = [], str(place), True
        try:
            mn.load(place)
        except MirrorNeuronError:
            wrong = "; ".join(watch.seen)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        else:
            wrong = "it was loaded"
        finally:
            watch.on = False
    return wrong or ("it was executed" if Path(canary).exists() else "")


def _made(make: Any, saved: bytes) -> bytes:
    import pytest

    try:
        return make(saved)
    except pytest.fail.Exception as error:  # that no warning was given, which is ignored here
        raise AssertionError(str(error)) from None


@row(15, "what no computer can do", f"refused in {LONGEST:g} s with less than 500 MB more")
def bombs() -> Iterator[Trial]:
    deep = "(" * 10_000 + "1" + ")" * 10_000
    texts = {
        "tower": "9**9**9**9", "parentheses": deep, "long": " + ".join(["1"] * 3_000_000),
        "minus": "-" * 20_000 + "1",
    }  # fmt: skip
    for name, text in texts.items():
        yield lambda n=name, t=text: _bomb(n, lambda: mn.mirror(_condition(t)))
    long = {"batch": {"duration": 10 * ms, "batch_size": 10**11},
            "duration": {"duration": 1e12 * second}}  # fmt: skip
    for name, given in long.items():
        model = mn.mirror(layers())
        yield lambda n=name, g=given, m=model: _bomb(n, lambda: m.run(**g))
    yield lambda: _bomb("delay", lambda: mn.mirror(_late()))
    yield lambda: _bomb("steps", lambda: mn.simulate(driven, 1e15 * second, "native"))


def _condition(text: str) -> Network:
    """Brian2 evaluates equations as a group is made, before anything of ours sees them."""
    return Network(NeuronGroup(1, "v : 1", threshold=f"v > {text}", reset="v = 0", name="g"))


def _late() -> Network:
    net = layers()
    net["s"].delay = 1e9 * second
    return net


def _bomb(name: str, act: Callable[[], Any]) -> str:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        act()
    except (MirrorNeuronError, TooLarge) as error:
        wrong = "" if str(error) else "no message"
    except BaseException as error:
        wrong = f"{type(error).__name__}: {str(error)[:200]}"
    else:
        wrong = "nothing was raised"
    seconds = time.perf_counter() - start
    more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if not wrong and seconds < LONGEST and more < MOST:
        return ""
    return f"{name}: {seconds:.1f} s, {more / 1e6:.0f} MB more. {wrong}"


@row(16, "the same seed again, with other threads, resumed", "the same bits")
def again() -> Iterator[Trial]:
    model = mn.mirror(_noisy())
    first = _bits(model)
    for threads in (1, 2) * 5:
        yield lambda n=threads: _same_bits(model, n, first)
    with tempfile.TemporaryDirectory() as folder:
        straight, _ = train(Path(folder), 6)
    for stop in range(1, 6):
        yield lambda n=stop: _resumed(n, straight.losses)


def _noisy() -> Network:
    group = NeuronGroup(50, "dv/dt = (1.2 - v)/(5*ms) + 0.3*xi*ms**-0.5 : 1", threshold="v > 1",
                        reset="v = 0", method="euler", name="g")  # fmt: skip
    syn = Synapses(group, group, "w : 1", on_pre="v += w", name="s")
    syn.connect(condition="(i + j) % 3 == 0")
    syn.w = 0.02
    return Network(group, syn)


def _bits(model: mn.Mirror) -> torch.Tensor:
    return model.run(20 * ms, batch_size=4, seed=3).state["g.v"].detach().clone()


def _same_bits(model: mn.Mirror, threads: int, first: torch.Tensor) -> str:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return "" if torch.equal(_bits(model), first) else f"{threads} threads"
    finally:
        torch.set_num_threads(before)


def _resumed(stop: int, losses: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder), stop)
        done, _ = train(Path(folder), 6)
    return "" if done.losses == losses else f"stopped after {stop}: {done.losses}"


@row(17, "nothing: no synapses, no trials, no time, one neuron", "an empty result, or an error")
def nothing() -> Iterator[Trial]:
    def make(edges: str = "i", size: int = 3) -> Network:
        group = NeuronGroup(size, "dv/dt = (1.5 - v)/(5*ms) : 1", threshold="v > 1",
                            reset="v = 0", method="euler", name="g")  # fmt: skip
        syn = Synapses(group, group, "w : 1", on_pre="v += w", name="s")
        syn.connect(condition=edges)
        return Network(group, syn)

    for backend in ("eager", "native", "sequence"):
        yield lambda e=backend: _gradient_of_none(make("False"), e)
        yield lambda e=backend: _gradient_of_none(make("True", 1), e)
        model = mn.mirror(make("True"), backend=backend)
        yield refusal(lambda m=model: m.run(1 * ms, batch_size=0), MirrorNeuronError, "batch_size")
        yield lambda m=model: _no_time(m)
    yield refusal(lambda: mn.mirror(Network()), DomainError, "the network is empty")
    yield refusal(lambda: mn.mirror([]), DomainError, "no network")


def _gradient_of_none(net: Network, backend: str) -> str:
    model = mn.mirror(net, train=["s.w"], backend=backend)
    if backend == "eager" and not len(net["s"]):  # torch has nothing to go back through
        task = mn.Task(5 * ms, lambda r, _: r.spikes["g"].sum())
        return refusal(lambda: mn.fit(model, task, steps=1, report=None), GradientError,
                       "the loss does not depend on any parameter")()  # fmt: skip
    model.run(20 * ms).spikes["g"].sum().backward()
    grad = model.parameter("s.w").grad
    return "" if grad is not None and torch.isfinite(grad).all() else f"{backend}: {grad}"


def _no_time(model: mn.Mirror) -> str:
    try:
        recording = model.run(0 * ms, record=["g.v"])
    except MirrorNeuronError as error:
        return "" if "duration" in str(error) else str(error)
    return "" if recording["g.v"].shape[0] == 0 else f"{recording['g.v'].shape}"


@row(18, "how much memory a run keeps", "estimated within 20 %")
def memory() -> Iterator[Trial]:
    for size, steps, batch in ((1000, 200, 1), (1000, 200, 8), (4000, 100, 2), (500, 400, 16),
                               (2000, 300, 4)):  # fmt: skip
        for record in ((), ("g.v",)):
            yield lambda n=size, t=steps, k=batch, r=record: _estimate(n, t, k, r)


def _estimate(size: int, steps: int, batch: int, record: tuple[str, ...]) -> str:
    group = NeuronGroup(size, "dv/dt = (1.5 - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="exact", name="g")  # fmt: skip
    model = mn.mirror(Network(group), dtype=torch.float64)
    estimate = needed_memory(model.program, steps, batch, size * len(record), 8, gradient=False)
    recording = model.run_steps(steps, batch_size=batch, record=record)
    kept = sum(e.spikes.numel() * 8 for seen in recording.spikes.events.values() for e in seen)
    kept += 2 * sum(recording[key].numel() * 8 for key in record)
    return "" if 0.8 * kept < estimate < 1.2 * kept else f"{estimate:.3g} for {kept:.3g} byte"


@row(19, "Ctrl-C at 20 moments of a training or a comparison", "ends; what was learnt is kept")
def interruptions() -> Iterator[Trial]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        straight, _ = train(Path(folder), 30)
        lasts = time.perf_counter() - start
    for fraction in np.linspace(0.05, 0.9, 14):
        yield lambda f=fraction: _interrupted(f * lasts, straight.losses)
    for seconds in np.linspace(0.3, 1.3, 6):
        yield lambda s=seconds: _interrupted_comparison(float(s))


def _signal(after: float) -> threading.Timer:
    timer = threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def _interrupted(after: float, losses: Any) -> str:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        timer = _signal(after)
        try:
            train(Path(folder), 30)
            timer.cancel()
            ended = True
        except KeyboardInterrupt:
            ended = False
        finally:
            signal.signal(signal.SIGINT, handler)
        done, _ = train(Path(folder), 30)
    if done.losses != losses:
        return f"after {after:.2f} s: {done.losses}"
    return "it was not interrupted" if ended and timer.is_alive() else ""


def _interrupted_comparison(after: float) -> str:
    net = _noisy()
    model = mn.mirror(net, dtype=torch.float64)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    _signal(after)
    try:
        mn.validate(net, model, 60 * second)
    except KeyboardInterrupt:
        return "" if float(net.t_) == 0 else f"the network is at {net.t}"
    finally:
        signal.signal(signal.SIGINT, handler)
    return "there is a verdict"


@row(20, "restored delays; objects that run() does not find", "restored, and said; refused by name")
def forgotten() -> Iterator[Trial]:
    yield _restored
    for keep in (lambda g: [g], lambda g: {"a": [g]}, lambda g: ((g,),)):
        yield lambda k=keep: _missed(k)


def _restored() -> str:
    net = layers()
    net["s"].delay = 3 * ms
    net.store()
    net["s"].delay = 1 * ms
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.restore()
    delay = mn.mirror(net).program.pathways["s_pre"].delay
    said = any("'s_pre' are again those of store()" in str(w.message) for w in caught)
    return "" if said and (delay == 30).all() else f"{delay}"


def _missed(keep: Callable[[Any], Any]) -> str:
    b.start_scope()
    named = NeuronGroup(2, "v : 1", name="named")
    others = keep(NeuronGroup(2, "v : 1", name="lost"))
    names = {"named": named, "others": others}
    return refusal(lambda: mn.mirror(namespace=names), DomainError, "'others' holds lost")()
