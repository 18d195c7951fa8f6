"""Law: compiled code does what the eager engine does, forward and backward, on every network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, ms
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.backends.native import engine as native
from mirrorneuron.bridge.backends.native.engine import NativeEngine
from mirrorneuron.bridge.draws import Draws
from mirrorneuron.bridge.recording import Recording
from mirrorneuron.bridge.spikes import Events
from mirrorneuron.errors import MirrorNeuronError, NotCovered

STEPS, GRADIENT_STEPS, TRIALS = 300, 100, 3
TRANSCENDENTAL = 1e-12  # of the largest value: C and numpy have functions of their own
GRADIENT = 1e-9
LEFT_TO_EAGER = {
    "compound_threshold", "conditional_reset", "divisive_synapses", "noisy", "quantal_release",
    "refractory_forms", "shared_parameters", "half_step", "homeostasis", "regular_code",
    "slow_sources", "slow_synapses", "time_of_the_group", "two_clocks", "stochastic_release",
    "towards_reversal",
}  # fmt: skip
COVERED = sorted(
    (name for name in networks if name not in LEFT_TO_EAGER),
    key=lambda name: name.startswith("cerebellum"),
)  # the large ones last, where they are slow tests


def mirrors(network: Network, **options: Any) -> tuple[mn.Mirror, mn.Mirror]:
    eager, compiled = (
        mn.mirror(network, dtype=torch.float64, backend=backend, **options)
        for backend in ("eager", "native")
    )
    return eager, compiled


def some(names: list[str], each: int) -> list[Any]:
    """All names; those that are not the first of `each` are slow."""
    slow = pytest.mark.slow
    return [n if k % each == 0 else pytest.param(n, marks=slow) for k, n in enumerate(names)]


@pytest.mark.parametrize("name", some(COVERED, 4))
def test_spikes_values_and_streams_are_those_of_the_eager_engine(name: str) -> None:
    eager, compiled = mirrors(networks[name].build())
    one, two = (model.run_steps(STEPS, batch_size=TRIALS, seed=2) for model in (eager, compiled))
    require_same(one, two)
    again = compiled.run_steps(STEPS - 77, state=compiled.run_steps(77, batch_size=3, seed=2).state)
    require_same(two, again, spikes=False)


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
    found: list[str] = []
    for key in variables[:8] + constants[:6]:
        try:
            mn.mirror(network, train={key: mn.Free()}, dtype=torch.float64, backend="eager")
        except MirrorNeuronError:
            continue
        found.append(key)
    return found


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


@pytest.mark.parametrize("name", some(COVERED, 8))
def test_gradients_are_those_of_the_eager_engine(name: str) -> None:
    require_gradients(networks[name].build(), "auto")


@pytest.mark.parametrize("name", some(COVERED[::3], 8))
def test_gradients_that_stop_at_resets_are_too(name: str) -> None:
    require_gradients(networks[name].build(), "detach")


def require_gradients(network: Network, mode: str) -> None:
    """Equal gradients, or the same error."""
    train = dict.fromkeys(trainable(network), mn.Free())
    eager, compiled = mirrors(network, train=train, reset_gradient=mode)
    written = eager.program.written()
    record = [k for k in sorted(written) if eager.program.variables[k].kind == "float"]
    record = [k for k in record if not k.endswith(("lastspike", "lastupdate"))][:6]
    one, two = (gradients(model, record) for model in (eager, compiled))
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


# ---- one network, all surrogates and all ways to keep and to share the work


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


TRAIN = ["feed.w", "back.w", "back.x", "cells.v"]


def of_loop(model: mn.Mirror, batch_size: int = 2) -> torch.Tensor:
    recording = model.run_steps(150, batch_size=batch_size, record=["cells.v"])
    assert recording.spikes["cells"].sum() > 10
    made = loss(recording)
    assert made is not None
    model.zero_grad()
    made.backward()
    return torch.cat([model.parameter(key).grad.flatten() for key in TRAIN])


@pytest.mark.parametrize("name", mn.surrogates)
def test_every_surrogate_is_the_one_of_the_eager_engine(name: str) -> None:
    network = loop()
    eager, compiled = mirrors(network, train=TRAIN, surrogate=mn.surrogates[name]())
    one, two = of_loop(eager), of_loop(compiled)
    np.testing.assert_allclose(two, one, rtol=0, atol=GRADIENT * float(one.abs().max()))


@pytest.mark.parametrize("name", mn.surrogates)
def test_the_formula_of_a_surrogate_is_its_shape(name: str) -> None:
    from mirrorneuron.bridge.genn.host import evaluate
    from mirrorneuron.bridge.lower.expression import parse

    margin = torch.linspace(-4, 4, 81, dtype=torch.float64)
    shape = mn.surrogates[name]()
    found = evaluate(parse(shape.formula), {"m": margin.numpy(), "w": 0.7}, {})
    np.testing.assert_allclose(found, shape(margin, 0.7), rtol=1e-13, atol=0)


def test_steps_that_are_made_again_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float64, backend="native")
    whole = of_loop(model)
    monkeypatch.setattr(native, "BUDGET", 2000)
    assert torch.equal(of_loop(model), whole)


def test_a_gradient_can_be_taken_twice() -> None:
    model = mn.mirror(loop(), train=TRAIN, dtype=torch.float64, backend="native")
    total = model.run_steps(100, record=["cells.v"])["cells.v"].square().sum()
    one = torch.autograd.grad(total, list(model.parameters()), retain_graph=True)
    two = torch.autograd.grad(total, list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


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


def test_a_gradient_goes_on_through_a_second_run() -> None:
    network = loop()
    made: list[torch.Tensor] = []
    for model in mirrors(network, train=TRAIN):
        first = model.run_steps(60, batch_size=2)
        second = model.run_steps(60, state=first.state, record=["cells.v"])
        total = second["cells.v"].square().sum() + second.spikes["cells"].sum()
        made.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(total, model.parameters())])
        )
    np.testing.assert_allclose(made[1], made[0], rtol=0, atol=1e-9 * float(made[0].abs().max()))


def test_inputs_have_gradients() -> None:
    network = loop()
    made: list[list[torch.Tensor]] = []
    spikes = (torch.rand(50, 2, 8, generator=torch.Generator().manual_seed(0)) < 0.2).double()
    drive = 0.5 * torch.ones(50, 1, 12, dtype=torch.float64)
    for model in mirrors(network, train=["feed.w"]):
        given = [x.clone().requires_grad_() for x in (spikes, drive)]
        recording = model.run_steps(
            50, {"stimulus": given[0], "cells.g": mn.Nudge(given[1], 1 * ms)}, record=["cells.v"]
        )
        total = recording["cells.v"].square().sum()
        made.append(list(torch.autograd.grad(total, [*model.parameters(), *given])))
    for one, two in zip(*made, strict=True):
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


def test_the_rows_of_a_timed_array_have_gradients() -> None:
    from brian2 import NeuronGroup, TimedArray

    drive = TimedArray(np.zeros((5, 3)), dt=1 * ms, name="drive")
    cells = NeuronGroup(
        3, "dv/dt = (drive(t, i)*gain - v)/(5*ms) : 1\ngain : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="cells", namespace={"drive": drive},
    )  # fmt: skip
    cells.gain = [1, 2, 3]
    given = torch.rand(40, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made: list[tuple[torch.Tensor, ...]] = []
    for model in mirrors(Network(cells), train=["cells.gain"]):
        x = (3 * given).requires_grad_()
        recording = model.run_steps(40, {"drive": x}, record=["cells.v"])
        total = recording["cells.v"].square().sum() + recording.spikes["cells"].sum()
        made.append(torch.autograd.grad(total, [*model.parameters(), x]))
    for one, two in zip(*made, strict=True):
        assert one.abs().max() > 0
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


@pytest.mark.parametrize("name", mn.muscle.plants)
def test_a_plant_is_the_one_of_the_eager_engine(name: str) -> None:
    built = mn.muscle.plants[name].build(excitation="input", dt=1 * ms)
    made: list[tuple[torch.Tensor, torch.Tensor]] = []
    for model in mirrors(Network(*built.objects)):
        size = model.program.groups["muscles"].size
        drive = torch.linspace(0.05, 0.4, size, dtype=torch.float64).expand(60, 2, size).clone()
        state = model.run_steps(60, {"muscles.excitation": drive.requires_grad_()}).state
        total = sum(state[k].square().sum() for k in ("joints.angle", "joints.speed") if k in state)
        assert isinstance(total, torch.Tensor)
        made.append((total.detach(), *torch.autograd.grad(total, drive)))
    for one, two in zip(*made, strict=True):
        assert one.abs().max() > 0
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-9 * float(one.abs().max()))


def test_no_steps_at_all_and_recordings_in_files() -> None:
    import pickle

    model = mn.mirror(loop(), train=TRAIN)
    nothing = model.run_steps(0, record=["cells.v"])
    assert nothing["cells.v"].shape == (0, 1, 12)
    assert nothing.spikes["cells"].shape == (0, 1, 12)
    with torch.no_grad():
        recording = model.run_steps(50)
    again = pickle.loads(pickle.dumps(recording))
    assert torch.equal(again.spikes["cells"], recording.spikes["cells"])


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
