"""Property: a model that was saved and loaded does what it did, to the last bit."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from brian2 import Network
from networks import networks
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge.check import require_trainable
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.program import Program, Threshold
from mirrorneuron.errors import MirrorNeuronError
from mirrorneuron.units import quantity

STEPS, TRACES = 60, 6


def trainable(program: Program) -> list[str]:
    """The first three weights, parameters or initial values to which a gradient can come."""
    found: list[str] = []
    for key, variable in program.variables.items():
        if len(found) < 3 and variable.kind == "float" and not variable.name.startswith("last"):
            try:
                require_trainable(program, key)
            except MirrorNeuronError:
                continue
            found.append(key)
    return found


def mirrored(network: Network) -> mn.Mirror:
    """A mirror that trains something, with widths where none follows from the model."""
    model = mn.mirror(network, dtype=torch.float64)
    lacking = [slot for slot in model.program.slots_of(Threshold) if slot.margin is not None]
    lacking = [slot for slot in lacking if model.gradients[slot.event].width is None]
    return Mirror(
        model.program,
        dict.fromkeys(trainable(model.program), mn.Free()),
        model.surrogates
        | {slot.owner: mn.SuperSpike(quantity(1.0, slot.margin)) for slot in lacking},
        "detach" if lacking else "auto",
        torch.float64,
        torch.device("cpu"),
        (),
    )


def outcome(model: mn.Mirror) -> Mapping[str, Tensor]:
    """Spikes, values and the state of a run, and gradients."""
    variables, written = model.program.variables, model.program.written()
    record = sorted(k for k in {*variables} & written if variables[k].kind == "float")[:TRACES]
    recording = model.run_steps(STEPS, record=record, seed=3)
    traces = {f"value {key}": recording[key] for key in record}
    spikes = {f"spikes {name}": recording.spikes[name] for name in recording.spikes}
    state = {f"state {k}": x for k, x in recording.state.items() if isinstance(x, Tensor)}
    carrying = [x for x in (*traces.values(), *spikes.values()) if x.requires_grad]
    if carrying:
        torch.stack([x.square().mean() for x in carrying]).sum().backward()
    gradients = {f"gradient {k}": held.raw.grad for k, held in model.trained.items()}
    found = {**traces, **spikes, **state, **gradients}
    return {k: x.detach().double() for k, x in found.items() if x is not None}


LARGE = ("cerebellum_patch", "cerebellum_learning")
EACH = [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in networks]


@pytest.mark.parametrize("name", EACH)
def test_a_model_that_was_saved_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    model = mirrored(networks[name].build())
    place = mn.save(model, tmp_path / "model.mirror")
    again = mn.load(place)
    require_same(outcome(model), outcome(again))
    require_same_state_dict(model, again)
    assert str(model.report) == str(again.report)
    assert str(model.program) == str(again.program)
    assert mn.save(again, tmp_path / "again.mirror").read_bytes() == place.read_bytes()


def require_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(other[key]))
        assert same and torch.equal(value.isnan(), other[key].isnan()), key


def require_same_state_dict(one: mn.Mirror, other: mn.Mirror) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
