"""Property: a model that was saved and loaded does what it did, to the last bit."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from networks import networks
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.bridge.check import require_trainable
from mirrorneuron.errors import MirrorNeuronError

STEPS = 80


def trainable(program) -> list[str]:
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


def outcome(model: mn.Mirror) -> Mapping[str, Tensor]:
    """Spikes, values, gradients and the state of a run."""
    known = {*model.program.variables} & model.program.written()
    record = sorted(k for k in known if model.program.variables[k].kind == "float")
    recording = model.run_steps(STEPS, record=record, seed=3)
    traces = {f"value {key}": recording[key] for key in record}
    spikes = {f"spikes {name}": recording.spikes[name] for name in recording.spikes}
    carrying = [x for x in (*traces.values(), *spikes.values()) if x.requires_grad]
    if carrying:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sum(x.double().square().mean() for x in carrying).backward()
    gradients = {f"gradient {k}": held.raw.grad for k, held in model.trained.items()}
    return {k: x for k, x in {**traces, **spikes, **gradients}.items() if x is not None}


@pytest.mark.parametrize("name", networks)
def test_a_model_that_was_saved_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    network = networks[name].build()
    model = mn.mirror(network, dtype=torch.float64)
    keys = trainable(model.program)
    if keys:
        try:
            model = mn.mirror(network, train=keys, dtype=torch.float64)
        except MirrorNeuronError:
            keys = []
    again = mn.load(mn.save(model, tmp_path / "model.mirror"))
    require_same(outcome(model), outcome(again))
    require_same_state_dict(model, again)
    assert str(model.report) == str(again.report)
    assert str(model.program) == str(again.program)
    assert mn.save(again, tmp_path / "again.mirror").read_bytes() == (
        tmp_path / "model.mirror"
    ).read_bytes()


def require_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        same = torch.equal(torch.nan_to_num(value), torch.nan_to_num(other[key]))
        assert same and torch.equal(value.isnan(), other[key].isnan()), key


def require_same_state_dict(one: mn.Mirror, other: mn.Mirror) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
