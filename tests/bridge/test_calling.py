"""model(x), copies of a model, and what torch cannot make of one."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, PoissonGroup, SpikeGeneratorGroup, Synapses, ms, mV, second
from torch.utils.data import DataLoader, TensorDataset

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ExportError, ShapeError


def cells(size: int = 3, name: str = "cells") -> NeuronGroup:
    group = NeuronGroup(
        size, "dv/dt = (I - v)/tau : volt\nI : volt\ntau : second", threshold="v > 10*mV",
        reset="v = 0*mV", method="euler", name=name,
    )  # fmt: skip
    group.tau, group.I = 10 * ms, 1 * mV
    return group


def stimulated(*more: Any) -> Network:
    """Given spikes onto cells."""
    source = SpikeGeneratorGroup(4, [], [] * second, name="stimulus")
    group = cells()
    synapses = Synapses(source, group, "w : volt", on_pre="v += w", name="s")
    synapses.connect()
    synapses.w = np.linspace(2, 6, 12) * mV
    return Network(source, group, synapses, *more)


def spikes(rng: np.random.Generator, batch: int = 2) -> torch.Tensor:
    return torch.from_numpy((rng.random((50, batch, 4)) < 0.1).astype(float))


# ---- model(x)


def test_a_tensor_goes_to_the_only_input(rng: np.random.Generator) -> None:
    model = mn.mirror(stimulated(), train=["s.w"], dtype=torch.float64)
    assert model.input_names == ("stimulus",)
    x = spikes(rng)
    found, expected = model(x), model({"stimulus": x})
    assert torch.equal(found.spikes["cells"], expected.spikes["cells"])
    assert found.spikes["cells"].shape == (50, 2, 3) and found.spikes["cells"].sum() > 0
    first = model(x.transpose(0, 1), batch_first=True)
    assert torch.equal(first.spikes["cells"], expected.spikes["cells"])


def test_a_current_is_the_only_input_where_the_rest_is_trained() -> None:
    model = mn.mirror(Network(cells()), train=["cells.tau"], dtype=torch.float64)
    assert model.input_names == ("cells.I",)
    current = torch.full((400, 1, 3), 20e-3)
    assert model(current).spikes["cells"].sum() > 0


def test_several_inputs_are_listed() -> None:
    model = mn.mirror(stimulated(PoissonGroup(2, np.ones(2) * 10 / second, name="noise")))
    with pytest.raises(DomainError, match=r"2 inputs \(noise, stimulus\).*model\({'noise': x}\)"):
        model(torch.zeros(5, 1, 4))
    still = mn.mirror(Network(NeuronGroup(1, "dv/dt = -v/second : 1", method="euler", name="g")))
    with pytest.raises(DomainError, match=r"no input of its own"):
        still(torch.zeros(5, 1, 4))


def test_what_is_no_input_is_refused() -> None:
    model = mn.mirror(stimulated())
    with pytest.raises(DomainError, match=r"model\(list\): inputs are a mapping from names"):
        model([1, 2])
    with pytest.raises(ShapeError, match=r"no input was given"):
        model()
    with pytest.raises(ShapeError, match=r"expected \(time, batch, neuron\)"):
        model(torch.zeros(5, 1, 3))


# ---- data loaders and other processes


def test_a_data_loader_with_workers_gives_batches(rng: np.random.Generator) -> None:
    model = mn.mirror(stimulated(), train=["s.w"], dtype=torch.float64)
    x = spikes(rng, 8).transpose(0, 1).contiguous()
    context = multiprocessing.get_context("fork")
    loader = DataLoader(TensorDataset(x, torch.arange(8)), batch_size=4, num_workers=2,
                        multiprocessing_context=context)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    counts = []
    for batch, _ in loader:
        optimizer.zero_grad()
        count = model(batch, batch_first=True).spikes["cells"].sum((0, 2))
        count.square().mean().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())
        counts.append(count.detach())
    assert torch.equal(torch.cat(counts), model(x, batch_first=True).spikes["cells"].sum((0, 2)))


def rate(model: mn.Mirror, x: torch.Tensor) -> torch.Tensor:
    torch.set_num_threads(1)
    return model(x).spikes["cells"].detach()


def test_a_model_is_sent_to_another_process(rng: np.random.Generator) -> None:
    model, x = mn.mirror(stimulated(), train=["s.w"], dtype=torch.float64), spikes(rng)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(rate, model, x).result()
    assert torch.equal(found, rate(model, x))


def test_copies_are_models_of_their_own(rng: np.random.Generator) -> None:
    model, x = mn.mirror(stimulated(), train=["s.w"], dtype=torch.float64), spikes(rng)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(rate(twin, x), rate(model, x))
        with torch.no_grad():
            twin.parameter("s.w").zero_()
        assert rate(twin, x).sum() == 0 < rate(model, x).sum()


# ---- graphs of tensors


@pytest.mark.parametrize(
    ("asked", "make"),
    [("torch.export", lambda m, x: torch.export.export(m, (x,))),
     ("torch.jit.script", lambda m, x: torch.jit.script(m)),
     ("torch.jit.trace", lambda m, x: torch.jit.trace(m, x))],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_is_told_why_there_is_no_graph(asked: str, make: Any) -> None:
    model = mn.mirror(stimulated(), train=["s.w"])
    with pytest.raises(ExportError, match=rf"{asked}\(model\): .*mn\.save\(model, path\)"):
        make(model, torch.zeros(5, 1, 4))


def test_a_callback_writes_to_any_board_and_a_scheduler_of_torch_moves_the_rate() -> None:
    written: list[tuple[str, float, int]] = []

    def board(step: int, model: mn.Mirror, done: mn.Fit) -> None:  # as SummaryWriter.add_scalar
        written.append(("loss", done.losses[-1], step))
        written.append(("weight", float(model.parameter("s.w").detach().mean()), step))

    def count(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        return (recording["cells.v"].mean() - 5e-3).square()

    def halved(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    model = mn.mirror(stimulated(), train=["s.w", "cells.I"], dtype=torch.float64)
    task = mn.Task(5 * ms, count, record=["cells.v"],
                   trial=lambda step: mn.Trial({"stimulus": torch.ones(50, 1, 4)}))  # fmt: skip
    done = mn.fit(model, task, steps=4, callback=board, schedule=halved, report=None)
    assert [(name, step) for name, _, step in written] == [
        (name, step) for step in range(4) for name in ("loss", "weight")
    ]
    assert [value for name, value, _ in written if name == "loss"] == done.losses
