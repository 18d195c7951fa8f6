"""save and load: what comes back, what is refused, and what is said."""

import copy
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    Synapses,
    TimedArray,
    check_units,
    implementation,
    ms,
    mV,
    network_operation,
)

import mirrorneuron as mn
from mirrorneuron.errors import BundleError, DomainError, WriteBackError

w_x = 0.2 * mV


def cells(current: float = 12.0, name: str = "cells", **more: Any) -> NeuronGroup:
    """Five integrators between silence and 80 Hz."""
    group = NeuronGroup(
        5, "dv/dt = (I - v)/tau : volt (unless refractory)\nI : volt\ntau : second",
        threshold="v > 10*mV", reset="v = 0*mV", method="exact", refractory=1 * ms, name=name,
        **more,
    )  # fmt: skip
    group.I, group.tau = np.linspace(8, 2 * current, 5) * mV, 10 * ms
    return group


def network(current: float = 12.0) -> Network:
    """Integrators, all to all, with noise from outside."""
    group = cells(current)
    ee = Synapses(group, group, "w : volt", on_pre="v += w", delay=1 * ms, name="ee")
    ee.connect()
    ee.w = np.linspace(0.1, 0.5, 25) * mV
    return Network(group, ee, PoissonInput(group, "v", 10, 100 * Hz, weight=w_x))


TRAIN = {
    "ee.w": mn.Bounded(0 * mV, 1 * mV),
    "cells.tau": mn.Positive(),
    "cells.I": mn.Sign(),
}


def trained(dtype: torch.dtype = torch.float64, train: Any = None, **more: Any) -> mn.Mirror:
    """A model whose parameters have moved, by different amounts."""
    more = {"surrogate": mn.SuperSpike(5 * mV)} | more
    model = mn.mirror(network(), train=TRAIN if train is None else train, dtype=dtype, **more)
    with torch.no_grad():
        for k, raw in enumerate(model.parameters()):
            raw += 0.01 * (k + 1) * torch.linspace(0, 1, raw.numel()).reshape(raw.shape)
    return model


def result(model: mn.Mirror) -> list[torch.Tensor]:
    """Voltages, spikes and gradients of a run."""
    model.zero_grad()
    recording = model.run_steps(300, record=["cells.v"], seed=1)
    loss = recording["cells.v"].square().sum() + recording.spikes["cells"].sum()
    loss.backward()
    gradients = [raw.grad for raw in model.parameters() if raw.grad is not None]
    return [recording["cells.v"].detach(), recording.spikes["cells"].detach(), *gradients]


def require_equal(one: mn.Mirror, other: mn.Mirror) -> None:
    pairs = zip(result(one), result(other), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model."""
    return mn.save(trained(), tmp_path_factory.mktemp("saved") / "model.mirror")


# ---- what comes back


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_trained_model_comes_back(tmp_path: Path, dtype: torch.dtype, backend: str) -> None:
    model = trained(dtype, backend=backend)
    again = mn.load(mn.save(model, tmp_path / "m.mirror"))
    assert again.backend == backend and again.dtype == dtype
    require_equal(model, again)


def test_parameters_go_on_from_where_they_were(tmp_path: Path) -> None:
    model = trained()
    again = mn.load(mn.save(model, tmp_path / "m.mirror"))
    for made in (model, again):
        optimizer = torch.optim.Adam(made.parameter_groups(lr=0.01))
        for _ in range(3):
            result(made)
            optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_a_model_that_changed_its_type_keeps_the_gradients_of_its_spikes(tmp_path: Path) -> None:
    model = trained(torch.float32, surrogate=None).double()
    again = mn.load(mn.save(model, tmp_path / "m.mirror"))
    require_equal(model, again)
    assert str(model.gradients["cells.spike"]) == str(again.gradients["cells.spike"])


def test_limits_and_frozen_parameters_come_back(tmp_path: Path) -> None:
    model = trained()
    model.parameter("cells.tau").requires_grad = False
    again = mn.load(mn.save(model, tmp_path / "m.mirror"))
    assert not again.parameter("cells.tau").requires_grad
    assert again.parameter("ee.w").requires_grad
    with torch.no_grad():
        again.parameter("ee.w").fill_(1.0)
        again.parameter("cells.I").neg_()
    assert torch.all(again.parameter("ee.w") == 1e-3)
    assert torch.all(again.parameter("cells.I") == 0)


def test_a_tie_and_a_constant_of_the_script_come_back(tmp_path: Path) -> None:
    a, b = cells(name="a"), cells(name="b")
    gain = 2.0
    more = NeuronGroup(
        1, "du/dt = -gain*u/second : 1", method="euler", name="more", namespace={"gain": gain}
    )
    model = mn.mirror(
        Network(a, b, more), train=[mn.Tied("a.tau", "b.tau"), "gain"], dtype=torch.float64
    )
    again = mn.load(mn.save(model, tmp_path / "m.mirror"))
    assert again.members == model.members and again.names == model.names
    assert torch.equal(again.parameter("b.tau"), model.parameter("a.tau"))
    assert torch.all(again.parameter("gain") == 2.0)


def test_a_folder_of_the_three_parts_is_read_as_well(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        archive.extractall(tmp_path)
    require_equal(mn.load(saved), mn.load(tmp_path))


def test_a_file_has_three_parts_that_others_can_read(saved: Path) -> None:
    from safetensors.numpy import load

    with zipfile.ZipFile(saved) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        spec = json.loads(archive.read("spec.json"))
        weights = load(archive.read("weights.safetensors"))
    assert set(manifest["parts"]) == {"spec.json", "weights.safetensors"}
    assert manifest["version"] == 1 and manifest["made_with"]["torch"] == torch.__version__
    assert spec["settings"]["trained"][0]["names"] == ["ee.w"]
    assert weights["program.variables.ee.w.value"].shape == (25,)


def test_one_model_gives_one_file_to_the_last_byte(tmp_path: Path) -> None:
    model = trained()
    first, second_one = (mn.save(model, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second_one


# ---- without Brian2


WITHOUT = """
import sys
sys.modules["brian2"] = None
import torch
import mirrorneuron as mn
torch.set_num_threads(1)
model = mn.load(sys.argv[1])
expected = torch.load(sys.argv[2])
recording = model.run(0.03, record=["cells.v"], seed=1)
loss = recording["cells.v"].square().sum() + recording.spikes["cells"].sum()
loss.backward()
found = [recording["cells.v"], recording.spikes["cells"], *(p.grad for p in model.parameters())]
assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
assert float(recording.spike_monitor("cells").t[0]) > 0
try:
    model.write_back()
except mn.errors.WriteBackError as error:
    print(error)
for ask in (lambda: mn.mirror(None), lambda: mn.validate, lambda: mn.simulate):
    try:
        ask()
    except mn.errors.MissingDependency as error:
        print(error)
def error(recording, trial):
    return (recording["cells.v"].mean() - 0.002) ** 2
fit = mn.fit(model, mn.Task(0.02, error, record=["cells.v"]), steps=2)
print("trained", len(fit.history))
assert not any(name.split(".")[0] == "brian2" for name, m in sys.modules.items() if m is not None)
"""


def test_a_model_runs_and_trains_without_brian2(saved: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected.pt"
    torch.save(result(mn.load(saved)), expected)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(saved), str(expected)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "there is no Brian2 network to write to" in done.stdout
    assert "trained" in done.stdout
    for name in ("mirror(net)", "mirrorneuron.validate", "mirrorneuron.simulate"):
        assert f"{name} needs brian2, which is not installed. Write: pip install brian2" in (
            done.stdout
        )


def test_quantities_are_asked_for_where_brian2_is(saved: Path) -> None:
    with pytest.raises(mn.errors.UnitError, match=r"the duration of run.* has to be in \[s\]"):
        mn.load(saved).run(0.02)


# ---- the network


def test_a_loaded_model_says_that_it_has_no_network(saved: Path) -> None:
    with pytest.raises(WriteBackError, match=r"there is no Brian2 network.*network=net"):
        mn.load(saved).write_back()
    with pytest.raises(DomainError, match=r"validate\(None, model, ...\): there is no Brian2 net"):
        mn.validate(None, mn.load(saved), 1 * ms)


def test_a_network_that_a_script_built_again_is_written_to(saved: Path) -> None:
    net = network(current=3.0)  # what is trained may differ
    model = mn.load(saved, network=net)
    model.write_back()
    assert np.array_equal(net["ee"].w_[:], model.parameter("ee.w").detach().numpy())
    assert mn.validate(net, model, 20 * ms, namespace={"w_x": w_x}).ok


def test_another_network_is_refused_with_what_differs(saved: Path) -> None:
    net = network()
    net["cells"].v = 3 * mV  # a state, which may differ
    mn.load(saved, network=net)
    net["ee"].delay = 2 * ms
    with pytest.raises(BundleError, match=r"the network is not the one(.|\n)*pathways.ee_pre"):
        mn.load(saved, network=net)
    with pytest.raises(BundleError, match=r"groups.ee is in the file alone"):
        mn.load(saved, network=Network(cells()))


# ---- what cannot be saved


def test_everything_that_is_code_is_listed(tmp_path: Path) -> None:
    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def mine(x: Any) -> Any:
        return x / 2

    class Own(mn.Gaussian):
        pass

    group = NeuronGroup(
        2, "dv/dt = -mine(v)/second : 1", threshold="v > 1", reset="v = 0", method="euler",
        name="group", namespace={"mine": mine},
    )  # fmt: skip

    @network_operation(name="steers")
    def steers() -> None:
        group.v = 0.1

    made = mn.mirror(Network(group, steers), surrogate=Own(width=1))
    with pytest.raises(BundleError) as caught:
        mn.save(made, tmp_path / "m.mirror")
    text = str(caught.value)
    assert text.startswith(f"save(model, '{tmp_path}/m.mirror'): 3 parts of the model")
    assert "Function 'mine': a Python function of yours" in text
    assert "NetworkOperation 'steers': runs Python between steps" in text
    assert "Own 'group': a surrogate of your own class" in text
    assert not list(tmp_path.iterdir())


def test_a_computed_column_of_a_timed_array_is_refused(tmp_path: Path) -> None:
    sound = TimedArray(np.ones((5, 3)), dt=1 * ms, name="sound")
    fine = NeuronGroup(3, "dv/dt = (sound(t, i) - v)/second : 1", method="euler", name="fine",
                       namespace={"sound": sound})  # fmt: skip
    mn.save(mn.mirror(Network(fine)), tmp_path / "fine.mirror")
    group = NeuronGroup(3, "dv/dt = (sound(t, i % 2) - v)/second : 1", method="euler", name="group",
                        namespace={"sound": sound})  # fmt: skip
    with pytest.raises(BundleError, match=r"whose column is computed(.|\n)*sound\(t, column\)"):
        mn.save(mn.mirror(Network(group)), tmp_path / "m.mirror")


def test_another_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=r"save\(model=Linear.*has to be a mirror"):
        mn.save(torch.nn.Linear(1, 1), tmp_path / "m.mirror")  # type: ignore[arg-type]


# ---- files


def test_a_file_that_cannot_be_written_leaves_the_one_before(saved: Path, tmp_path: Path) -> None:
    model = mn.load(saved)
    with pytest.raises(BundleError, match=r"could not be written.*name another place"):
        mn.save(model, tmp_path / "nowhere" / "m.mirror")
    place = mn.save(model, tmp_path / "m.mirror")
    before = place.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", _full)
        with pytest.raises(BundleError, match="No space left"):
            mn.save(model, place)
    assert place.read_bytes() == before and list(tmp_path.iterdir()) == [place]


def _full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_is_not_there_is_said_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        BundleError, match=r"load\('.*nothing.mirror'\): the file could not be read"
    ):
        mn.load(tmp_path / "nothing.mirror")


def test_a_device_that_is_not_there_is_said_by_name(saved: Path) -> None:
    with pytest.raises(DomainError, match=r"load\(path, device='nonsense'\)"):
        mn.load(saved, device="nonsense")


def test_a_loaded_model_is_copied_and_pickled(saved: Path) -> None:
    model = mn.load(saved)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        require_equal(twin, model)


def test_what_no_file_could_give_back_is_refused_before_it_is_written(tmp_path: Path) -> None:
    long = " + ".join(["v"] * 150)
    fine = NeuronGroup(2, f"dv/dt = -({long})/second : 1", method="euler", name="fine")
    mn.load(mn.save(mn.mirror(Network(fine)), tmp_path / "fine.mirror"))
    group = cells()
    model = mn.mirror(Network(group))
    model.program.groups["cells"].__dict__["equations"] = ("v\x1b[2J",)
    with pytest.raises(BundleError, match=r"the group cells holds control characters, and no file"):
        mn.save(model, tmp_path / "m.mirror")
