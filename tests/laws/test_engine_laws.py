"""Law: every engine does what the eager one does, forward and backward, on every network."""

from importlib import import_module

import numpy as np
import pytest
import torch
from brian2 import Network, ms
from engine_laws import (
    COVERED,
    ENGINES,
    GRADIENT,
    LEFT_TO_NATIVE,
    TRAIN,
    able,
    in_turn,
    loop,
    mirrors,
    of_loop,
    require_gradients,
    require_same,
    some,
)
from networks import networks

import mirrorneuron as mn

STEPS, TRIALS = 300, 3


@pytest.fixture(params=ENGINES)
def backend(request: pytest.FixtureRequest) -> str:
    """An engine; tests that run the eager one for long compare all engines with one run of it."""
    return str(request.param)


@pytest.mark.parametrize("name", some(COVERED, 4))
def test_spikes_values_and_streams_are_those_of_the_eager_engine(name: str) -> None:
    eager, *others = mirrors(networks[name].build(), *able(name))
    one = eager.run_steps(STEPS, batch_size=TRIALS, seed=2)
    for other in others:
        two = other.run_steps(STEPS, batch_size=TRIALS, seed=2)
        require_same(one, two)
        again = other.run_steps(STEPS - 77, state=other.run_steps(77, batch_size=3, seed=2).state)
        require_same(two, again, spikes=False)


@pytest.mark.parametrize("name", some(COVERED, 8))
def test_gradients_are_those_of_the_eager_engine(name: str) -> None:
    require_gradients(networks[name].build(), "auto", able(name))


@pytest.mark.parametrize("name", some(COVERED[::3], 8))
def test_gradients_that_stop_at_resets_are_too(name: str) -> None:
    require_gradients(networks[name].build(), "detach", able(name))


@pytest.mark.parametrize("name", some(sorted(LEFT_TO_NATIVE), 4))
def test_what_only_native_covers_has_the_gradients_of_the_eager_engine(name: str) -> None:
    require_gradients(networks[name].build(), "auto", able(name))


@pytest.mark.parametrize("mode", ["auto", "detach"])
def test_synapses_in_turn_have_the_gradients_of_the_eager_engine(mode: str) -> None:
    require_gradients(in_turn(), mode, ("native",))


def test_what_is_set_from_a_table_forgets_what_it_was() -> None:
    from brian2 import NeuronGroup, TimedArray

    rates = TimedArray(np.arange(6.0), dt=0.3 * ms, name="rates")
    cells = NeuronGroup(
        2, "dv/dt = (I - v)/(5*ms) : 1\nI : 1", method="euler", name="cells",
        namespace={"rates": rates},
    )  # fmt: skip
    cells.run_regularly("I = rates(t)", dt=0.3 * ms, when="end")
    found = [
        torch.autograd.grad(
            model.run_steps(9, record=["cells.v"])["cells.v"].sum(), model.parameter("cells.I")
        )[0]
        for model in mirrors(Network(cells), "native", train={"cells.I": mn.Free()})
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@pytest.mark.parametrize("name", mn.surrogates)
def test_every_surrogate_is_the_one_of_the_eager_engine(name: str, backend: str) -> None:
    network = loop()
    eager, other = mirrors(network, backend, train=TRAIN, surrogate=mn.surrogates[name]())
    one, two = of_loop(eager), of_loop(other)
    np.testing.assert_allclose(two, one, rtol=0, atol=GRADIENT * float(one.abs().max()))


def test_steps_that_are_made_again_give_the_same_gradient(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float64, backend=backend)
    whole = of_loop(model)
    engine = import_module(f"mirrorneuron.bridge.backends.{backend}.engine")
    monkeypatch.setattr(engine, "BUDGET", 2000)
    again = of_loop(model)
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-13 * float(whole.abs().max()))


def test_a_gradient_can_be_taken_twice(backend: str) -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float64, backend=backend)
    total = model.run_steps(100, record=["cells.v"])["cells.v"].square().sum()
    one = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    two = torch.autograd.grad(total, list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_gradient_goes_on_through_a_second_run(backend: str) -> None:
    network = loop()
    made: list[torch.Tensor] = []
    for model in mirrors(network, backend, train=TRAIN):
        first = model.run_steps(60, batch_size=2)
        second = model.run_steps(60, state=first.state, record=["cells.v"])
        total = second["cells.v"].square().sum() + second.spikes["cells"].sum()
        made.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(total, model.parameters())])
        )
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-9 * float(made[0].abs().max()))


def test_inputs_have_gradients(backend: str) -> None:
    network = loop()
    made: list[list[torch.Tensor]] = []
    spikes = (torch.rand(50, 2, 8, generator=torch.Generator().manual_seed(0)) < 0.2).double()
    drive = 0.5 * torch.ones(50, 1, 12, dtype=torch.float64)
    for model in mirrors(network, backend, train=["feed.w"]):
        given = [x.clone().requires_grad_() for x in (spikes, drive)]
        recording = model.run_steps(
            50, {"stimulus": given[0], "cells.g": mn.Nudge(given[1], 1 * ms)}, record=["cells.v"]
        )
        total = recording["cells.v"].square().sum()
        made.append(list(torch.autograd.grad(total, [*model.parameters(), *given])))
    for one, two in zip(*made, strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


def test_the_rows_of_a_timed_array_have_gradients(backend: str) -> None:
    from brian2 import NeuronGroup, TimedArray

    drive = TimedArray(np.zeros((5, 3)), dt=1 * ms, name="drive")
    cells = NeuronGroup(
        3, "dv/dt = (drive(t, i)*gain - v)/(5*ms) : 1\ngain : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="cells", namespace={"drive": drive},
    )  # fmt: skip
    cells.gain = [1, 2, 3]
    given = torch.rand(40, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made: list[tuple[torch.Tensor, ...]] = []
    for model in mirrors(Network(cells), backend, train=["cells.gain"]):
        x = (3 * given).requires_grad_()
        recording = model.run_steps(40, {"drive": x}, record=["cells.v"])
        total = recording["cells.v"].square().sum() + recording.spikes["cells"].sum()
        made.append(torch.autograd.grad(total, [*model.parameters(), x]))
    for one, two in zip(*made, strict=True):
        assert one.abs().max() > 0
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


@pytest.mark.parametrize("name", mn.muscle.plants)
def test_a_plant_is_the_one_of_the_eager_engine(name: str, backend: str) -> None:
    built = mn.muscle.plants[name].build(excitation="input", dt=1 * ms)
    made: list[tuple[torch.Tensor, torch.Tensor]] = []
    for model in mirrors(Network(*built.objects), backend):
        size = model.program.groups["muscles"].size
        drive = torch.linspace(0.05, 0.4, size, dtype=torch.float64).expand(60, 2, size).clone()
        state = model.run_steps(60, {"muscles.excitation": drive.requires_grad_()}).state
        total = sum(state[k].square().sum() for k in ("joints.angle", "joints.speed") if k in state)
        assert isinstance(total, torch.Tensor)
        made.append((total.detach(), *torch.autograd.grad(total, drive)))
    for one, two in zip(*made, strict=True):
        assert one.abs().max() > 0
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


def test_no_steps_at_all_and_recordings_in_files(backend: str) -> None:
    import pickle

    model = mn.mirror(loop(), train=TRAIN, backend=backend)
    nothing = model.run_steps(0, record=["cells.v"])
    assert nothing["cells.v"].shape == (0, 1, 12)
    assert nothing.spikes["cells"].shape == (0, 1, 12)
    with torch.no_grad():
        recording = model.run_steps(50)
    again = pickle.loads(pickle.dumps(recording))
    assert torch.equal(again.spikes["cells"], recording.spikes["cells"])
