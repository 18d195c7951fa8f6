"""Bounds: what no memory holds is refused at once, with what to write instead."""

import pytest
import torch
from brian2 import Network, NeuronGroup, Synapses, ms, second

import mirrorneuron as mn
from mirrorneuron.bridge.bounds import needed_memory
from mirrorneuron.errors import TooLarge

pytestmark = pytest.mark.timeout(20)


def network(delay: float = 1e-3, size: int = 100) -> Network:
    cells = NeuronGroup(
        size, "dv/dt = (1.2 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact",
        name="cells",
    )  # fmt: skip
    synapses = Synapses(cells, cells, "w : 1", on_pre="v += w", name="syn")
    synapses.connect(j="i")
    synapses.delay = delay * second
    return Network(cells, synapses)


RUNS = {
    "batch": ({"duration": 10 * ms, "batch_size": 10**10}, "smaller batch_size"),
    "duration": ({"duration": 1e12 * second}, "run in parts"),
    "record": ({"duration": 1e5 * second, "record": ["cells.v"], "batch_size": 100}, "record less"),
}  # fmt: skip


@pytest.mark.parametrize("case", RUNS)
def test_a_run_beyond_memory_is_refused_before_it_starts(case: str) -> None:
    arguments, remedy = RUNS[case]
    with pytest.raises(TooLarge, match=rf"need at least .* GB, and .* are free.*{remedy}"):
        mn.mirror(network()).run(**arguments)


def test_a_gradient_beyond_memory_is_sent_to_windows() -> None:
    model = mn.mirror(network(), train=["syn.w"])
    with pytest.raises(TooLarge, match=r"rule=mn.BPTT\(window=\.\.\.\)"):
        model.run(100 * second, batch_size=10**6)


def test_a_delay_beyond_memory_is_refused_before_brian2_prepares_it() -> None:
    with pytest.raises(TooLarge, match="'syn_pre' has a delay of 10,000,000,000,000 steps"):
        mn.mirror(network(delay=1e9))


@pytest.mark.parametrize("backend", ["eager", "native", "sequence"])
def test_the_memory_of_a_run_is_that_of_the_engine_which_makes_it(backend: str) -> None:
    model = mn.mirror(network(), train=["syn.w"], dtype=torch.float64, backend=backend)
    one, long, wide = (
        model.memory(duration * ms, batch, ["cells.v"])
        for duration, batch in ((20, 4), (40, 4), (20, 8))
    )
    assert 1.5 * one < long < 2.5 * one and 1.5 * one < wide < 2.5 * one
    with torch.no_grad():
        assert 0 < model.memory(20 * ms, 4, ["cells.v"]) < one
    assert one > 200 * 4 * 100 * 8  # the trace itself


@pytest.mark.parametrize("backend", ["eager", "native", "sequence"])
def test_what_the_engine_cannot_hold_is_refused(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mn.mirror(network(), train=["syn.w"], dtype=torch.float64, backend=backend)
    run = {"batch_size": 4, "record": ["cells.v"]}
    needed = model.memory(20 * ms, **run)
    monkeypatch.setattr("mirrorneuron.bridge.bounds.available_memory", lambda: int(needed) - 1)
    with pytest.raises(TooLarge, match=r"200 steps of 4 trials need about .* GB, and .* are free"):
        model.run(20 * ms, **run)
    monkeypatch.setattr("mirrorneuron.bridge.bounds.available_memory", lambda: int(needed) + 1)
    model.run(20 * ms, **run)
    model.run(20 * ms, **run)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("record", [(), ("cells.v",)])
def test_an_estimate_is_no_more_than_what_a_run_keeps(batch: int, record: tuple[str, ...]) -> None:
    size, steps = 4000, 200
    model = mn.mirror(network(size=size), dtype=torch.float64)
    estimate = needed_memory(model.program, steps, batch, size * len(record), 8, gradient=False)
    recording = model.run_steps(steps, batch_size=batch, record=record)
    kept = sum(e.spikes.numel() * 8 for seen in recording.spikes.events.values() for e in seen)
    kept += 2 * sum(recording[key].numel() * 8 for key in record)
    assert 0.8 * kept < estimate < 1.2 * kept
