"""Law: compiled code simulates as Brian2 does, on any number of threads."""

import numpy as np
import pytest
import torch
from brian2 import Network, ms
from engine_laws import LEFT_TO_EAGER, TRAIN, loop, of_loop, some
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.backends.native import engine as native
from mirrorneuron.bridge.backends.native.engine import NativeEngine
from mirrorneuron.errors import NotCovered


@pytest.mark.parametrize("name", sorted(LEFT_TO_EAGER))
def test_what_is_not_compiled_is_named_and_runs_all_the_same(name: str) -> None:
    network = networks[name].build()
    with pytest.raises(NotCovered, match=r"cannot run the network(.|\n)*_"):
        mn.mirror(network, backend="native")
    model = mn.mirror(network)
    assert model.backend == "eager"
    assert "Engine: eager (" in str(model.report)


@pytest.mark.parametrize("name", [*some(list(networks)[::2], 8), "noisy", "towards_reversal"])
def test_a_simulation_is_the_one_of_the_numpy_target(name: str) -> None:
    entry = networks[name]
    duration = min(entry.duration, 30 * ms)
    try:
        two = mn.simulate(entry.build, duration, "native", seed=entry.seed, report=None)
    except NotCovered as error:
        assert error.able == "runtime"
        return
    one = mn.simulate(entry.build, duration, seed=entry.seed, report=None, target="numpy")
    for group, spikes in one.spikes.items():
        np.testing.assert_array_equal(two.spikes[group].step, spikes.step, err_msg=group)
        np.testing.assert_array_equal(two.spikes[group].index, spikes.index, err_msg=group)
    assert two.final.keys() == one.final.keys()
    for key, value in one.final.items():
        scale = 1e-9 * np.abs(np.nan_to_num(np.asarray(value, dtype=float))).max(initial=0)
        np.testing.assert_allclose(two.final[key], value, rtol=0, atol=scale, err_msg=key)


def test_traces_are_sampled_where_asked() -> None:
    entry = networks["cuba"]
    given = {"record": {"cells.v": [0, 3]}, "interval": 0.5 * ms, "report": None, "seed": 1}
    one = mn.simulate(entry.build, 10 * ms, target="numpy", **given)
    two = mn.simulate(entry.build, 10 * ms, "native", **given)
    assert one["cells.v"].shape == (20, 2)
    np.testing.assert_allclose(two["cells.v"], one["cells.v"], rtol=1e-12)
    np.testing.assert_allclose(two.t, one.t, rtol=1e-12)


@pytest.mark.parametrize("name", mn.surrogates)
def test_the_formula_of_a_surrogate_is_its_shape(name: str) -> None:
    from mirrorneuron.bridge.genn.host import evaluate
    from mirrorneuron.bridge.lower.expression import parse

    margin = torch.linspace(-4, 4, 81, dtype=torch.float64)
    shape = mn.surrogates[name]()
    found = evaluate(parse(shape.formula), {"m": margin.numpy(), "w": 0.7}, {})
    np.testing.assert_allclose(found, shape(margin, 0.7), rtol=1e-13, atol=0)


def test_steps_that_are_made_again_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float64, backend="native")
    whole = of_loop(model)
    monkeypatch.setattr(native, "BUDGET", 2000)
    assert torch.equal(of_loop(model), whole)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float32, backend="native")
    before = torch.get_num_threads()
    found: list[torch.Tensor] = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(of_loop(model, batch_size=100))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_value_that_leaves_the_numbers_is_named() -> None:
    from brian2 import NeuronGroup

    from mirrorneuron.errors import NumericalError

    cells = NeuronGroup(2, "dv/dt = v**3/ms : 1", method="euler", name="cells")
    cells.v = [0, 50]
    model = mn.mirror(Network(cells))
    assert model.backend == "native"
    with pytest.raises(NumericalError, match=r"cells.v of element 1 \(trial 0\) became"):
        model.run_steps(300)


def test_single_precision_gives_the_statistics_and_the_gradient() -> None:
    network = loop()
    eager = mn.mirror(network, train=TRAIN, backend="eager")
    compiled = mn.mirror(network, train=TRAIN)
    assert compiled.backend == "native"
    assert isinstance(compiled.engine, NativeEngine)
    one, two = of_loop(eager), of_loop(compiled)
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-3 * float(one.abs().max()))
