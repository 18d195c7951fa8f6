"""Laws of rules with one trace for each neuron that sends: OTTT and DECOLLE.

The oracles are the traces of each synapse, where the neurons that receive are filters and nothing
lies between them and the loss, and the formula of OTTT written out by hand for two layers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, defaultclock, ms, start_scope

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, GradientError

TOLERANCE = 1e-10
LEAK, DT = 10.0, 0.5
PLAIN = "dv/dt = -v/(10*ms) : 1"
SYNAPTIC = "dv/dt = (g - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1"
ADAPTIVE = SYNAPTIC + "\nda/dt = -a/(50*ms) : 1"
CELLS: dict[str, tuple[str, str, str, str]] = {
    "a leak": (PLAIN, "v > 1", "v -= 1", "v"),
    "a synaptic current": (SYNAPTIC, "v > 1", "v -= 1", "g"),
    "two filters in a row": (
        "dv/dt = (p - v)/(10*ms) : 1\ndp/dt = (q - p)/(8*ms) : 1\ndq/dt = -q/(5*ms) : 1",
        "v > 0.4", "v -= 0.4", "q",
    ),
    "a threshold that adapts": (ADAPTIVE, "v > 1 + a", "v -= 1; a += 0.1", "g"),
    "an escape rate": (SYNAPTIC, "rand() < 0.2*clip(v, 0, 1)**2", "v -= 1", "g"),
}  # fmt: skip
BY_ONE = {"v": 0.6, "g": 1.0, "q": 2.0}


def network(kind: str = "a synaptic current", loop: bool = True, **options: Any) -> dict[str, Any]:
    """Poisson spikes drive cells, which drive each other and a readout."""
    start_scope()
    defaultclock.dt = DT * ms
    equations, threshold, reset, entry = CELLS[kind]
    source = PoissonGroup(8, 60 * Hz, name="inp")
    linear = "*(3" not in equations
    method = "exact" if linear else "euler"
    cells = NeuronGroup(
        5, equations, threshold=threshold, reset=reset, method=method, name="E", **options
    )
    readout = NeuronGroup(2, "dy/dt = -y/(20*ms) : 1", method="exact", name="R")
    found = {"inp": source, "E": cells, "R": readout}
    found["s"] = way("s", source, cells, entry, np.linspace(0.2, 1, 40) * BY_ONE[entry])
    if loop:
        found["ee"] = way("ee", cells, cells, entry, np.linspace(-0.2, 0.3, 20) * BY_ONE[entry])
    found["out"] = way("out", cells, readout, "y", np.linspace(-0.5, 1, 10))
    return found


def way(name: str, pre: Any, post: Any, entry: str, weights: Any, delay: float | None = 1.0) -> Any:
    given: Any = {} if delay is None else {"delay": delay * ms}
    made: Any = Synapses(pre, post, "w : 1", on_pre=f"{entry}_post += w", name=name, **given)
    made.connect("i != j" if pre is post else True)
    made.w = weights
    return made


def mirrored(of: dict[str, Any], train: list[str], **options: Any) -> mn.Mirror:
    options = {"dtype": torch.float64, "reset_gradient": "detach"} | options
    return mn.mirror(Network(*of.values()), train=train, **options)


def task(read: str = "E", record: tuple[str, ...] = ()) -> mn.Task:
    """A loss of spikes, or of what is recorded, with another derivative at each step."""

    def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        t = torch.arange(recording.first, recording.first + recording.steps)[:, None, None]
        each = [(recording[key] * torch.sin(0.3 * t)).square().sum() for key in record]
        total = torch.stack([torch.zeros(()), *each]).sum()
        return total + (recording.spikes[read] * torch.cos(0.1 * t)).sum() if read else total

    return mn.Task(100 * ms, loss, record=record, additive=True)


def gradients(model: mn.Mirror, rule: mn.Rule[Any], what: mn.Task, least: float = 3.0) -> Any:
    for p in model.parameters():
        p.grad = None
    outcome, _ = rule.step(rule.init(model), model, what, mn.Trial(batch_size=3), 3, lambda: True)
    assert outcome.rates["E"] > least, "a silent network tells nothing"
    return {key: model.parameter(key).grad.clone() for key in model.limits}  # type: ignore[union-attr]


def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert all(float(x.abs().max()) > 0 for x in a.values()), "a gradient of zero tells nothing"
    return max(float((a[k] - b[k]).abs().max() / a[k].abs().max()) for k in a)


def decolle(outputs: int = 2, seed: int = 0, window: Any = None) -> mn.DECOLLE:
    def local(y: torch.Tensor, recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        return torch.nn.functional.smooth_l1_loss(y, torch.full_like(y, 0.2), reduction="sum")

    return mn.DECOLLE(window, "trial", local_loss=local, outputs=outputs, seed=seed)


@pytest.mark.parametrize("kind", CELLS)
def test_one_trace_a_sender_is_one_a_synapse_where_spikes_are_read(kind: str) -> None:
    model = mirrored(network(kind), ["s.w", "ee.w"])
    expected = gradients(model, mn.RTRL(), task())
    assert apart(expected, gradients(model, mn.OTTT(), task())) < TOLERANCE


def test_potentials_that_are_read_count_too() -> None:
    model = mirrored(network(), ["s.w", "ee.w"])
    what = task(record=("E.v", "E.g"))
    expected = gradients(model, mn.RTRL(), what)
    assert apart(expected, gradients(model, mn.OTTT(), what)) < TOLERANCE


def test_a_readout_learns_from_the_filtered_spikes_of_the_layer_before() -> None:
    model = mirrored(network(), ["out.w"])
    what = task("", ("R.y",))
    expected = gradients(model, mn.RTRL(), what)
    for rule in (mn.OTTT(), decolle()):
        assert apart(expected, gradients(model, rule, what)) < TOLERANCE


def by_hand(model: mn.Mirror, what: mn.Task) -> dict[str, torch.Tensor]:
    """The formula of the paper for two layers of leaky neurons and a readout, step by step."""
    with torch.no_grad():
        run = model.run(100 * ms, batch_size=3, seed=3, record=["E.v", "F.v", "R.y"])
    leaves = run.as_leaves()
    what.loss(leaves, mn.Trial()).backward()
    read: Any = {"F": leaves.spikes["F"].grad, "y": leaves["R.y"].grad}
    leak, readout_leak = np.exp(-DT / LEAK), np.exp(-DT / 20)
    psi = {n: model.gradients[f"{n}.spike"].slope(leak * run[f"{n}.v"] - 1) for n in ("E", "F")}
    w = {n: model.parameter(f"{n}.w").detach() for n in ("s", "up", "out")}
    up, out = w["up"].view(5, 4), w["out"].view(4, 2)
    spikes = {n: run.spikes[n].detach() for n in ("inp", "E", "F")}
    a = {"s": torch.zeros(3, 8), "up": torch.zeros(3, 5), "out": torch.zeros(3, 4)}
    kept: list[dict[str, torch.Tensor]] = []
    steps = len(run.t)
    for t in range(steps):  # traces as they are when thresholds are tested, and when y is recorded
        start = a["out"].clone()
        a = {n: x * (readout_leak if n == "out" else leak) for n, x in a.items()}
        kept.append({"s": a["s"], "up": a["up"], "out": start})
        a = {n: x.clone() for n, x in a.items()}
        for name, sender in (("s", "inp"), ("up", "E"), ("out", "F")):
            if t >= 2:  # a delay of 1 ms
                a[name] += spikes[sender][t - 2]
    found = {n: torch.zeros_like(x) for n, x in w.items()}
    for t in range(steps):
        signal = read["F"][t].clone()
        if (
            t + 3 < steps
        ):  # the spike arrives after 2 steps, and is recorded at the start of the next
            signal += read["y"][t + 3] @ out.T
        at_f = signal * psi["F"][t]
        found["up"] += torch.einsum("bi,bj->ij", kept[t]["up"], at_f).ravel()
        found["out"] += torch.einsum("bi,bj->ij", kept[t]["out"], read["y"][t]).ravel()
        if t >= 3:  # the spikes of the first layer that F feels for the first time now
            at_e = (at_f @ up.T) * leak * psi["E"][t - 3]
            found["s"] += torch.einsum("bi,bj->ij", kept[t - 3]["s"], at_e).ravel()
    return {f"{n}.w": x for n, x in found.items()}


def layered(train: Sequence[str] = ("s.w", "up.w", "out.w"), **options: Any) -> mn.Mirror:
    of = network("a leak", loop=False)
    of.pop("out")
    of["F"] = NeuronGroup(4, PLAIN, threshold="v > 1", reset="v -= 1", method="exact", name="F")
    of["up"] = way("up", of["E"], of["F"], "v", np.linspace(0.1, 0.9, 20))
    of["out"] = way("out", of["F"], of["R"], "y", np.linspace(-0.5, 1, 8))
    return mirrored(of, list(train), **options)


def test_signals_go_back_through_layers_as_in_the_paper() -> None:
    model, what = layered(), task("F", ("R.y",))
    assert apart(by_hand(model, what), gradients(model, mn.OTTT(), what)) < TOLERANCE


def test_each_layer_learns_by_its_own_readout_alone() -> None:
    model, what, rule = layered(), task("F", ("R.y",)), decolle()
    found = gradients(model, rule, what)

    def of_layer(name: str, extra: Any) -> mn.Task:
        def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
            y = recording.spikes[name] @ rule.readout(name, recording.spikes[name])
            return rule.local_loss(y, recording, trial) + extra(recording, trial)

        return mn.Task(100 * ms, loss)

    nothing: Any = lambda recording, trial: 0.0  # noqa: E731
    alone = {
        "s.w": of_layer("E", nothing),
        "up.w": of_layer("F", task("F").loss),
        "out.w": task("", ("R.y",)),
    }
    for key, of_one in alone.items():
        one = layered(train=[key])
        expected = gradients(one, mn.RTRL(), of_one)
        assert apart(expected, {key: found[key]}) < TOLERANCE


def test_readouts_are_drawn_from_a_seed() -> None:
    model, what = layered(), task("F", ("R.y",))
    a, b, c = (gradients(model, decolle(seed=k), what) for k in (0, 0, 1))
    assert torch.equal(a["s.w"], b["s.w"]) and not torch.equal(a["s.w"], c["s.w"])


@pytest.mark.parametrize("rule", [mn.OTTT(0.5 * ms, "trial"), mn.OTTT(7 * ms, "trial")])
def test_a_window_changes_nothing(rule: mn.OTTT) -> None:
    model, what = layered(), task("F", ("R.y",))
    whole, cut = gradients(model, mn.OTTT(), what), gradients(model, rule, what)
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


@pytest.mark.parametrize("rule", [mn.OTTT(20 * ms), decolle()])
def test_a_resumed_training_is_that_of_an_uninterrupted_one(rule: mn.OTTT, tmp_path: Path) -> None:
    def fitted(steps: int, folder: Path, model: mn.Mirror) -> dict[str, torch.Tensor]:
        given = mn.Task(40 * ms, task("F").loss, lambda k: mn.Trial(batch_size=2), additive=True)
        mn.fit(model, given, rule, steps=steps, checkpoint=folder, report=None)
        return {key: model.parameter(key).detach().clone() for key in model.limits}

    whole = fitted(4, tmp_path / "whole", layered(train=["s.w", "up.w"]))
    fitted(2, tmp_path / "parts", layered(train=["s.w", "up.w"]))
    parts = fitted(4, tmp_path / "parts", layered(train=["s.w", "up.w"]))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize("rule", [mn.OTTT(), decolle()])
def test_the_compiled_engine_carries_the_same_traces(rule: mn.OTTT) -> None:
    what = task("F", ("R.y",))
    model = layered(backend="native")
    found = rule.traced(model, ["E.spike", "F.spike", "R.y"])
    assert type(found.engine(model)).__module__.split(".")[-2] == "native"
    assert apart(gradients(layered(), rule, what), gradients(model, rule, what)) < 1e-9


def test_there_is_one_trace_a_sender() -> None:
    program = mn.OTTT().program(layered(), ["F.spike", "R.y"])
    assert program.variables["s_w_senders.v"].value.shape == (8,)
    assert "Traces 'up_w_senders'" in str(program)
    kept = {k: v.value.size for k, v in program.variables.items() if "_senders." in k}
    assert max(kept.values()) <= 8


def test_what_is_left_out_is_said() -> None:
    of = network("a leak")
    found = mn.OTTT().traced(mirrored(of, ["s.w"]), ["E.spike", "R.y"]).found
    assert any("ee_pre" in cut and "E" in cut for cut in found.cuts)
    assert any("out_pre" in cut and "later than" in cut for cut in found.cuts)
    local = decolle().traced(mirrored(of, ["s.w"]), ["E.spike"]).found
    assert any("out_pre" in cut for cut in local.cuts)


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "reset such as 'v -= 1'": (PLAIN, "v > 1", "v = 0", "v"),
    "same for all neurons at all times": (
        "dv/dt = (g*(3 - v) - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1", "v > 1", "v -= 1", "g",
    ),
    "'E.v' is none": (
        "dv/dt = (g - v)/(10*ms) : 1 (unless refractory)\ndg/dt = -g/(5*ms) : 1", "v > 1",
        "v -= 1", "g",
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("rule", [mn.OTTT(), decolle()])
def test_neurons_that_are_no_filters_are_refused_by_name(message: str, rule: mn.OTTT) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CELLS, "refused", REFUSED[message])
        of = network("refused", loop=False, **({"refractory": 2 * ms} if "none" in message else {}))
    with pytest.raises(GradientError, match=rf"{type(rule).__name__}\(...\).*{message}.*mn.RTRL"):
        rule.program(mirrored(of, ["s.w"]), ["E.spike"])


def test_neurons_that_differ_are_refused() -> None:
    of = network(loop=False)
    of["E"] = NeuronGroup(
        5, "dv/dt = -v/tau : 1\ntau : second (constant)", threshold="v > 1", reset="v -= 1",
        method="exact", name="E",
    )  # fmt: skip
    of["E"].tau = np.linspace(5, 20, 5) * ms
    of["s"], of["out"] = (
        way("s", of["inp"], of["E"], "v", 0.6),
        way("out", of["E"], of["R"], "y", 1),
    )
    with pytest.raises(GradientError, match=r"'E\.v' is none: .* not the same for all neurons"):
        mn.OTTT().program(mirrored(of, ["s.w"]), ["E.spike"])
    of["E"].tau = 10 * ms
    assert mn.OTTT().program(mirrored(of, ["s.w"]), ["E.spike"])
    with pytest.raises(GradientError, match=r"'E\.tau' is no weight that spikes add to neurons"):
        mn.OTTT().program(mirrored(of, ["E.tau"]), ["E.spike"])


def test_a_reset_that_is_followed_is_refused() -> None:
    model = mirrored(network(), ["s.w"], reset_gradient="auto")
    with pytest.raises(GradientError, match=r"passes through the reset.*reset_gradient='detach'"):
        mn.OTTT().program(model, ["E.spike"])


def test_synapses_that_are_no_plain_weights_are_refused() -> None:
    of = network(loop=False)
    of["s"] = way("s", of["inp"], of["E"], "g", 0.6, delay=None)
    of["s"].delay = np.arange(40) % 3 * DT * ms
    with pytest.raises(GradientError, match="delays that differ for one sender"):
        mn.OTTT().program(mirrored(of, ["s.w"]), ["E.spike"])
    plastic: Any = Synapses(of["inp"], of["E"], "w : 1\nu : 1",
                            on_pre="g_post += w*u; u *= 0.9", name="s")  # fmt: skip
    plastic.connect()
    of["s"] = plastic
    with pytest.raises(GradientError, match="s_pre adds it times what differs or changes"):
        mn.OTTT().program(mirrored(of, ["s.w"]), ["E.spike"])


def test_delays_of_several_lengths_between_layers_are_refused() -> None:
    of = network(loop=False)
    of["out"] = way("out", of["E"], of["R"], "y", 1, delay=None)
    of["out"].delay = np.arange(10) // 5 * ms
    with pytest.raises(GradientError, match="'out' lie between layers and have delays"):
        mn.OTTT().program(mirrored(of, ["s.w"]), ["R.y"])
    assert decolle().program(mirrored(of, ["s.w"]), ["E.spike", "R.y"])


def test_a_weight_of_which_no_signal_comes_is_refused() -> None:
    model = mirrored(network(loop=False), ["s.w"])
    with pytest.raises(GradientError, match=r"nothing that the loss reads \(R\.y\) depends on"):
        decolle().program(model, ["R.y"])
    with pytest.raises(GradientError, match=r"signals go back to the layers before"):
        mn.OTTT().program(mirrored(network(loop=False), ["s.w", "out.w"]), ["E.spike"])


def test_options_are_checked() -> None:
    with pytest.raises(DomainError, match="nothing says what the readout of a layer"):
        mn.DECOLLE()
    with pytest.raises(DomainError, match=r"DECOLLE\(outputs=0\): that is a whole number from 1"):
        decolle(outputs=0)
    with pytest.raises(DomainError, match=r"DECOLLE\(seed=-1\)"):
        decolle(seed=-1)
    no_number = mn.DECOLLE(local_loss=lambda y, recording, trial: y)
    with pytest.raises(GradientError, match="a gradient is that of one number"):
        gradients(layered(), no_number, task("F", ("R.y",)))
