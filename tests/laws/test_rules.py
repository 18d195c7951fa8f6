"""Laws of learning rules: every rule that `mirrorneuron` exports."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms, mV
from torch import Tensor

import mirrorneuron as mn

RULES: dict[str, mn.Rule[Any]] = {
    "BPTT": mn.BPTT(),
    "BPTT, windows": mn.BPTT(window=20 * ms),
    "BPTT, an update a window": mn.BPTT(window=20 * ms, update="window"),
    "FPTT": mn.FPTT(20 * ms),
    "FPTT, printed": mn.FPTT(20 * ms, form="printed"),
    "FPTT, looking ahead": mn.FPTT(20 * ms, look_ahead=10 * ms, average=True),
    "FPTT-K": mn.FPTT_K(3, restart=True),
    "RTRL": mn.RTRL(),
    "RTRL, an update a window": mn.RTRL(window=20 * ms),
    "e-prop": mn.EProp(),
    "e-prop, an update a window": mn.EProp(window=20 * ms),
}
# The smallest cosine with full BPTT that a rule's gradient may have, before any update.
CLAIMS = dict.fromkeys(RULES, 0.85) | {"BPTT": 1.0}
DT = 0.5 * ms


def lif(reset: str = "v = 0*mV", more: str = "", current: str = "0*mV") -> NeuronGroup:
    return NeuronGroup(
        4,
        f"dv/dt = ({current} - v)/tau : volt\ntau : second (constant)\n{more}",
        threshold="v > 10*mV",
        reset=reset,
        method="exponential_euler" if more else "exact",
        dt=DT,
        name="cells",
    )


def joined(cells: NeuronGroup, recurrent: float, on_pre: str = "v_post += w") -> Network:
    """Poisson spikes drive the cells, which drive each other and a leaky readout."""
    cells.tau = 10 * ms
    stimulus = PoissonGroup(10, 200 * Hz, dt=DT, name="stimulus")
    readout = NeuronGroup(1, "dy/dt = -y/(20*ms) : 1", method="exact", dt=DT, name="readout")
    feed = Synapses(stimulus, cells, "w : volt", on_pre=on_pre, dt=DT, name="feed")
    feed.connect()
    feed.w = np.linspace(1, 4, 40) * mV
    loop = Synapses(cells, cells, "w : volt", on_pre="v_post += w", delay=1 * ms, dt=DT,
                    name="loop")  # fmt: skip
    loop.connect("i != j")
    loop.w = recurrent * mV
    out = Synapses(cells, readout, "w : 1", on_pre="y_post += w", dt=DT, name="out")
    out.connect()
    out.w = [0.3, 0.5, -0.4, 0.2]
    return Network(stimulus, cells, readout, feed, loop, out)


NETWORKS: dict[str, Callable[[], Network]] = {
    "layer": lambda: joined(lif(), 0.0),
    "recurrent": lambda: joined(lif(), 1.0),
    "subtractive reset": lambda: joined(lif("v -= 10*mV"), -1.0),
    "adaptive": lambda: joined(
        lif("v = 0*mV; a += 1*mV", "da/dt = -a/(50*ms) : volt", current="-a"), 0.5
    ),
    "current": lambda: joined(
        lif("v = 0*mV", "dg/dt = -g/(5*ms) : volt", current="2*g"), 0.5, "g_post += w"
    ),
}


@cache
def read(name: str) -> mn.Mirror:
    keys = ["feed.w", "loop.w", "out.w", "cells.tau"]
    made = mn.mirror(NETWORKS[name](), train=keys, dtype=torch.float64)
    made.network = None
    return made


def model(name: str) -> mn.Mirror:
    return deepcopy(read(name))


def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
    """Squared distance of the readout from a slow wave; a sum over windows."""
    wave = torch.from_numpy(np.sin(2 * np.pi * recording.t / 0.04))[:, None, None]
    return (recording["readout.y"] - wave).square().sum() / 120


TASK = mn.Task(60 * ms, loss, record=["readout.y"], additive=True)


def gradients(rule: mn.Rule[Any], name: str) -> dict[str, Tensor]:
    """What a rule leaves in the parameters when no update is made."""
    trained = model(name)
    outcome, _ = rule.step(rule.init(trained), trained, TASK, mn.Trial(), 1, lambda: False)
    assert outcome.rates["cells"] > 5, "a silent network would prove nothing"
    return {
        key: torch.zeros(0) if p.grad is None else p.grad for key, p in trained.named_parameters()
    }


def cosine(x: dict[str, Tensor], y: dict[str, Tensor]) -> float:
    """Of the gradients by parameters of size one."""
    a, b = (torch.cat([g[k].flatten() for k in x]) for g in (x, y))
    return float(a @ b / (a.norm() * b.norm()))


OTHERS = {
    mn.EventProp,  # refuses random spikes, and runs between steps: see test_eventprop
    mn.OTTT, mn.DECOLLE,  # refuse neurons that are no filters: see test_sender_rules
}  # fmt: skip


def test_every_rule_is_here():
    exported = [getattr(mn, name) for name in mn.__all__]
    rules = {x for x in exported if isinstance(x, type) and issubclass(x, mn.Rule)} - {mn.Rule}
    assert rules == {type(rule) for rule in RULES.values()} | OTHERS
    assert set(RULES) == set(CLAIMS)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rule", RULES)
def test_the_gradient_points_where_the_rule_claims(rule: str, network: str):
    found, full = gradients(RULES[rule], network), gradients(mn.BPTT(), network)
    assert all(g.numel() and torch.isfinite(g).all() for g in found.values())
    assert cosine(found, full) >= CLAIMS[rule] - 1e-12


@pytest.mark.parametrize("network", ["recurrent", "adaptive"])
def test_a_longer_window_keeps_more_of_the_gradient(network: str):
    full = gradients(mn.BPTT(), network)
    found = [cosine(gradients(mn.FPTT(w * ms), network), full) for w in (2, 10, 30, 60)]
    assert found[0] < found[1] < found[2] < found[3] == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("network", ["recurrent", "subtractive reset"])
def test_looking_ahead_keeps_more_of_the_gradient(network: str):
    full = gradients(mn.BPTT(), network)
    rules = [mn.FPTT(5 * ms, look_ahead=x) for x in (None, 5 * ms, 10 * ms)]
    found = [cosine(gradients(rule, network), full) for rule in rules]
    assert found[0] < found[1] < found[2]


def leaves(state: Any) -> list[Any]:
    """The shape of a state: types, keys, sizes."""
    if isinstance(state, Tensor):
        return [state.shape, state.dtype]
    if isinstance(state, dict):
        return [list(state), *(leaves(x) for x in state.values())]
    if isinstance(state, tuple):
        return [type(state), *(leaves(x) for x in state)]
    return [type(state)]


@pytest.mark.parametrize("rule", RULES)
def test_a_step_is_pure_and_keeps_the_structure_of_its_state(rule: str):
    made = RULES[rule]
    seen: list[list[Tensor]] = []
    trained = model("recurrent")
    first = made.init(trained)
    assert isinstance(first, tuple) and hasattr(type(first), "_fields")
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)

    def update() -> bool:
        optimizer.step()
        optimizer.zero_grad()
        return True

    _, state = made.step(first, trained, TASK, mn.Trial(), 1, update)
    values = trained.state_dict()
    kept = deepcopy(state)
    for _ in range(2):
        trained.load_state_dict(values)
        optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
        _, after = made.step(state, trained, TASK, mn.Trial(), 2, update)
        assert leaves(first) == leaves(state) == leaves(after)
        assert str(kept) == str(state)
        seen.append([p.detach().clone() for p in trained.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_training_is_that_without_interruption(rule: str, tmp_path: Path):
    straight, resumed = model("recurrent"), model("recurrent")
    expected = mn.fit(straight, TASK, RULES[rule], steps=3, report=None)
    mn.fit(model("recurrent"), TASK, RULES[rule], steps=2, checkpoint=tmp_path, report=None)
    found = mn.fit(resumed, TASK, RULES[rule], steps=3, checkpoint=tmp_path, report=None)
    assert found.losses == expected.losses and found.resumed == 2
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
