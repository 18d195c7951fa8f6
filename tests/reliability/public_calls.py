"""One valid call of each public function and class, and what its arguments take beside.

`test_nonsense.py` calls each again with nonsense in one argument at a time. `takes` lists, for an
argument, the kinds of nonsense that have a meaning there: text where there is text, a negative
number where one may be. None needs no mention where it is the default.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    check_units,
    kilogram,
    ms,
    mV,
    nA,
    network_operation,
)

import mirrorneuron as mn
from mirrorneuron import analysis, bio, losses, muscle
from mirrorneuron._arguments import Finite
from mirrorneuron.bio.cells import Claim  # noqa: F401
from mirrorneuron.units import Dimensions

NONSENSE: dict[str, Any] = {
    "none": None,
    "object": object(),
    "text": "nonsense",
    "texts": ["no", "such"],
    "names": {"no": "such"},
    "negative": -3,
    "fraction": -0.37,
    "nan": float("nan"),
    "infinity": float("inf"),
    "truth": True,
    "complex": 1j,
    "mass": 3 * kilogram,
    "masses": [3, 4] * kilogram,
    "rank": np.zeros((1, 2, 1, 2, 1)),
    "tensor": torch.full((2, 1, 3, 1, 2), float("nan")),
    "class": dict,
    "bytes": b"nonsense",
    "function": lambda *args: None,
    "nothing": [],
}


@dataclass(frozen=True)
class Call:
    """A valid call.

    Arguments:
        act: What is called with keyword arguments.
        given: Valid ones.
        takes: By argument, the kinds of nonsense that it takes, in one text.
        said: By argument, the words by which messages name it, where it is not its own name.
    """

    act: Callable[..., Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)


calls: dict[str, Callable[[], Call]] = {}
_number = count()


def call(name: str) -> Callable[[Callable[[], Call]], Callable[[], Call]]:
    """Register the maker of a valid call under the public name."""

    def keep(make: Callable[[], Call]) -> Callable[[], Call]:
        calls[name] = make
        return make

    return keep


# ---- what calls share


@cache
def network() -> Network:
    source = SpikeGeneratorGroup(2, [0, 1], [0.2, 0.5] * ms, name="source")
    cells = NeuronGroup(
        3,
        "dv/dt = (R*I - v)/tau : volt\nI : amp\ntau : second (constant)",
        threshold="v > 10*mV",
        reset="v = 0*mV",
        method="exact",
        name="cells",
        namespace={"R": 1e8 * mV / (1e-3 * nA) * 1e-9},
    )
    cells.I, cells.tau = 20 * nA, 10 * ms
    synapses = Synapses(source, cells, "w : volt", on_pre="v_post += w", name="synapses")
    synapses.connect()
    synapses.w = 1 * mV
    return Network(source, cells, synapses)


@cache
def model() -> Any:
    return mn.mirror(network(), train=["cells.I", "synapses.w"], backend="eager")


@cache
def recording() -> Any:
    return model().run(2 * ms, record=["cells.v"])


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp())


def path() -> Path:
    return folder() / f"file{next(_number)}"


def effort(recording: Any, trial: Any) -> Any:
    return recording.spikes["cells"].mean((1, 2)).sum() + recording["cells.v"].square().sum()


def task(**settings: Any) -> Any:
    return mn.Task(2 * ms, effort, record=["cells.v"], additive=True, **settings)


def trained(**settings: Any) -> Any:
    return mn.fit(model(), task(), **{"steps": 1, "report": None, **settings})


@cache
def trains() -> Any:
    return analysis.SpikeTrains(
        (np.arange(0.01, 2, 0.021), np.arange(0.02, 2, 0.013)), duration=2.0
    )


EMPTY = {"a": "nothing", "b": "nothing"}
A, B = np.array([0.1, 0.2, 0.35]), np.array([0.1, 0.22])
LIST = "nothing"


# ---- rules


def _rule(name: str, **given: Any) -> None:
    made = getattr(mn, name)
    takes = dict.fromkeys(("average", "restart"), "truth")
    calls[name] = lambda: Call(lambda **settings: trained(rule=made(**settings)), given, takes)


_rule("BPTT", window=1 * ms, update="trial")
_rule("FPTT", window=1 * ms, alpha=0.1, beta=0.5, mu=1.0, form="coded", look_ahead=1 * ms,
      average=False, restart=False, epoch=1)  # fmt: skip
_rule("FPTT_K", parts=2, alpha=0.1, beta=0.5, mu=1.0, form="coded", look_ahead=1 * ms,
      average=False, restart=False, epoch=1)  # fmt: skip
_rule("RTRL", window=1 * ms, update="window", forgetting=1 * ms)
_rule("EProp", window=1 * ms, update="window", forgetting=1 * ms, feedback="symmetric", seed=0)


@cache
def filters() -> Any:
    """Cells that are filters of spikes, as rules with one trace for each sender need them."""
    source = SpikeGeneratorGroup(2, [0, 1], [0.2, 0.5] * ms, name="source")
    cells = NeuronGroup(
        3, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact",
        name="cells",
    )  # fmt: skip
    synapses = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="synapses")
    synapses.connect()
    synapses.w = 0.7
    made = Network(source, cells, synapses)
    return mn.mirror(made, train=["synapses.w"], backend="eager", reset_gradient="detach")


def _sender_rule(name: str, takes: Mapping[str, str] = {}, **given: Any) -> None:
    made = getattr(mn, name)

    def act(**settings: Any) -> Any:
        return mn.fit(filters(), task(), rule=made(**settings), steps=1, report=None)

    calls[name] = lambda: Call(act, given, takes)


def local_loss(y: Any, recording: Any, trial: Any) -> Any:
    return y.square().sum()


_sender_rule("OTTT", window=1 * ms, update="window")
_sender_rule(
    "DECOLLE",
    {"local_loss": "class"},
    window=1 * ms,
    update="window",
    local_loss=local_loss,
    outputs=2,
    seed=0,
)


def _hook(name: str, **given: Any) -> None:
    made = getattr(mn, name)
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    calls[name] = lambda: Call(made, {"optimizer": adam, **given})


_hook("SynapticIntelligence", strength=0.1, damping=0.1)
_hook("ElasticWeights", strength=10.0)


@call("EventProp")
def _() -> Call:
    return Call(mn.EventProp, {"least_speed": 0.01})


@call("Rule")
def _() -> Call:
    return Call(lambda: issubclass(mn.BPTT, mn.Rule))


# ---- surrogates, limits, ties


def _surrogate(name: str, **given: Any) -> None:
    made = getattr(mn, name)
    calls[name] = lambda: Call(
        lambda **settings: mn.mirror(network(), surrogate=made(**settings), backend="eager"),
        {"width": 1 * mV, **given},
    )


for _name in ("Arctan", "FastSigmoid", "Gaussian", "Sigmoid", "SuperSpike"):
    _surrogate(_name)
_surrogate("Triangle", factor=1.0)


@call("Bounded")
def _() -> Call:
    start, ampere = torch.zeros(1), Dimensions(A=1.0)
    return Call(
        lambda **k: mn.Bounded(**k).bounds(start, ampere),
        {"low": 0 * nA, "high": 50 * nA},
        said={"low": "lower bound", "high": "upper bound"},
    )


calls["Free"] = lambda: Call(mn.Free)
calls["Positive"] = lambda: Call(mn.Positive)
calls["Sign"] = lambda: Call(mn.Sign)


@call("Tied")
def _() -> Call:
    return Call(lambda names: mn.Tied("g.tau", names), {"names": "h.tau"}, {"names": "text"})


@call("Nudge")
def _() -> Call:
    return Call(
        lambda **k: model().run(1 * ms, inputs={"cells.v": mn.Nudge(**k)}),
        {"values": np.zeros((10, 1, 3)) * mV, "tau": 1 * ms},
        said={"values": "cells.v"},
    )


@call("SpikeTimes")
def _() -> Call:
    return Call(mn.SpikeTimes, {"times": [[1.0], [2.5]] * ms}, said={"times": "time"})


# ---- mirror, run, fit


@call("mirror")
def _() -> Call:
    return Call(
        mn.mirror,
        {
            "network": network(),
            "train": ["cells.I"],
            "surrogate": mn.Gaussian(),
            "reset_gradient": "auto",
            "dtype": torch.float32,
            "device": "cpu",
            "backend": "eager",
            "strict": True,
            "namespace": {},
        },
        {"network": "none", "train": LIST, "strict": "truth", "namespace": "names"},
    )


@call("Mirror")
def _() -> Call:
    given = {
        "program": model().program,
        "train": {"cells.I": mn.Free()},
        "surrogates": {},
        "reset_gradient": "auto",
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "unsupported": (),
        "source": None,
        "backend": "eager",
    }
    return Call(mn.Mirror, given, {"unsupported": LIST, "source": "*"})


@call("Mirror.run")
def _() -> Call:
    return Call(
        lambda **k: model().run(**k),
        {
            "duration": 1 * ms,
            "inputs": {"cells.I": np.full((10, 1, 3), 20.0) * nA},
            "batch_size": 1,
            "state": model().initial_state(),
            "record": ["cells.v"],
            "report": None,
            "seed": 0,
            "batch_first": False,
        },
        {"record": LIST, "batch_first": "truth"},
    )


@call("Mirror.run_steps")
def _() -> Call:
    return Call(
        lambda **k: model().run_steps(**k),
        {
            "steps": 10,
            "inputs": {"cells.I": np.full((10, 1, 3), 20.0) * nA},
            "batch_size": 1,
            "state": model().initial_state(),
            "record": ["cells.v"],
            "report": None,
            "seed": 0,
        },
        {"record": LIST},
    )


@call("Mirror.forward")
def _() -> Call:
    return Call(
        lambda **k: model()(**k),
        {
            "inputs": {"cells.I": torch.full((10, 1, 3), 2e-8)},
            "state": model().initial_state(),
            "batch_first": False,
        },
        {"batch_first": "truth"},
    )


@call("Mirror.memory")
def _() -> Call:
    return Call(
        lambda **k: model().memory(**k),
        {
            "duration": 1 * ms,
            "batch_size": 1,
            "record": ["cells.v"],
            "inputs": {"cells.I": np.full((10, 1, 3), 20.0) * nA},
        },
        {"record": LIST},
    )


@call("Mirror.initial_state")
def _() -> Call:
    return Call(lambda **k: model().initial_state(**k), {"batch_size": 2})


@call("Mirror.steps")
def _() -> Call:
    return Call(lambda **k: model().steps(**k), {"duration": 1 * ms})


@call("Mirror.parameter")
def _() -> Call:
    return Call(lambda **k: model().parameter(**k), {"key": "cells.I"})


@call("Mirror.present")
def _() -> Call:
    return Call(lambda **k: model().present(**k), {"member": "cells.I"})


@call("Mirror.parameter_groups")
def _() -> Call:
    return Call(lambda **k: model().parameter_groups(**k), {"lr": 0.01})


@call("Mirror.unit")
def _() -> Call:
    return Call(lambda **k: model().unit(**k), {"key": "cells.I"})


@call("Mirror.write_back")
def _() -> Call:
    return Call(lambda **k: model().write_back(**k), {"network": network()}, {"network": "none"})


calls["Mirror.project_"] = lambda: Call(lambda: model().project_())
calls["Mirror.project_gradients_"] = lambda: Call(lambda: model().project_gradients_())


@call("weights")
def _() -> Call:
    return Call(mn.weights, {"model": model(), "key": "synapses.w"})


@call("set_weights")
def _() -> Call:
    return Call(
        mn.set_weights,
        {"model": model(), "key": "synapses.w", "value": np.ones((2, 3)) * mV},
        said={"key": "set_weights", "value": "matrix|value"},
    )


@call("save")
def _() -> Call:
    return Call(mn.save, {"model": model(), "path": path()}, {"path": "text"})


@call("load")
def _() -> Call:
    return Call(
        mn.load,
        {
            "path": mn.save(model(), path()),
            "network": network(),
            "device": "cpu",
            "namespace": {},
        },
        {"network": "none", "namespace": "names"},
    )


@call("to_nir")
def _() -> Call:
    source = SpikeGeneratorGroup(1, [0], [0.2] * ms)
    cells = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", name="lif")
    net = Network(source, cells)
    return Call(mn.to_nir, {"model": mn.mirror(net), "path": path()}, {"path": "text"})


@call("from_nir")
def _() -> Call:
    cells = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", name="lif2")
    graph = mn.to_nir(mn.mirror(Network(cells)))
    return Call(mn.from_nir, {"source": graph, "dt": 0.1 * ms}, said={"source": "from_nir"})


@call("register")
def _() -> Call:
    @check_units(x=1, result=1)
    def softplus(x: Any) -> Any:
        return np.log(1 + np.exp(x))

    return Call(
        mn.register,
        {"function": softplus, "torch_function": torch.nn.functional.softplus},
        {"torch_function": "class function"},
        {"function": "register"},
    )


@call("register an operation")
def _() -> Call:
    @network_operation
    def inhibit() -> None: ...

    return Call(
        lambda **k: mn.register(inhibit, **k),
        {"reads": ["exc.v"], "writes": ["exc.I"], "torch": lambda v: v},
        {"reads": "texts nothing", "writes": "texts nothing", "torch": "class function"},
    )


@call("Task")
def _() -> Call:
    return Call(
        lambda **k: mn.fit(model(), mn.Task(**k), steps=1, report=None),
        {
            "duration": 2 * ms,
            "loss": effort,
            "trial": lambda step: mn.Trial(),
            "record": ["cells.v"],
            "additive": False,
            "loss_per_window": None,
        },
        {
            "additive": "truth",
            "loss": "class",
            "trial": "class",
            "loss_per_window": "class function",
        },
    )


@call("Trial")
def _() -> Call:
    return Call(
        lambda **k: mn.fit(model(), task(trial=lambda step: mn.Trial(**k)), steps=1, report=None),
        {
            "inputs": {"cells.I": np.full((20, 1, 3), 20.0) * nA},
            "target": 1,
            "batch_size": 1,
            "state": model().initial_state(),
        },
        {"target": "*", "state": "function"},
    )


@call("fit")
def _() -> Call:
    return Call(
        mn.fit,
        {
            "model": model(),
            "task": task(),
            "rule": mn.BPTT(),
            "optimizer": lambda parameters: torch.optim.Adam(parameters, 1e-3),
            "steps": 1,
            "checkpoint": None,
            "every": 10,
            "clip": 1.0,
            "report": None,
            "seed": 0,
            "callback": lambda step, model, done: None,
            "schedule": lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer),
            "patience": 3,
            "min_delta": 0.0,
            "restore_best": False,
            "tensorboard": None,
        },
        {
            "checkpoint": "text",
            "optimizer": "class",
            "clip": "infinity",
            "callback": "class function nothing",
            "restore_best": "truth",
            "tensorboard": "text",
        },
    )


@call("check_gradient")
def _() -> Call:
    return Call(
        mn.check_gradient,
        {
            "model": model(),
            "loss": lambda recording: recording["cells.v"].square().sum(),
            "duration": 1 * ms,
            "parameters": ["cells.I"],
            "inputs": {},
            "record": ["cells.v"],
            "trials": 2,
            "step": 0.05,
            "blocks": 2,
            "seed": 0,
            "report": None,
        },
        {"loss": "class"},
    )


@call("fit_recording")
def _() -> Call:
    return Call(
        mn.fit_recording,
        {
            "model": recorded_cell(),
            "input": {"cell.I": np.full((50, 1), 20.0) * nA},
            "spikes": np.eye(50, 1, -20),
            "voltage": np.arange(50.0)[:, None] * mV,
            "nudge": 1 * ms,
            "window": 2.5 * ms,
            "warm_up": 1 * ms,
            "skip": 1 * ms,
            "escape": (1 * mV, 100 * Hz),
            "after_spike": 1 * ms,
            "weight": 1.0,
            "pull": 0.0,
            "restarts": 1,
            "starts": None,
            "spread": 0.3,
            "holdout": 0.0,
            "steps": 1,
            "optimizer": lambda parameters: torch.optim.Adam(parameters, 1e-3),
            "state": recorded_cell().initial_state(),
            "checkpoint": None,
            "report": None,
            "seed": 0,
        },
        {"nudge": "none", "voltage": "none", "checkpoint": "text", "optimizer": "class"},
    )


@cache
def recorded_cell() -> Any:
    cell = NeuronGroup(
        1, "dv/dt = (1e6*ohm*I - v)/(10*ms) : volt\nI : amp\nb : volt", name="cell",
        threshold="v > 10*mV + b", reset="v = 0*mV", method="euler",
    )  # fmt: skip
    return mn.mirror(Network(cell), train=["cell.b"], backend="eager", dtype=torch.float64)


@call("validate")
def _() -> Call:
    return Call(
        mn.validate,
        {
            "network": network(),
            "model": model(),
            "duration": 1 * ms,
            "seed": 0,
            "locked": True,
            "namespace": {},
        },
        {"locked": "truth", "namespace": "names"},
    )


def _build() -> Network:
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="euler", name="cells")
    return Network(cells)


@call("simulate")
def _() -> Call:
    return Call(
        mn.simulate,
        {
            "build": _build,
            "duration": 1 * ms,
            "backend": "runtime",
            "record": ["cells.v"],
            "spikes": [],
            "interval": 0.1 * ms,
            "directory": None,
            "seed": 0,
            "namespace": {},
            "report": None,
            "target": "numpy",
        },
        {"record": LIST, "spikes": LIST, "namespace": "names", "directory": "text"},
        said={"options": "target"},
    )


@call("genn_findings")
def _() -> Call:
    return Call(
        mn.genn_findings,
        {"network": _build(), "route": "genn", "namespace": {}},
        {"namespace": "names"},
    )


@cache
def leaky() -> Any:
    """A network whose membrane has no input of its own, and forgets."""
    source = SpikeGeneratorGroup(2, [0, 1], [0.2, 0.5] * ms, name="afferents")
    cells = NeuronGroup(
        3, "dv/dt = -v/(5*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV", method="exact",
        name="leaky",
    )  # fmt: skip
    synapses = Synapses(source, cells, "w : volt", on_pre="v_post += w", name="weights")
    synapses.connect()
    return mn.mirror(Network(source, cells, synapses), train=["weights.w"], backend="eager")


@call("init.fluctuation_driven")
def _() -> Call:
    return Call(
        mn.init.fluctuation_driven,
        {
            "model": leaky(),
            "rate": 10 * Hz,
            "weights": ["weights.w"],
            "xi": 1.0,
            "sigma_u": 1 * mV,
            "mu": 0 * mV,
            "alpha": 0.9,
            "observe": 50 * ms,
            "rescale": None,
            "seed": 0,
        },
        {},
    )


# ---- losses


def _loss(name: str, takes: Mapping[str, str] | None = None, **given: Any) -> None:
    made = getattr(losses, name)
    said = {
        "group": r"group|spikes\[|rate\(",
        "readout": "readout|cross_entropy",
        "variable": "variable|record",
    }
    calls[f"losses.{name}"] = lambda: Call(
        lambda **k: mn.fit(model(), mn.Task(2 * ms, made(**k)), steps=1, report=None),
        given,
        takes or {},
        said,
    )


_loss("at_least", group="cells", count=1, over="")
_loss("at_most", group="cells", count=1, over="")
_loss("cross_entropy", readout="cells.v", target=[1], scale=1 * mV)
_loss("first_spike", group="cells", target=1 * ms, scale=1 * ms, onset=0 * ms)
_loss("rate", {"per_neuron": "truth"}, group="cells", target=10 * Hz, per_neuron=False,
      scale=1 * Hz, window=(0 * ms, 1 * ms))  # fmt: skip
_loss("van_rossum", group="cells", target=np.zeros((20, 1, 3)), tau=1 * ms)
_loss("victor_purpura", group="cells", target=np.zeros((20, 1, 3)), cost=100 * Hz)
_loss("voltage", variable="cells.v", target=np.zeros((20, 1, 3)) * mV, scale=1 * mV,
      start=0 * ms)  # fmt: skip
calls["losses.Loss"] = lambda: Call(lambda: issubclass(losses.Loss, object))


# ---- results, which our own functions make


@call("Recording")
def _() -> Call:
    made = recording()
    return Call(mn.Recording, {name: getattr(made, name) for name in (
        "dt", "first", "steps", "spikes", "traces", "state", "units"
    )}, {"state": "names", "first": ""})  # fmt: skip


calls["Recording.as_leaves"] = lambda: Call(lambda: recording().as_leaves())


@call("Recording.trials")
def _() -> Call:
    return Call(lambda **k: recording().trials(**k), {"start": 0, "stop": 1})


@call("Recording.events")
def _() -> Call:
    return Call(lambda **k: recording().events(**k), {"name": "cells", "batch": 0})


@call("Recording.spike_monitor")
def _() -> Call:
    return Call(lambda **k: recording().spike_monitor(**k), {"name": "cells", "batch": 0})


@call("Recording.population_rate")
def _() -> Call:
    return Call(lambda **k: recording().population_rate(**k), {"name": "cells"})


@call("Recording.rates")
def _() -> Call:
    return Call(
        lambda groups: recording().rates(groups), {"groups": "cells"}, said={"groups": "spikes"}
    )


@call("Recording.spike_trains")
def _() -> Call:
    return Call(lambda **k: recording().spike_trains(**k), {"name": "cells", "batch": 0})


@call("Recording.to_neo")
def _() -> Call:
    return Call(lambda **k: recording().to_neo(**k), {"trials": [0]}, {"trials": LIST})


@call("Recording.to_nwb")
def _() -> Call:
    return Call(
        lambda **k: recording().to_nwb(**k),
        {
            "path": path(),
            "trial": 0,
            "description": "x",
            "start": datetime(2026, 1, 1, tzinfo=UTC),
        },
        {"path": "text", "description": "text"},
    )


@cache
def simulation() -> Any:
    return mn.simulate(_spiking, 2 * ms, record=["cells.v"], target="numpy", report=None)


def _spiking() -> Network:
    return Network(
        NeuronGroup(2, "dv/dt = 1/ms : 1", threshold="v>1", reset="v=0", method="euler",
                    name="cells")
    )  # fmt: skip


@call("Simulation")
def _() -> Call:
    made = simulation()
    return Call(
        mn.Simulation, dict(vars(made)), {"backend": "text", "versions": "names", "t": "rank"}
    )


@call("Simulation.spike_trains")
def _() -> Call:
    return Call(lambda **k: simulation().spike_trains(**k), {"name": "cells"})


@call("Simulation.population_rate")
def _() -> Call:
    return Call(lambda **k: simulation().population_rate(**k), {"name": "cells"})


calls["Simulation.rates"] = lambda: Call(lambda: simulation().rates())


@call("Simulation.save")
def _() -> Call:
    return Call(lambda **k: simulation().save(**k), {"path": path()}, {"path": "text"})


@call("Simulation.load")
def _() -> Call:
    return Call(mn.Simulation.load, {"path": simulation().save(path())})


@call("Weights")
def _() -> Call:
    made = mn.weights(model(), "synapses.w")
    return Call(
        mn.Weights, dict(vars(made)), {"key": "text", "i": "rank", "j": "rank", "value": "*"}
    )


@call("Weights.matrix")
def _() -> Call:
    return Call(
        lambda **k: mn.weights(model(), "synapses.w").matrix(**k),
        {"empty": 0.0},
        {"empty": "negative fraction nan infinity"},
    )


@call("Written")
def _() -> Call:
    return Call(
        mn.Written,
        {"keys": ["a"], "stale": {}, "rounded": {}},
        {"keys": "texts nothing names", "stale": "names", "rounded": "names"},
    )


@call("Fit")
def _() -> Call:
    return Call(
        mn.Fit,
        {
            "history": trained().history,
            "best": None,
            "skipped": [],
            "rolled_back": [],
            "failed": 0,
            "warnings": {},
            "stopped": "",
            "resumed": 0,
            "evaluations": 0,
        },
        {
            "skipped": LIST, "rolled_back": LIST, "warnings": "names", "stopped": "text",
            "best": "none",
        },
    )  # fmt: skip


@call("Fit.keep_best")
def _() -> Call:
    return Call(
        lambda **k: mn.Fit().keep_best(**k),
        {"step": 0, "loss": 1.0, "values": {}},
        {"loss": "negative fraction nan infinity"},
    )


calls["Fit.content"] = lambda: Call(lambda: mn.Fit().content())


@call("GradientCheck")
def _() -> Call:
    one = np.ones((1, 1))
    return Call(
        mn.GradientCheck,
        {
            "keys": ("a",), "truths": one, "gradients": one, "weights": (1,), "trials": 1,
            "steps": (0.1,), "loss": 1.0, "duration": 1.0,
        },
        {"loss": "negative fraction nan infinity"},
    )  # fmt: skip


@call("RecordingFit")
def _() -> Call:
    return Call(mn.RecordingFit, {"restarts": (), "model": recorded_cell()}, {"restarts": LIST})


@call("TrainingWarning")
def _() -> Call:
    return Call(lambda: mn.TrainingWarning("x"))


@call("init.Row")
def _() -> Call:
    from mirrorneuron.bridge.init.kernel import Kernel

    one = np.ones(1)
    return Call(
        mn.init.Row,
        {
            "key": "s.w", "unit": Dimensions(), "group": "g", "source": "s", "fan_in": one,
            "rate": 1.0, "kernel": Kernel(*(one for _ in Kernel.__annotations__)), "mean": one,
            "deviation": one, "exponential": False,
        },
        {
            "key": "text", "group": "text", "source": "text", "exponential": "truth",
            "fan_in": "rank", "mean": "rank", "deviation": "rank",
        },
    )  # fmt: skip


@call("init.FluctuationStart")
def _() -> Call:
    return Call(
        mn.init.FluctuationStart,
        {"rows": (), "rates": {"g": 1.0}, "left": {}},
        {"left": "names"},
    )


# ---- analysis


def _statistic(name: str, takes: Mapping[str, str] | None = None, **given: Any) -> None:
    calls[f"analysis.{name}"] = lambda: Call(getattr(analysis, name), given, takes or {})


_statistic("coincidences", EMPTY, a=A, b=B, precision=0.004)
_statistic(
    "coincidence_factor",
    {"data": LIST, "model": LIST},
    data=A,
    model=B,
    duration=1.0,
    precision=0.004,
)
_statistic("f1", {"reference": LIST, "other": LIST}, reference=A, other=B, precision=0.004)
_statistic(
    "first_divergence", {"reference": LIST, "other": LIST}, reference=A, other=B, precision=0.004
)
_statistic("smoothed_rate", {"times": LIST}, times=A, duration=1.0, width=0.025, dt=0.001)
_statistic("rate_correlation", EMPTY, a=A, b=B, duration=1.0, width=0.025, dt=0.001)
_statistic("van_rossum", EMPTY, a=A, b=B, tau=0.01)
_statistic("victor_purpura", EMPTY, a=A, b=B, cost=100.0)
_statistic("slope", currents=A, rates=np.array([1.0, 2.0, 3.0]))
_statistic("coupling_coefficient", before=A, during=A + 1, injected=0)
_wave = np.sin(2 * np.pi * 6 * np.arange(0, 4, 1e-3)[:, None] + np.zeros(2))
_statistic("oscillation", values=_wave, dt=1e-3, band=(2.0, 14.0))
_statistic("phase_coherence", values=_wave, dt=1e-3, band=(2.0, 14.0))
_statistic("statistic", {"unit": "text", "label": "text", "silent": "negative fraction nan "
           "infinity"}, unit="1", label="x", silent=0.0)  # fmt: skip
_statistic("Statistic", {"unit": "text", "label": "text", "function": "function class", "silent":
           "negative fraction nan infinity"}, function=lambda spikes, dt: spikes.mean(0),
           unit="1", label="x", silent=0.0)  # fmt: skip
_statistic("LockedStep", {"step": "none", "error": "nan infinity"}, error=0.0, step=1)
_statistic("Picture", {"caption": "text"}, path=Path("x.png"), caption="x")
_statistic("Table", {"caption": "text"}, caption="x", columns=("a",), rows=(("b",),))
_statistic("page", {"title": "text", "parts": "texts nothing"}, title="x", parts=["x"])


@call("analysis.write_page")
def _() -> Call:
    return Call(
        analysis.write_page,
        {"path": path(), "title": "x", "parts": ["x"]},
        {"path": "text", "title": "text", "parts": "texts nothing"},
    )


@call("analysis.correlation_matrix")
def _() -> Call:
    return Call(analysis.correlation_matrix, {"trains": trains(), "window": 0.005})


@call("analysis.mean_correlation")
def _() -> Call:
    return Call(analysis.mean_correlation, {"trains": trains(), "window": 0.005})


@call("analysis.power_spectrum")
def _() -> Call:
    return Call(analysis.power_spectrum, {"trains": trains(), "dt": 0.001, "resolution": 2.0})


@call("analysis.first_interval_rate")
def _() -> Call:
    return Call(analysis.first_interval_rate, {"trains": trains(), "start": 0.3, "stop": 0.8})


@call("analysis.population")
def _() -> Call:
    return Call(
        analysis.population,
        {"given": recording(), "group": "cells", "trial": 0},
        said={"given": "spikes|given"},
    )


@call("analysis.populations")
def _() -> Call:
    return Call(
        analysis.populations,
        {"given": recording(), "trial": 0},
        said={"given": "spikes|given"},
    )


@call("analysis.population_rate")
def _() -> Call:
    return Call(
        analysis.population_rate,
        {"given": recording(), "group": "cells", "dt": 0.001, "trial": 0},
        said={"given": "spikes|given"},
    )


@call("analysis.complexity")
def _() -> Call:
    given = {"model": model(), "recording": recording(), "value_bytes": 2}
    return Call(analysis.complexity, given)


@call("analysis.Complexity")
def _() -> Call:
    given = {"parameters": 3, "footprint": 12, "accumulates": {"s": 1.0}, "sparsity": {"s": 0.5}}
    return Call(analysis.Complexity, given)


@call("analysis.SpikeTrains")
def _() -> Call:
    return Call(analysis.SpikeTrains, {"trains": (A, B), "duration": 1.0}, {"trains": LIST})


@call("analysis.Oscillation")
def _() -> Call:
    return Call(
        analysis.Oscillation,
        {"frequency": A, "amplitude": A},
        {"frequency": LIST, "amplitude": LIST},
    )


@call("analysis.Spectrum")
def _() -> Call:
    return Call(
        analysis.Spectrum, {"frequency": A, "density": A}, {"frequency": LIST, "density": LIST}
    )


@call("analysis.Events")
def _() -> Call:
    return Call(analysis.Events, {"step": np.array([1, 2]), "index": np.array([0, 1])})


@call("analysis.Spikes")
def _() -> Call:
    events = analysis.Events(np.array([1, 2]), np.array([0, 1]))
    return Call(analysis.Spikes, {"n_neurons": 2, "reference": events, "mirror": events})


def _compared() -> dict[str, Any]:
    events = analysis.Events(np.array([1, 2]), np.array([0, 1]))
    return {
        "dt": 1e-4,
        "n_steps": 10,
        "dtype": "float64",
        "spikes": {"g": analysis.Spikes(2, events, events)},
        "locked": {"g.v": analysis.LockedStep(0.0, None)},
        "paths": {},
        "unanswered": {},
        "versions": {},
    }


@call("analysis.Comparison")
def _() -> Call:
    return Call(analysis.Comparison, _compared(), {"dtype": "text", "versions": "names"})


@call("analysis.judge")
def _() -> Call:
    return Call(
        analysis.judge,
        {"comparison": analysis.Comparison(**_compared()), "tolerance": 1e-12},
    )


@call("analysis.Validation")
def _() -> Call:
    made = analysis.judge(analysis.Comparison(**_compared()))
    parts = ("free_run", "paths", "locked", "statistics")
    return Call(analysis.Validation, dict(vars(made)), dict.fromkeys(parts, LIST))


# ---- data, arms


@call("data.randman")
def _() -> Call:
    return Call(
        mn.data.randman,
        {
            "classes": 2, "units": 3, "samples": 5, "steps": 10, "dimension": 1, "alpha": 1.0,
            "share": 0.5, "seed": 0,
        },
    )  # fmt: skip


@call("data.SpikeDataset")
def _() -> Call:
    return Call(
        mn.data.SpikeDataset,
        {"steps": np.zeros((2, 3), int), "labels": np.zeros(2, int), "length": 10},
    )


def _settings() -> dict[str, Any]:
    return {
        "plant": "elbow_pair", "task": "hold", "sense": ["angle"], "control_step": 10 * ms,
        "dt": 1 * ms, "duration": 100 * ms, "sensory_delay": 10 * ms, "motor_delay": 10 * ms,
        "sensory_noise": {"angle": 0.1}, "motor_noise": 0.1, "dtype": torch.float32,
        "device": "cpu",
    }  # fmt: skip


calls["ArmBatch"] = lambda: Call(mn.ArmBatch, _settings(), {})
calls["ArmEnv"] = lambda: Call(mn.ArmEnv, {**_settings(), "render_mode": None}, {})
calls["ArmVectorEnv"] = lambda: Call(mn.ArmVectorEnv, {**_settings(), "num_envs": 2}, {})


@cache
def arm() -> Any:
    made = mn.ArmBatch()
    made.reset(2, seed=0)
    return made


@cache
def environment() -> Any:
    made = mn.ArmEnv()
    made.reset(seed=0)
    return made


@cache
def environments() -> Any:
    made = mn.ArmVectorEnv(num_envs=2)
    made.reset(seed=0)
    return made


@call("ArmBatch.reset")
def _() -> Call:
    return Call(
        lambda **k: mn.ArmBatch().reset(**k),
        {"batch_size": 2, "seed": 0, "angle": [0.3], "goal": [0.2]},
        {"angle": "fraction", "goal": "fraction"},
    )


@call("ArmBatch.step")
def _() -> Call:
    return Call(lambda **k: arm().step(**k), {"action": torch.full((2, 2), 0.1)})


calls["ArmBatch.detach"] = lambda: Call(lambda: arm().detach())


@call("ArmEnv.reset")
def _() -> Call:
    return Call(lambda **k: mn.ArmEnv().reset(**k), {"seed": 0, "options": {"angle": [0.3]}})


@call("ArmEnv.step")
def _() -> Call:
    return Call(lambda **k: environment().step(**k), {"action": [0.1, 0.2]})


@call("ArmVectorEnv.reset")
def _() -> Call:
    return Call(
        lambda **k: mn.ArmVectorEnv(num_envs=2).reset(**k),
        {"seed": 0, "options": {"angle": [0.3]}},
    )


@call("ArmVectorEnv.step")
def _() -> Call:
    return Call(lambda **k: environments().step(**k), {"actions": np.full((2, 2), 0.1)},
                said={"actions": r"step\(action\)"})  # fmt: skip


@call("ArmTask")
def _() -> Call:
    given = {name: getattr(mn.ArmTask(), name) for name in mn.ArmTask.__dataclass_fields__}
    signed = dict.fromkeys(("torque", "curl"), "negative fraction")
    return Call(mn.ArmTask, given, {**signed, "at_hand": "truth"})


# ---- bio, muscle


@call("bio.cerebellum")
def _() -> Call:
    return Call(
        bio.cerebellum,
        {
            "scale": 0.02, "volume": None, "seed": 0, "condition": "awake", "dt": 0.1 * ms,
            "leak_sign": 1, "zones": 1,
        },
        {},
    )  # fmt: skip


def _model(name: str, made: Any) -> None:
    """A model of a registry, whose fields are text and mappings of text."""
    fields = {f: getattr(made, f) for f in made.__dataclass_fields__}
    hints = get_type_hints(type(made), include_extras=True)
    takes = {
        f: "text" if isinstance(v, str) else "names nothing" if isinstance(v, Mapping)
        else "texts nothing" if isinstance(v, tuple)
        else "function class" if callable(v) or (v is None and f == "neutral")
        else "text truth" if f == "genn" else "truth" if isinstance(v, bool)
        else "negative fraction" if hints[f] == Finite
        else "negative fraction nan infinity" if hints[f] is float  # `build` refuses all at once
        else ""
        for f, v in fields.items()
    }  # fmt: skip
    calls[name] = lambda: Call(type(made), fields, takes)


@call("bio.Trains")
def _() -> Call:
    return Call(
        bio.Trains, {"i": np.array([0, 2, 0]), "t": np.array([0.0, 1e-3, 2e-3])}, {"t": "numbers"}
    )


_model("bio.NeuronModel", bio.neurons["lif"])
_model("bio.SynapseModel", bio.synapses["exponential_current"])
_model("bio.JunctionModel", bio.junctions[next(iter(bio.junctions))])
_model("bio.PlasticityRule", bio.plasticity[next(iter(bio.plasticity))])
_model("bio.Family", bio.cells["geminiani"])
_model("bio.Cell", next(iter(bio.cells["geminiani"].cells.values())))
_model("bio.Teaching", next(r.teaching for r in bio.plasticity.values() if r.teaching))
_model("muscle.Activation", muscle.activations["degroote"])
_model("muscle.Curves", muscle.curves["degroote"])
_model("muscle.Receptor", muscle.receptors["spindle_ia"])
_model("muscle.Plant", muscle.plants["elbow_pair"])
_model("muscle.Muscle", next(iter(muscle.plants["elbow_pair"].muscles.values())))
_model("muscle.Joint", next(iter(muscle.plants["elbow_pair"].joints.values())))
_model("muscle.OneJoint", muscle.plants["elbow_pair"].skeleton)
_model("muscle.TwoJoints", muscle.plants["arm26_nijhof"].skeleton)


@call("bio.Circuit")
def _() -> Call:
    made = bio.cerebellum(0.02)
    return Call(
        bio.Circuit,
        {n: getattr(made, n) for n in made.__dataclass_fields__},
        {"condition": "text", "seed": "negative"},
    )


@call("muscle.Body")
def _() -> Call:
    made = muscle.plants["elbow_pair"].build()
    return Call(muscle.Body, {n: getattr(made, n) for n in made.__dataclass_fields__})


@call("muscle.energy")
def _() -> Call:
    return Call(
        muscle.energy,
        {
            "skeleton": muscle.plants["elbow_pair"].skeleton,
            "angle": [0.1],
            "velocity": [0.2],
            "gravity": True,
        },
        {"gravity": "truth"},
    )
