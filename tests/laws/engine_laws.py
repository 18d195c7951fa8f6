"""What the laws of engines compare: the eager engine with another one, on the same network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, ms
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.draws import Draws
from mirrorneuron.bridge.recording import Recording
from mirrorneuron.bridge.spikes import Events
from mirrorneuron.errors import MirrorNeuronError

ENGINES = ("native", "sequence")
GRADIENT_STEPS = 100
TRANSCENDENTAL = 1e-12  # of the largest value: C and numpy have functions of their own
GRADIENT = 1e-9
LEFT_TO_EAGER = {
    "compound_threshold", "conditional_reset", "divisive_synapses", "noisy", "quantal_release",
    "refractory_forms", "shared_parameters", "stochastic_release",
}  # fmt: skip
LEFT_TO_NATIVE = {
    "half_step", "homeostasis", "regular_code", "slow_sources", "slow_synapses",
    "time_of_the_group", "two_clocks", "towards_reversal",
}  # fmt: skip
COVERED = sorted(
    (name for name in networks if name not in LEFT_TO_EAGER),
    key=lambda name: (name.startswith("cerebellum"), name in LEFT_TO_NATIVE),
)  # the large ones last, where they are slow tests


def able(name: str) -> tuple[str, ...]:
    """Engines that run a network."""
    return ENGINES[:1] if name in LEFT_TO_NATIVE else ENGINES


def mirrors(network: Network, *backends: str, **options: Any) -> list[mn.Mirror]:
    """A network on the eager engine and on others, in double precision."""
    return [
        mn.mirror(network, dtype=torch.float64, backend=name, **options)
        for name in ("eager", *backends)
    ]


def some(names: list[str], each: int) -> list[Any]:
    """All names; those that are not the first of `each` are slow."""
    slow = pytest.mark.slow
    return [n if k % each == 0 else pytest.param(n, marks=slow) for k, n in enumerate(names)]


def require_same(one: Recording, two: Recording, spikes: bool = True) -> None:
    """Equal spikes, states and random numbers."""
    if spikes:
        for group in one.spikes:
            assert torch.equal(one.spikes[group], two.spikes[group]), group
    assert one.state.keys() == two.state.keys()
    for key in one.state:
        require_close(key, one.state[key], two.state[key])


def require_close(key: str, one: Any, two: Any) -> None:
    match one:
        case Events():
            assert torch.equal(one.spikes, two.spikes), key
            assert np.array_equal(one.index, two.index), key
        case torch.Tensor() if one.dtype == torch.bool:
            assert torch.equal(one, two), key
        case torch.Tensor():
            scale = float(one.double().abs().max()) if one.numel() else 0.0
            np.testing.assert_allclose(one, two, rtol=0, atol=TRANSCENDENTAL * scale, err_msg=key)
        case tuple():
            for a, b in zip(one, two, strict=True):
                require_close(key, a, b)
        case Draws():
            for a, b in zip(one.streams, two.streams, strict=True):
                assert all(
                    np.array_equal(x, y) for x, y in zip(a.get_state(), b.get_state(), strict=True)
                )
        case _:
            assert one == two, key


def trainable(network: Network) -> list[str]:
    """Some variables and constants of every kind that a gradient reaches."""
    program = mn.mirror(network, dtype=torch.float64).program
    variables = [
        key for key, v in program.variables.items()
        if v.kind == "float" and not v.read_only and v.value.size and key in program.used()
        and not v.name.startswith("_") and v.name not in ("lastspike", "lastupdate", "delay")
    ]  # fmt: skip
    constants = [
        key for key, c in program.constants().items()
        if isinstance(c.value, float) and np.isfinite(c.value) and not key.startswith("_")
        and key.rpartition(".")[2] not in ("volt", "second", "ms", "mV", "Hz", "amp")
    ]  # fmt: skip
    wanted = variables[:8] + constants[:6]
    return wanted if _can_train(network, wanted) else [
        key for key in wanted if _can_train(network, [key])
    ]  # fmt: skip


def _can_train(network: Network, keys: list[str]) -> bool:
    try:
        mn.mirror(network, train=dict.fromkeys(keys, mn.Free()), backend="eager")
    except MirrorNeuronError:
        return False
    return True


def loss(recording: Recording) -> torch.Tensor | None:
    """Something that depends on every spike and every value, each at its size."""
    stream = torch.Generator().manual_seed(1)
    total = None
    values = {**recording.spikes, **recording.traces}
    for x in values.values():
        noise = torch.randn(x.shape, generator=stream, dtype=torch.float64)
        if x.requires_grad:
            term = (x * noise).sum() / (float(x.detach().std(correction=0)) + 1e-6)
            total = term if total is None else total + term
    return total


def gradients(model: mn.Mirror, record: list[str]) -> Mapping[str, torch.Tensor] | str:
    try:
        made = loss(model.run_steps(GRADIENT_STEPS, batch_size=2, seed=3, record=record))
        if made is None:
            return {}
        made.backward()
    except MirrorNeuronError as error:
        return type(error).__name__
    found = {key: model.parameter(key).grad for key in model.limits}
    return {key: torch.zeros(()) if x is None else x for key, x in found.items()}


def require_gradients(network: Network, mode: str, engines: tuple[str, ...] = ENGINES) -> None:
    """Equal gradients on all engines, or the same error."""
    train = dict.fromkeys(trainable(network), mn.Free())
    eager, *others = mirrors(network, *engines, train=train, reset_gradient=mode)
    written = eager.program.written()
    record = [k for k in sorted(written) if eager.program.variables[k].kind == "float"]
    record = [k for k in record if not k.endswith(("lastspike", "lastupdate"))][:6]
    one = gradients(eager, record)
    for other in others:
        _require_equal(eager, one, gradients(other, record))


def _require_equal(
    eager: mn.Mirror,
    one: Mapping[str, torch.Tensor] | str,
    two: Mapping[str, torch.Tensor] | str,
) -> None:
    if isinstance(one, str) or isinstance(two, str):
        assert one == two
        return
    assert one.keys() == two.keys()
    largest = max((float((x * eager.parameter(k).detach()).abs().max()) for k, x in one.items()
                   if torch.isfinite(x).all()), default=0.0)  # fmt: skip
    for key, x in one.items():
        if not bool(torch.isfinite(x).all()):
            continue
        size = float(x.abs().max())
        weight = float(eager.parameter(key).detach().abs().max())
        noise = 1e-12 * largest / weight if weight else 0.0  # sums that cancel
        a, b = torch.broadcast_tensors(x, two[key])
        np.testing.assert_allclose(b, a, rtol=0, atol=GRADIENT * size + noise, err_msg=key)


def loop() -> Network:
    """Recurrent cells with plastic, delayed, dense and sparse synapses."""
    from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses

    rng = np.random.default_rng(4)
    stimulus = SpikeGeneratorGroup(
        8, rng.integers(0, 8, 60), np.sort(rng.permutation(200)[:60]) * 0.1 * ms, name="stimulus"
    )
    cells = NeuronGroup(
        12, "dv/dt = (g - v)/(5*ms) : 1\ndg/dt = -g/(2*ms) : 1", threshold="v > 1",
        reset="v -= 1", refractory=0.3 * ms, method="exact", name="cells",
    )  # fmt: skip
    feed = Synapses(stimulus, cells, "w : 1", on_pre="g_post += w", name="feed")
    feed.connect()
    feed.w = rng.normal(1.2, 0.5, 96)
    back = Synapses(
        cells, cells, "w : 1\nx : 1", on_pre="x += 0.1*(1 - x); g_post += w*x",
        on_post="w += 0.01", name="back",
    )  # fmt: skip
    i, j = np.nonzero(rng.random((12, 12)) < 0.15)
    back.connect(i=i, j=j)
    back.w = rng.normal(0, 1, len(i))
    back.delay = rng.integers(0, 9, len(i)) * 0.1 * ms
    return Network(stimulus, cells, feed, back)


def in_turn() -> Network:
    """Synapses that add to, set and scale what they read, one after the other, with delays."""
    from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses

    rng = np.random.default_rng(6)
    stimulus = SpikeGeneratorGroup(
        8, rng.integers(0, 8, 60), np.sort(rng.permutation(100)[:60]) * 0.1 * ms, name="stimulus"
    )
    cells = NeuronGroup(
        6, "dv/dt = (0.6 + g - v)/(5*ms) : 1 (unless refractory)\ndg/dt = -g/(2*ms) : 1",
        threshold="v > 1", reset="v = 0.1", refractory=0.4 * ms, method="exact", name="cells",
    )  # fmt: skip
    pull = Synapses(
        stimulus, cells, "w : 1\nE : 1\nx : 1", name="pull",
        on_pre="x += 0.2*(1 - x); v_post += w*x*(E - v_post); g_post += 0.1*v_post",
    )  # fmt: skip
    pull.connect()
    scale = Synapses(cells, cells, "w : 1", on_pre="g_post /= 1 + w*g_post", name="scale")
    scale.connect(i=[0, 1, 2, 3, 4, 5, 0, 2], j=[1, 1, 1, 4, 4, 0, 4, 0])
    fix = Synapses(cells, cells, "w : 1", on_pre="g_post = w*g_post + 0.1", name="fix")
    fix.connect(i=[5, 4, 3, 2, 1], j=[2, 2, 2, 3, 3])
    for synapses in (pull, scale, fix):
        synapses.w = rng.uniform(0.2, 0.5, len(synapses))
        synapses.delay = rng.integers(0, 6, len(synapses)) * 0.1 * ms
    pull.E = rng.uniform(0.5, 2, 48)
    return Network(stimulus, cells, pull, scale, fix)


TRAIN = ["feed.w", "back.w", "back.x", "cells.v"]


def of_loop(model: mn.Mirror, batch_size: int = 2) -> torch.Tensor:
    recording = model.run_steps(150, batch_size=batch_size, record=["cells.v"])
    assert recording.spikes["cells"].sum() > 10
    made = loss(recording)
    assert made is not None
    model.zero_grad()
    made.backward()
    return torch.cat([model.parameter(key).grad.flatten() for key in TRAIN])
