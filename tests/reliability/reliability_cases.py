"""What real scripts, faults and hands do to a mirror: one small case for each kind.

Each case states what is expected, does it, and returns what was found; it fails by an assertion.
`benchmarks/reliability.py` writes the table of all of them, `test_reliability.py` runs them.
"""

import copy
import io
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import (
    DimensionMismatchError,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeMonitor,
    Synapses,
    TimedArray,
    check_units,
    implementation,
    magic_network,
    mean,
    ms,
    mV,
    nA,
    network_operation,
    nS,
    pA,
    pF,
    run,
    second,
    start_scope,
)

import mirrorneuron as mn
from mirrorneuron.check import check_script
from mirrorneuron.errors import (
    CheckpointError,
    DomainError,
    DomainWarning,
    GradientError,
    MirrorNeuronError,
    NetworkError,
    NumericalError,
    TooLarge,
    UnitError,
    UnsupportedFeature,
)


@dataclass(frozen=True)
class Case:
    """One case.

    Arguments:
        kind: What it stands for.
        expected: What is to happen, in words.
        run: Does it; returns what happened.
        seconds: How long it may take.
    """

    kind: str
    expected: str
    run: Callable[[], str]
    seconds: float


cases: dict[str, Case] = {}


def case(kind: str, expected: str, seconds: float = 60) -> Callable[[Any], Any]:
    """Register a case under the name of its function."""

    def register(run: Callable[[], str]) -> Callable[[], str]:
        cases[run.__name__.replace("_", " ")] = Case(kind, expected, run, seconds)
        return run

    return register


def refused(error: type[Exception], pattern: str, act: Callable[[], Any]) -> str:
    """The message with which something is refused."""
    try:
        act()
    except error as caught:
        text = " ".join(str(caught).split())
        assert isinstance(caught, MirrorNeuronError), f"{type(caught).__name__} is not ours"
        assert re.search(pattern, text), text
        return f"{type(caught).__name__}: {text}"
    raise AssertionError("nothing was raised")


def said(act: Callable[[], Any], pattern: str) -> str:
    """The warning that is given, once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    ours = [w for w in caught if issubclass(w.category, DomainWarning)]
    assert len(ours) == 1, [str(w.message) for w in ours]
    assert re.search(pattern, str(ours[0].message)), str(ours[0].message)
    return f"DomainWarning: {ours[0].message}"


def checked(script: str, status: str = "faithful", number: int = 1) -> str:
    """What `mirrorneuron check` says of a script."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.py"
        path.write_text("from brian2 import *\n" + script)
        finding = check_script(path, number=number)
    assert finding.status == status, f"{finding.status}: {finding.reason}"
    if status != "faithful":
        return f"{status}: {finding.reason or finding.unsupported[0]}"
    assert finding.identical and finding.locked_step_error == 0, str(finding)
    return f"{finding.spikes} spikes identical, every step equal"


def driven(**settings: Any) -> Network:
    """Two cells with a current."""
    cells = NeuronGroup(2, "dv/dt = (I - v)/(10*ms) : volt\nI : volt", method="euler", name="g")
    return Network(cells)


def layers() -> Network:
    """Four cells that drive four others."""
    names = {"tau": 20 * ms, "w": 0.5}
    g = NeuronGroup(4, "dv/dt = (1.2 - v)/tau : 1", threshold="v > 1", reset="v = 0",
                    method="exact", name="g", namespace=names)  # fmt: skip
    h = NeuronGroup(4, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", method="exact",
                    name="h", namespace=names)  # fmt: skip
    s = Synapses(g, h, on_pre="v_post += w", name="s", namespace=names)
    s.connect()
    return Network(g, h, s)


def rate_loss(group: str, wanted: float) -> Any:
    return lambda r, _: (r.population_rate(group).mean() - wanted) ** 2


# ---- values


@case("values", "faithful: truth values times literals, in every kind of statement")
def booleans_in_statements() -> str:
    return checked(
        "G = NeuronGroup(4, '''dv/dt = (1.3*on + 0.1*q - v)/(8*ms) : 1\nq : 1\non : boolean\n"
        "two : boolean\nn : integer\nhot = v > 0.7 : boolean''', threshold='v > 1 + 0.1*on',"
        "reset='''v = 0.1*on + 0.03*int(hot)\nn += 1\ntwo = n%2 == 0\nq = (1 - on)*0.25*two''',"
        "method='euler')\nG.on = 'i != 2'\nG.run_regularly('q = q + 0.013*on', dt=1*ms)\n"
        "S = Synapses(G, G, 'ok : boolean', on_pre='v_post += 0.0123*ok + 0.011*on_post')\n"
        "S.connect('i != j')\nS.ok = '(i + j)%2 == 0'\nrun(100*ms)"
    )


@case("values", "faithful: 32-bit whole numbers that wrap")
def whole_numbers_that_wrap() -> str:
    return checked(
        "G = NeuronGroup(5, '''dv/dt = (1.2 + 0.2*u - v)/(6*ms) : 1\ns : integer\n"
        "u = (s % 1000)/1000.0 : 1''', threshold='v > 1', reset='v = 0', method='euler')\n"
        "G.s = '12345 + i'\nG.run_regularly('s = s*1103515245 + 12345', dt=1*ms)\nrun(100*ms)"
    )


@case("values", "faithful: equal infinities are no difference")
def equal_infinities() -> str:
    return checked(
        "G = NeuronGroup(4, 'dv/dt = (1.5 - v)/(8*ms) : 1\\nx : 1', threshold='v > 1',"
        "reset='v = 0\\nx = 1.0/(i*1.0)', method='euler')\nrun(50*ms)"
    )


INACTIVE = (
    "G = NeuronGroup(3, 'dv/dt = (1.5 - v)/(5*ms) : 1', threshold='v > 1', reset='v = 0',"
    "method='exact')\nG.v = 'i*0.3'\n"
    "H = NeuronGroup(3, 'dv/dt = (1.2 - v)/(5*ms) : 1', threshold='v > 1', reset='v = 0',"
    "method='exact')\nS = Synapses(G, H, on_pre='v_post += 0.1', delay=1*ms)\nS.connect()\n"
)


@case("values", "faithful: an inactive NeuronGroup sends nothing more")
def inactive_source() -> str:
    return checked(INACTIVE + "G.active = False\nrun(50*ms)")


@case("values", "faithful: a PoissonGroup that is switched off between runs")
def source_switched_off_between_runs() -> str:
    return checked(
        INACTIVE + "P = PoissonGroup(3, 500*Hz)\nF = Synapses(P, H, on_pre='v += 0.2')\n"
        "F.connect()\nrun(20*ms)\nP.active = False\nrun(60*ms)", number=2,
    )  # fmt: skip


@case("values", "a finite gradient, zero, through // as through floor()")
def gradient_through_floor_division() -> str:
    group = NeuronGroup(3, "dv/dt = (1.5 + 0.1*q - v)/(5*ms) : 1\na : 1\nq : 1", name="g",
                        threshold="v > 1", reset="v = 0\nq = (a*3)//1", method="euler")  # fmt: skip
    group.a = "i*0.5"
    model = mn.mirror(Network(group), train=["g.a"])
    model.run(30 * ms).spikes["g"].sum().backward()
    grad = model.parameter("g.a").grad
    assert torch.equal(grad, torch.zeros(3))
    return f"gradient {grad.tolist()}"


@case("values", "refused by name: NaN among the constants of a statement")
def constant_that_is_no_number() -> str:
    group = NeuronGroup(2, "v : 1", threshold="v > 5", reset="v = 0", name="g")
    synapses = Synapses(group, group, on_pre="v_post += sqrt(-1.0)", name="s")
    synapses.connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return refused(DomainError, "holds NaN", lambda: mn.mirror(Network(group, synapses)))


# ---- Python between steps

OPERATION = (
    "exc = NeuronGroup(20, '''dv/dt = (I + 0.3*total - v)/(10*ms) : 1\nds/dt = -s/(50*ms) : 1\n"
    "total : 1\nI : 1''', threshold='v > 1', reset='v = 0\\ns += 0.2', method='euler')\n"
    "exc.I = '0.9 + 0.02*i'\ncounts = SpikeMonitor(exc)\nhistory = []\n"
)


@case("network_operation", "faithful: a decision network whose operation sums the gating variables")
def decision_network() -> str:
    return checked(
        OPERATION + "@network_operation\ndef total():\n    one = sum(exc.s[:10])\n"
        "    exc.total[:10] = 1.2*one - sum(exc.s[10:])\n"
        "    exc.total[10:] = 1.2*sum(exc.s[10:]) - one\n"
        "@network_operation(dt=5*ms)\ndef stimulus():\n    exc.I[:10] = 1.05 + 0.1*randn()\n"
        "run(100*ms)"
    )


@case("network_operation", "faithful: a working-memory network that reads its own monitors")
def working_memory_network() -> str:
    return checked(
        OPERATION + "rate = PopulationRateMonitor(exc)\n@network_operation(dt=1*ms, when='end')\n"
        "def control(t):\n    cue = 1.3 if 10*ms <= t < 30*ms else 1.02\n"
        "    recent = mean(rate.rate[-10:]/Hz) if len(rate.t) else 0\n"
        "    exc.I = cue - 0.0005*recent\n    history.append(counts.num_spikes)\nrun(100*ms)"
    )


@case("network_operation", "faithful: a plant in Python that closes the loop")
def plant_between_steps() -> str:
    return checked(
        OPERATION + "class Plant:\n    angle, speed, seen = 0.0, 0.0, 0\n    def step(self):\n"
        "        new = counts.num_spikes - self.seen\n        self.seen += new\n"
        "        self.speed += 0.02*(3*new - 2*self.angle - 0.3*self.speed)\n"
        "        self.angle += 1e-3*self.speed\n        exc.I = 1.3 - self.angle\n"
        "plant = Plant()\nloop = NetworkOperation(plant.step, dt=1*ms)\nrun(100*ms)"
    )


def inhibited(registered: bool) -> Network:
    exc = NeuronGroup(4, "dv/dt = (I - h - v)/(10*ms) : 1\nI : 1\nh : 1", threshold="v > 1",
                      reset="v = 0", method="euler", name="exc")  # fmt: skip
    exc.I, exc.v = 2, "0.1*i"

    @network_operation
    def inhibit() -> None:
        exc.h = 0.5 * mean(exc.v)

    if registered:
        mn.register(
            inhibit, reads=["exc.v"], writes=["exc.h"], torch=lambda v: 0.5 * v.mean(-1, True)
        )
    return Network(exc, inhibit)


@case("network_operation", "an error that shows the two ways out, where a gradient would pass")
def gradient_through_python() -> str:
    model = mn.mirror(inhibited(False), train=["exc.I"])
    return refused(GradientError, r"\(summed\).*mn\.register", lambda: model.run(5 * ms))


@case("network_operation", "registered for tensors, it has a batch and trains")
def registered_python_trains() -> str:
    model = mn.mirror(inhibited(True), train=["exc.I"])
    assert model.run(5 * ms, batch_size=3).spikes["exc"].shape[1] == 3
    task = mn.Task(40 * ms, loss=rate_loss("exc", 40.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = mn.fit(model, task, steps=15, report=None,
                      optimizer=lambda p: torch.optim.Adam(p, 0.03))  # fmt: skip
    assert min(done.losses) < 0.5 * done.losses[0], done.losses
    return f"loss {done.losses[0]:.3g} to {min(done.losses):.3g}"


# ---- not mirrored, by name


def calling(function: Any) -> Network:
    group = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1\nd : 1", method="euler", name="group",
                        namespace={"called": function})  # fmt: skip
    group.run_regularly("d = called(v)", dt=1 * ms)
    return Network(group)


@case("refused by name", "a function that remembers its calls")
def function_with_memory() -> str:
    log: list[int] = []

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def counted(x: Any) -> Any:
        log.append(1)
        return x * 0 + len(log)

    model = mn.mirror(calling(counted))
    return refused(UnsupportedFeature, "a memory: a call changed log", lambda: model.run(5 * ms))


@case("refused by name", "an array of two dimensions among the variables")
def variable_of_two_dimensions() -> str:
    group = NeuronGroup(4, "back : 1", name="group")
    group.variables.add_array("past", size=(5, 4))

    @implementation("numpy", discard_units=True)
    @check_units(past=1, result=1)
    def newest(past: Any) -> Any:
        return past[0]

    group.run_regularly("back = newest(past)")
    return refused(
        UnsupportedFeature, "'past', an array of two dimensions",
        lambda: mn.mirror(Network(group), namespace={"newest": newest}),
    )  # fmt: skip


@case("refused by name", "everything that cannot be mirrored is listed at once")
def several_unsupported_parts() -> str:
    stiff = NeuronGroup(1, "dv/dt = -v/ms : 1", method="gsl_rk4", name="stiff")
    odd = NeuronGroup(1, "dv/dt = -v/ms : 1", method="euler", dt=0.1414213562 * ms, name="odd")
    return refused(
        UnsupportedFeature, "stiff.*gsl_rk4.*0.141421 ms beside",
        lambda: mn.mirror(Network(driven().objects, stiff, odd)),
    )  # fmt: skip


@case("bounds", "a tower of powers is refused within two seconds", seconds=2)
def tower_of_powers() -> str:
    group = NeuronGroup(1, "v : 1", threshold="v > 9**9**9**9", reset="v = 0", name="g")
    return refused(DomainError, "beyond the largest number", lambda: mn.mirror(Network(group)))


@case("bounds", "a batch beyond memory is refused within two seconds", seconds=2)
def batch_beyond_memory() -> str:
    model = mn.mirror(layers())
    return refused(TooLarge, "smaller batch_size", lambda: model.run(10 * ms, batch_size=10**11))


@case("bounds", "a duration beyond memory is refused within two seconds", seconds=2)
def duration_beyond_memory() -> str:
    model = mn.mirror(layers())
    return refused(TooLarge, "run in parts", lambda: model.run(1e12 * second))


@case("bounds", "a delay beyond memory is refused within two seconds", seconds=2)
def delay_beyond_memory() -> str:
    net = layers()
    net["s"].delay = 1e9 * second
    return refused(TooLarge, "'s_pre' has a delay of", lambda: mn.mirror(net))


# ---- what people hand over


@case("what people hand over", "a mirror of objects that were run before, from a list or by magic")
def after_a_magic_run() -> str:
    start_scope()
    cells = NeuronGroup(5, "dv/dt = (1.5 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="exact", name="cells")  # fmt: skip
    cells.v = "i*0.2"
    monitor = SpikeMonitor(cells)
    run(20 * ms)
    found: list[int] = []
    for what in (magic_network, [cells, monitor], None):
        found.append(int(mn.mirror(what).run(5 * ms).spikes["cells"].sum()))
    assert found[0] == found[1] == found[2] > 0, found
    return f"{found[0]} spikes each"


@case("what people hand over", "mirroring leaves no trace: the same cell of a notebook runs twice")
def mirroring_twice() -> str:
    cells = NeuronGroup(2, "dv/dt = (1.2 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
                        method="exact", name="g")  # fmt: skip
    rates = [mn.mirror(Network(cells)).run(20 * ms).rates() for _ in range(2)]
    assert rates[0] == rates[1]
    return f"{rates[0]} twice"


@case("what people hand over", "a string where a list is meant is an error that says so")
def strings_for_lists() -> str:
    refused(DomainError, r"train=\['s.w'\]", lambda: mn.mirror(layers(), train="s.w"))
    model = mn.mirror(layers())
    refused(DomainError, r"record=\['h.v'\]", lambda: model.run(5 * ms, record="h.v"))
    refused(DomainError, "neither one of torch", lambda: mn.fit(
        mn.mirror(layers(), train=["g.tau"]), mn.Task(5 * ms, rate_loss("h", 5)),
        optimizer="adam", report=None))  # fmt: skip
    return refused(
        DomainError, "a tensor alone goes to the only one", lambda: model(torch.zeros(5, 1, 4))
    )


@case("what people hand over", "figures take what simulations give")
def raster_of_a_simulation() -> str:
    from matplotlib.figure import Figure

    found = mn.simulate(lambda: Network(layers().objects), 60 * ms, target="numpy", report=None)
    spikes = found.spikes["g"]
    for given in (spikes, found.spike_trains("g")):
        mn.analysis.plot.plot_raster(given, ax=Figure().subplots())
    assert found.population_rate("g").sum() > 0
    return f"{len(spikes.step)} spikes drawn"


@case("what people hand over", "copies: deepcopy, pickle, torch.save and other threads")
def copies_of_a_model() -> str:
    model = mn.mirror(layers(), train=["g.tau"])
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)),
              torch.load(stream, weights_only=False)]  # fmt: skip
    rates = [other.run(50 * ms).rates() for other in (model, *others)]
    assert all(rate == rates[0] for rate in rates)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(model.run(50 * ms).rates()))
               for _ in range(3)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [rates[0]] * 3
    return "the same rates from each"


# ---- errors from below


@case("errors from below", "a unit error is ours, Brian2's DimensionMismatchError, and says where")
def unit_error() -> str:
    group = NeuronGroup(1, "dv/dt = -v/(10*ms) : volt", threshold="v > 1", reset="v = 0*mV",
                        method="exact", name="g")  # fmt: skip
    return refused(DimensionMismatchError, r"'g_spike_thresholder', made in line \d+.*-50\*mV",
                    lambda: mn.mirror(Network(group)))  # fmt: skip


@case("errors from below", "an unknown name comes with the nearest one, and is a KeyError")
def unknown_name_in_an_equation() -> str:
    group = NeuronGroup(1, "dv/dt = -v/tau_mem : 1", method="euler", name="g",
                        namespace={"tau_men": 10 * ms})  # fmt: skip
    return refused(KeyError, "Did you mean 'tau_men'", lambda: mn.mirror(Network(group)))


@case("errors from below", "a forgotten connect() is a TypeError with the line to write")
def forgotten_connect() -> str:
    group = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", name="g")
    synapses = Synapses(group, group, on_pre="v += 1", name="s")
    return refused(
        NetworkError, r"Write s\.connect\(\)", lambda: mn.mirror(Network(group, synapses))
    )


@case("errors from below", "a loss that is no real number is an error by name")
def losses_of_wrong_shape() -> str:
    found = ""
    for loss in (lambda r, t: r.state["g.v"], lambda r, t: 3.0, lambda r, t: None):
        task = mn.Task(1 * ms, loss)
        model = mn.mirror(driven(), train=["g.I"])
        found = refused(
            GradientError, "loss", lambda t=task, m=model: mn.fit(m, t, steps=1, report=None)
        )
    return found


@case("errors from below", "what Brian2 refuses is the script's fault: exit code 2")
def script_that_brian2_refuses() -> str:
    return checked(
        "G = NeuronGroup(4, 'dv/dt = (1.3 + boost - v)/(8*ms) : 1\\nhot = v > 0.7 : boolean\\n"
        "boost = 0.3*hot : 1', threshold='v > 1', reset='v = 0', method='euler')\nrun(50*ms)",
        "script_failed",
    )


# ---- silent ones


@case("silence", "units inside lists are checked")
def units_in_lists() -> str:
    model = mn.mirror(driven())
    current = [[1 * nA] * 2] * 10
    return refused(UnitError, r"has to be in \[V\]", lambda: model.run(1 * ms, {"g.I": current}))


@case("silence", "infinite and NaN weights, states, inputs and tables are refused before step 0")
def values_that_are_not_finite() -> str:
    found = ""
    for bad in (np.nan, np.inf, -np.inf):
        net = driven()
        net["g"].v[1] = bad * mV
        found = refused(DomainError, r"g\.v is .* at index 1", lambda n=net: mn.mirror(n))
        x = np.zeros((10, 1, 2))
        x[3, 0, 1] = bad
        refused(DomainError, "index 3, 0, 1",
                lambda v=x: mn.mirror(driven()).run(1 * ms, {"g.I": torch.tensor(v)}))  # fmt: skip
        wave = TimedArray([1.0, bad], dt=1 * ms, name="wave")
        read = NeuronGroup(1, "dv/dt = wave(t)/ms : 1", method="euler", name="r",
                           namespace={"wave": wave})  # fmt: skip
        refused(DomainError, "TimedArray 'wave'", lambda n=read: mn.mirror(Network(n)))

        def assign(value: float = bad) -> None:
            model = mn.mirror(driven(), train=["g.I"])
            with torch.no_grad():
                model.parameter("g.I").fill_(value)

        refused(DomainError, "NaN or infinite", assign)
    return found


@case("silence", "capacitance, rate and refractory period outside their domain are refused")
def parameters_outside_their_domain() -> str:
    cell = NeuronGroup(2, "dv/dt = I/C : volt\nI : amp\nC : farad (constant)", method="euler",
                       name="cell")  # fmt: skip
    cell.C, cell.I = -200 * pF, 1 * nA
    found = refused(DomainError, r"cell\.C is -2e-10", lambda: mn.mirror(Network(cell)))
    refused(DomainError, r"p\.rates is -10 Hz|p\.rates is -10 at",
            lambda: mn.mirror(Network(PoissonGroup(3, -10 * Hz, name="p"))))  # fmt: skip
    said(lambda: mn.mirror(Network(PoissonGroup(3, 50000 * Hz, name="q"))), "at most once a step")
    return found


@case("silence", "a time step beyond the integrator's stability is said at conversion")
def unstable_time_step() -> str:
    cell = NeuronGroup(1, "dv/dt = -v/(0.1*ms) : 1", method="euler", dt=0.3 * ms, name="cell")
    return said(lambda: mn.mirror(Network(cell)), r"largest stable dt is 0\.2 ms")


@case("silence", "a delay off the grid is said, with what Brian2 makes of it")
def delay_off_the_grid() -> str:
    net = layers()
    net["s"].delay = 0.17 * ms
    return said(lambda: mn.mirror(net), "rounds it to 0.2 ms")


@case("silence", "a negative delay is refused")
def negative_delay() -> str:
    net = layers()
    net["s"].delay = -1 * ms
    return refused(DomainError, "delay of -1 ms at synapse 0", lambda: mn.mirror(net))


@case("silence", "an optimiser that holds none of the model's parameters is refused")
def foreign_optimizer() -> str:
    model = mn.mirror(driven(), train=["g.I"])
    other = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
    task = mn.Task(1 * ms, lambda r, t: r.state["g.v"].square().sum())
    return refused(DomainError, "holds none of the model's parameters",
                   lambda: mn.fit(model, task, optimizer=other, report=None))  # fmt: skip


@case("silence", "what is kept in lists, which run() does not find, is named")
def objects_that_magic_misses() -> str:
    start_scope()
    named = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="euler", name="named")
    others = [NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="euler", name="lost")]
    assert named.N == 2 and others
    return refused(
        DomainError, "'others' holds lost", lambda: mn.mirror(namespace=locals_of(named, others))
    )


def locals_of(named: Any, others: Any) -> dict[str, Any]:
    return {"named": named, "others": others}


@case("silence", "a value that leaves its range stops the run within a chunk, with its name")
def value_that_explodes() -> str:
    group = NeuronGroup(3, "dx/dt = x**2/(1*ms) : 1", method="euler", name="blown")
    group.x = [0, 0, 50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mn.mirror(Network(group))
    return refused(NumericalError, r"blown\.x of element 2", lambda: model.run(100 * ms))


# ---- training


def adex() -> Network:
    """A hundred AdEx cells with conductances, as a student writes them."""
    names = {"C": 200 * pF, "gL": 10 * nS, "EL": -65 * mV, "VT": -50 * mV, "DT": 2 * mV,
             "Vr": -58 * mV, "a": 2 * nS, "b": 20 * pA, "tau_w": 120 * ms, "Ee": 0 * mV,
             "tau_e": 5 * ms, "w_e": 1 * nS}  # fmt: skip
    eqs = """dv/dt = (gL*(EL - v) + gL*DT*exp((v - VT)/DT) + ge*(Ee - v) - w)/C
                     : volt (unless refractory)
             dw/dt = (a*(v - EL) - w)/tau_w : amp
             dge/dt = -ge/tau_e : siemens"""
    cells = NeuronGroup(40, eqs, threshold="v > -40*mV", reset="v = Vr; w += b", name="E",
                        refractory=2 * ms, method="euler", namespace=names)  # fmt: skip
    cells.v = "EL + 10*mV*i/40.0"
    drive = PoissonInput(cells, "ge", 100, 10 * Hz, weight=2.5 * nS)
    synapses = Synapses(cells, cells, on_pre="ge_post += w_e", name="see", namespace=names)
    synapses.connect("(i*7 + j*3) % 10 == 0")
    return Network(cells, drive, synapses)


@case("gradients and fits", "the natural AdEx rate fit has finite gradients, and its loss falls")
def adex_rate_fit() -> str:
    model = mn.mirror(adex(), train={"see.w_e": mn.Positive(), "E.tau_e": mn.Positive()})
    task = mn.Task(60 * ms, loss=rate_loss("E", 5.0))
    done = mn.fit(model, task, steps=6, report=None, optimizer=lambda p: torch.optim.Adam(p, 0.1))
    assert not done.skipped and np.all(np.isfinite(done.losses))
    assert min(done.losses[1:]) < done.losses[0], done.losses
    return f"loss {done.losses[0]:.3g} to {min(done.losses):.3g}, nothing skipped"


@case("gradients and fits", "a window does not change the objective")
def loss_in_windows() -> str:
    found = []
    for rule in (None, mn.BPTT(window=50 * ms), mn.BPTT(window=10 * ms)):
        model = mn.mirror(layers(), train=["g.tau"])
        task = mn.Task(200 * ms, loss=rate_loss("g", 30.0))
        found.append(mn.fit(model, task, rule=rule, steps=1, report=None).losses[0])
    assert len(set(found)) == 1, found
    return f"loss {found[0]:g} for each"


@case("gradients and fits", "one name of the script is one parameter")
def tied_constant() -> str:
    model = mn.mirror(layers(), train=["tau"])
    assert len(list(model.parameters())) == 1
    assert model.members["tau"] == ("g.tau", "h.tau") or set(model.members["tau"]) == {
        "g.tau",
        "h.tau",
    }
    return "tau is g.tau and h.tau, one parameter"


@case("gradients and fits", "a callback ends a training, which keeps the best parameters")
def early_stop() -> str:
    model = mn.mirror(layers(), train=["g.tau"])
    task = mn.Task(60 * ms, loss=rate_loss("g", 30.0))
    done = mn.fit(model, task, steps=5, report=None, callback=lambda k, m, f: k == 1)
    assert (len(done.losses), done.stopped) == (2, "callback") and done.best is not None
    return "2 steps, stopped by the callback"


@case("gradients and fits", "what only decides on refractoriness is refused")
def refractory_period_in_training() -> str:
    group = NeuronGroup(3, "dv/dt = (1.5 - v)/(5*ms) : 1 (unless refractory)\nr : second",
                        threshold="v > 1", reset="v = 0", refractory="r", method="euler",
                        name="g")  # fmt: skip
    group.r = "1*ms + i*ms"
    return refused(GradientError, r"no gradient reaches g\.r",
                   lambda: mn.mirror(Network(group), train=["g.r"]))  # fmt: skip


# ---- interruption and sharing


@case("interruption", "Ctrl-C in validate: KeyboardInterrupt, and no verdict over a part")
def ctrl_c_in_validate() -> str:
    net = layers()
    model = mn.mirror(net)
    over = threading.Event()

    def interrupt() -> None:
        while not over.wait(1.0):  # again, where another's callback swallowed the first
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    start = time.perf_counter()
    try:
        mn.validate(net, model, 20 * second, namespace={})
    except KeyboardInterrupt:
        over.set()
        return f"KeyboardInterrupt after {time.perf_counter() - start:.1f} s"
    over.set()
    raise AssertionError("a verdict was given")


def small_fit(folder: str, **settings: Any) -> mn.Fit:
    model = mn.mirror(driven(), train=["g.I"], dtype=torch.float64)
    task = mn.Task(1 * ms, lambda r, t: (r.state["g.v"] - 1e-3).square().sum())
    return mn.fit(model, task, **{"steps": 2, "every": 1, "report": None,
                                  "checkpoint": folder, **settings})  # fmt: skip


@case("interruption", "two trainings in one checkpoint folder are kept apart")
def two_fits_in_one_folder() -> str:
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        small_fit(folder, callback=lambda k, m, f: found.append(
            refused(CheckpointError, "another training is under way",
                    lambda: small_fit(folder))))  # fmt: skip
        assert len(small_fit(folder, steps=4).losses) == 4
    return found[0]


@case("interruption", "going on with another seed or learning rate is refused")
def resuming_with_other_settings() -> str:
    with tempfile.TemporaryDirectory() as folder:
        small_fit(folder)
        refused(CheckpointError, "the seed", lambda: small_fit(folder, seed=3))
        return refused(CheckpointError, "learning rate", lambda: small_fit(
            folder, optimizer=lambda p: torch.optim.Adam(p, lr=0.5)))  # fmt: skip


@case("interruption", "a checkpoint cut anywhere is found damaged, and the one before is used")
def damaged_checkpoint() -> str:
    with tempfile.TemporaryDirectory() as folder:
        small_fit(folder, steps=3)
        path = Path(folder) / "checkpoint.pt"
        path.write_bytes(path.read_bytes()[:100])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            done = small_fit(folder, steps=4)
    assert done.resumed == 2 and any("is damaged" in str(w.message) for w in caught)
    return "went on from the one before"


# ---- impatience


def timed(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


@case("impatience", "importing takes at most 1.3 times as long as torch and brian2")
def import_time() -> str:
    ours = "import mirrorneuron as mn; mn.mirror, mn.fit, mn.validate"
    pairs = [(timed("-c", ours), timed("-c", "import torch, brian2")) for _ in range(3)]
    own, both = (min(times) for times in zip(*pairs, strict=True))  # in turn: others work here too
    assert own <= 1.3 * both, (own, both)
    return f"{own:.1f} s with mirror, fit and validate, beside {both:.1f} s"


@case("impatience", "mirrorneuron --help and --version answer within two seconds")
def help_time() -> str:
    command = "from mirrorneuron.cli import main; main()"
    seconds = [timed("-c", command, option) for option in ("--help", "--version")]
    assert max(seconds) < 2, seconds
    return f"{seconds[0]:.2f} s and {seconds[1]:.2f} s"


@case("impatience", "preferences of the folder are named before they are read, and can be refused")
def preferences_of_the_folder() -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "brian_preferences").write_text("codegen.target = 'numpy'\n")
        done = subprocess.run([sys.executable, "-c", "import mirrorneuron"], cwd=folder,
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "MIRRORNEURON_PREFERENCES": "refuse"})  # fmt: skip
    assert done.returncode == 1 and "It is refused here" in done.stderr
    return done.stderr.splitlines()[-1]
