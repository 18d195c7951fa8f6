"""Backends: a folder is the registration; a network that one does not cover is refused whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from brian2 import Network, NeuronGroup, Synapses, ms, mV

import mirrorneuron as mn
from mirrorneuron.bridge import backends as family
from mirrorneuron.bridge.backends import backends
from mirrorneuron.bridge.backends._contracts import Backend, Demand, Engine
from mirrorneuron.bridge.backends.eager.engine import EagerEngine
from mirrorneuron.bridge.backends.native import coverage
from mirrorneuron.bridge.program import Deliver, Program
from mirrorneuron.bridge.spike_gradient import SpikeGradient
from mirrorneuron.errors import NotCovered, UnknownName


def network() -> Network:
    cells = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : volt", threshold="v > 1*mV", reset="v = 0*mV", name="cells"
    )
    cells.v = 2 * mV
    return Network(cells)


class Picky(Backend):
    """Runs nothing that spikes."""

    def covers(self, demand: Demand) -> Sequence[str]:
        return [f"spikes of {name!r}" for name in demand.program.spiking()]

    def compile(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> Engine:
        return EagerEngine(program, constants, gradients)


@pytest.mark.parametrize("backend", ["auto", *backends])
def test_a_backend_that_is_asked_for_runs(backend: str) -> None:
    model = mn.mirror(network(), backend=backend)
    assert model.backend in backends
    assert model.run_steps(3).spikes["cells"].sum() > 0


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(UnknownName, match=r"backend='egaer'.*eager"):
        mn.mirror(network(), backend="egaer")


def test_what_a_backend_does_not_cover_is_listed_with_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(family, "backends", {**backends, "picky": Picky})
    with pytest.raises(NotCovered, match=r"cannot run(.|\n)*spikes of 'cells'(.|\n)*'native'"):
        mn.mirror(network(), backend="picky")


def test_an_engine_knows_no_mirror_and_a_copy_has_the_same() -> None:
    from copy import deepcopy

    model = mn.mirror(network(), train={"cells.v": mn.Free()}, dtype=torch.float64)
    assert not any(isinstance(x, mn.Mirror) for x in vars(model.engine).values())
    assert deepcopy(model).engine is model.engine


def test_without_a_compiler_a_stretch_of_time_is_run_by_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coverage, "compiler", lambda: None)
    model = mn.mirror(network(), train={"cells.v": mn.Free()}, dtype=torch.float32)
    assert model.backend == "sequence"
    assert "Engine: sequence (There is no C compiler on the PATH" in str(model.report)
    model.run_steps(3).state["cells.v"].sum().backward()
    assert torch.all(model.parameter("cells.v").grad > 0)


def test_spikes_that_change_what_all_synapses_share_are_left_to_others() -> None:
    cells = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    synapses = Synapses(cells, cells, "w : 1", on_pre="w += 1", name="synapses")
    synapses.connect()
    program = mn.mirror(Network(cells, synapses)).program
    shared = tuple(
        replace(slot, scalar=slot.vector, vector=()) if isinstance(slot, Deliver) else slot
        for slot in program.slots
    )  # as programs of online rules have them
    demand = Demand(replace(program, slots=shared), {}, torch.float64, torch.device("cpu"))
    found = backends["sequence"]().covers(demand)
    assert any("spikes change w, which all synapses share" in text for text in found)


def test_synapses_in_turn_that_native_leaves_to_others_are_named() -> None:
    cells = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    on_pre = "x += 1; v_post += w*(v_pre - v_post)"
    synapses = Synapses(cells, cells, "w : 1\nx : 1", on_pre=on_pre, name="synapses")
    synapses.connect()
    with pytest.raises(NotCovered, match=r"in turn see cells\.v, which they change, by several"):
        mn.mirror(Network(cells, synapses), backend="native")
    program = mn.mirror(Network(cells, synapses)).program
    shared = replace(program.variables["synapses.x"], scalar=True)
    changed = replace(program, variables={**program.variables, "synapses.x": shared})
    demand = Demand(changed, {}, torch.float64, torch.device("cpu"))  # as online rules have them
    found = backends["native"]().covers(demand)
    assert any("in turn change synapses.x, which all of them share" in text for text in found)


def test_what_numpys_types_decide_in_place_is_left_to_eager() -> None:
    cells = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1\nn : integer\nb : boolean", method="euler")
    cells.n, cells.v = 3, 1
    cells.run_regularly("n *= 2")
    cells.run_regularly("b += v > 0.5")
    model = mn.mirror(Network(cells), dtype=torch.float32)
    assert model.backend == "eager"
    assert str(model.report).count("numpy's types decide on the result of") == 2
    state = model.run(1 * ms).state
    assert torch.all(state[f"{cells.name}.n"] == 3 * 2**10) and torch.all(state[f"{cells.name}.b"])
