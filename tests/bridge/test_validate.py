"""validate: it finds what is wrong, where, and leaves the network as it was."""

import signal

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, network_operation

import mirrorneuron as mn
from mirrorneuron.errors import UnitError


def network() -> Network:
    cells = NeuronGroup(
        20, "dv/dt = (1.2 + 0.02*i - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    synapses = Synapses(cells, cells, "w : 1", on_pre="v += w", delay=1 * ms, name="syn")
    synapses.connect("i != j")
    synapses.w = 0.013
    return Network(cells, synapses)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_faithful_mirror_passes_all_three_questions(dtype: torch.dtype) -> None:
    net = network()
    monitor = SpikeMonitor(net["cells"])
    net.add(monitor)
    net.run(20 * ms, namespace={})
    before = (net.t, len(monitor.i), net["cells"].v_[:].copy(), np.random.get_state()[1].copy())
    verdict = mn.validate(net, mn.mirror(net, train=["syn.w"], dtype=dtype), 100 * ms)
    after = (net.t, len(monitor.i), net["cells"].v_[:].copy(), np.random.get_state()[1].copy())
    assert verdict.ok
    assert "same step and index" in str(verdict)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b)


def test_a_changed_weight_is_found_in_every_way_and_named() -> None:
    net = network()
    model = mn.mirror(net, train=["syn.w"], dtype=torch.float64)
    with torch.no_grad():
        model.parameter("syn.w")[7] *= 1.5
    verdict = mn.validate(net, model, 100 * ms)
    assert not verdict.ok
    assert "NO" in str(verdict)
    assert "cells.v" in str(verdict)
    model.write_back()
    assert mn.validate(net, model, 100 * ms).ok


def test_a_wrong_step_is_found_at_the_step_where_it_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mirrorneuron.bridge import validate as side_by_side

    net = network()
    model = mn.mirror(net, dtype=torch.float64)
    original = side_by_side.Stepper.__call__

    def wrong(self: object, state: dict[str, torch.Tensor]) -> None:
        original(self, state)  # type: ignore[arg-type]
        if state["step"] == 301:
            state["cells.v"] = state["cells.v"] * (1 + 1e-7)

    monkeypatch.setattr(side_by_side.Stepper, "__call__", wrong)
    evidence = side_by_side.compare(net, model, 50 * ms, {})
    assert evidence.locked["cells.v"].error == pytest.approx(1e-7, rel=1e-3)
    assert evidence.locked["cells.v"].step == 300


def test_a_validation_is_for_a_time() -> None:
    net = network()
    with pytest.raises(UnitError, match="duration"):
        mn.validate(net, mn.mirror(net), 1.0)


def test_ctrl_c_gives_no_verdict_over_the_part_that_ran() -> None:
    group = NeuronGroup(2, "dv/dt = (1.5 - v)/(10*ms) : 1", method="exact", name="g")
    network = Network(group)
    model = mn.mirror(network)
    steps: list[int] = []

    @network_operation
    def press() -> None:
        steps.append(1)
        if len(steps) == 20:
            signal.raise_signal(signal.SIGINT)

    network.add(press)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        mn.validate(network, model, 100 * ms)
    assert len(steps) <= 21
    assert signal.getsignal(signal.SIGINT) is before
    assert float(network.t) == 0
