"""Laws of the functions that statements call: numpy's values, the right slope, no slope of nothing.

A new entry in `UNARY` meets them without a new test; only its domain has to be named.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    check_units,
    implementation,
    ms,
)
from brian2.units.unitsafefunctions import exprel as brian2_exprel

import mirrorneuron as mn
from mirrorneuron.bridge.backends.eager.functions import UNARY, Functions
from mirrorneuron.bridge.lower.functions import FUNCTIONS, RANDOM

DOMAINS = {
    "log": (1e-3, 9.0), "log10": (1e-3, 9.0), "log1p": (-0.9, 9.0), "sqrt": (1e-3, 9.0),
    "arcsin": (-0.95, 0.95), "arccos": (-0.95, 0.95), "tan": (-1.4, 1.4),
}  # fmt: skip
BINARY: dict[str, tuple[Callable[..., object], tuple[float, float], tuple[float, float]]] = {
    "divide": (np.divide, (-5, 5), (0.2, 5)),
    "power": (np.power, (0.1, 5), (-3, 3)),
    "mod": (np.mod, (-5, 5), (0.2, 5)),
    "floor_divide": (np.floor_divide, (-5, 5), (0.2, 5)),
}


def functions(exact: bool) -> Functions:
    return Functions(torch.float64, torch.device("cpu"), exact)


def domain(name: str) -> tuple[float, float]:
    return DOMAINS.get(name, (-4.0, 4.0))


def bits(x: object) -> bytes:
    return np.asarray(x, dtype=float).tobytes()


def numpy_value(name: str, x: object) -> object:
    return brian2_exprel(np.asarray(x, dtype=float)) if name == "exprel" else getattr(np, name)(x)


def central(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    h = 1e-6 * x.abs().clamp(min=0.1)
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.mark.parametrize("name", UNARY)
def test_values_are_those_of_numpy_to_the_last_bit(name: str, rng: np.random.Generator):
    x = rng.uniform(*domain(name), 1000)
    found = getattr(functions(True), name)(torch.from_numpy(x))
    assert bits(found) == bits(numpy_value(name, x))
    tracked = getattr(functions(True), name)(torch.from_numpy(x).requires_grad_())
    assert bits(tracked.detach()) == bits(found)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", UNARY)
def test_a_number_gives_the_number_that_numpy_gives(
    name: str, exact: bool, rng: np.random.Generator
):
    for x in rng.uniform(*domain(name), 20).tolist():
        found = getattr(functions(exact), name)(x)
        assert type(found) is float
        assert bits(found) == bits(numpy_value(name, x))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 1), (2, 5)])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", UNARY)
def test_the_shape_and_type_are_kept(name: str, exact: bool, shape: tuple[int, ...]):
    y = getattr(functions(exact), name)(torch.full(shape, 0.5))
    assert y.shape == shape and y.dtype == torch.float64


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", UNARY)
def test_the_slope_is_that_of_central_differences(name: str, exact: bool, rng: np.random.Generator):
    f = getattr(functions(exact), name)
    x = torch.from_numpy(rng.uniform(*domain(name), 200)).requires_grad_()
    (grad,) = torch.autograd.grad(f(x).sum(), x)
    torch.testing.assert_close(grad, central(f, x.detach()), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("name", "x"),
    [("exp", 1e4), ("log", 0.0), ("sqrt", 0.0), ("expm1", 1e4), ("exprel", 1e4), ("arcsin", 1.0),
     ("cosh", 1e4), ("power", 0.0), ("power", 1e300)],
)  # fmt: skip
def test_where_no_gradient_arrives_none_is_passed_on(name: str, x: float, exact: bool):
    """An infinite slope that nothing asked for would turn into NaN."""
    f = functions(exact)
    given = torch.tensor([x, 0.5]).requires_grad_()
    power = name == "power"
    with np.errstate(all="ignore"):
        y = f.power(given, 0.5 if x == 0 else 2.0) if power else getattr(f, name)(given)
    (grad,) = torch.autograd.grad(torch.where(torch.tensor([False, True]), y, 0.0).sum(), given)
    assert torch.isfinite(grad).all() and grad[0] == 0 and grad[1] != 0


def test_exprel_is_smooth_through_zero():
    f = functions(True).exprel
    x = torch.tensor([-1e-3, -1e-5, -1e-17, 0.0, 1e-17, 1e-5, 1e-3]).requires_grad_()
    (grad,) = torch.autograd.grad(f(x).sum(), x)
    series = 0.5 + x.detach() / 3 + x.detach() ** 2 / 8
    torch.testing.assert_close(grad, series, rtol=1e-8, atol=0)


FORMS = ("tensor tensor", "tensor number", "number tensor", "number number")


def operands(form: str, a: np.ndarray, b: np.ndarray) -> tuple[list[object], list[object]]:
    """The operands for us, and the same for numpy."""
    kinds = form.split()
    ours = [torch.from_numpy(x) if k == "tensor" else float(x[0])
            for k, x in zip(kinds, (a, b), strict=True)]  # fmt: skip
    theirs = [x if k == "tensor" else float(x[0]) for k, x in zip(kinds, (a, b), strict=True)]
    return ours, theirs


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BINARY)
def test_operators_give_numpys_values_to_the_last_bit(
    name: str, form: str, rng: np.random.Generator
):
    by_numpy, low, high = BINARY[name]
    ours, theirs = operands(form, rng.uniform(*low, 500), rng.uniform(*high, 500))
    assert bits(getattr(functions(True), name)(*ours)) == bits(by_numpy(*theirs))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, 1.5])
def test_powers_with_common_exponents_give_numpys_values(exponent: float, rng: np.random.Generator):
    x = rng.uniform(0.1, 5, 500) * (1 if exponent != int(exponent) else rng.choice([-1, 1], 500))
    for exact, same in ((True, np.array_equal), (False, np.allclose)):
        tensor = torch.from_numpy(x)
        assert same(functions(exact).power(tensor, exponent).numpy(), x**exponent)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("form", FORMS[:3])
@pytest.mark.parametrize("name", ["divide", "power", "mod"])
def test_slopes_of_operators_are_those_of_central_differences(
    name: str, form: str, exact: bool, rng: np.random.Generator
):
    _, low, high = BINARY[name]
    ours, _ = operands(form, rng.uniform(*low, 100), rng.uniform(*high, 100))
    f = getattr(functions(exact), name)
    for k, x in enumerate(ours):
        if isinstance(x, torch.Tensor):
            leaf = x.clone().requires_grad_()

            def of(value: torch.Tensor, k: int = k) -> torch.Tensor:
                return f(*[value if n == k else o for n, o in enumerate(ours)])

            (grad,) = torch.autograd.grad(of(leaf).sum(), leaf)
            torch.testing.assert_close(grad, central(of, x), rtol=1e-5, atol=1e-6)


def test_zero_to_the_power_of_a_trained_exponent_has_a_gradient():
    n = torch.tensor([2.0]).requires_grad_()
    (grad,) = torch.autograd.grad(functions(True).power(torch.tensor([0.0]), n).sum(), n)
    assert grad == 0


@pytest.mark.parametrize("name", ["floor", "ceil", "abs", "sign", "int"])
def test_rounding_gives_the_same_for_numbers_and_tensors(name: str):
    x = [-2.5, -2.0, -0.5, 0.0, 0.3, 1.0, 2.7]
    f = getattr(functions(True), name)
    assert f(torch.tensor(x)).tolist() == [float(f(v)) for v in x]
    by_numpy = np.trunc if name == "int" else getattr(np, name)
    assert f(torch.tensor(x)).tolist() == by_numpy(x).tolist()


def test_a_truth_value_as_a_whole_number_is_zero_or_one():
    f = functions(True)
    assert f.int(torch.tensor([True, False])).tolist() == [1, 0]
    assert (f.int(True), f.int(False)) == (1, 0)


@pytest.mark.parametrize("form", ["tensor", "number"])
def test_clip_where_and_not_agree_for_numbers_and_tensors(form: str):
    f = functions(True)

    def wrap(x: float) -> object:
        return torch.tensor([x]) if form == "tensor" else x

    for x, expected in ((-2.0, -1.0), (0.3, 0.3), (5.0, 1.0)):
        assert float(f.clip(wrap(x), -1.0, 1.0)) == expected
    for truth in (True, False):
        condition = torch.tensor([truth]) if form == "tensor" else truth
        assert float(f.where(condition, wrap(1.0), wrap(2.0))) == (1 if truth else 2)
        assert float(f.where(condition, 1.0, 2.0)) == (1 if truth else 2)
        assert bool(f.logical_not(condition)) is not truth


@pytest.mark.parametrize("dt", [1e-4, 1e-3, 3e-5])
def test_timestep_counts_whole_steps_whatever_the_rounding(dt: float):
    f, k = functions(True), np.arange(2000)
    assert [f.timestep(float(n * dt), dt) for n in k] == k.tolist()
    assert f.timestep(torch.from_numpy(k * dt), dt).tolist() == k.tolist()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_known_function_can_be_called(name: str):
    assert callable(getattr(functions(True), name)) or name in RANDOM


def test_an_unknown_function_is_an_attribute_error():
    with pytest.raises(AttributeError, match="besselj"):
        functions(True).besselj  # noqa: B018


@implementation("numpy", discard_units=True)
@check_units(x=1, result=1)
def saturated(x: Any) -> Any:
    """A function of a user's, of which only Python is known."""
    return x / (1 + np.abs(x))


@pytest.mark.parametrize("value", ["x - 2", "0.5"])
def test_a_users_function_in_a_pathway_is_called_for_the_synapses_with_a_spike(value: str):
    index, times = [0, 1, 2, 0, 1, 2, 0], [1, 1, 2, 4, 5, 7, 7] * ms
    stimulus = SpikeGeneratorGroup(3, index, times, name="stimulus")
    cells = NeuronGroup(4, "v : 1", threshold="v > 0.9", reset="v = 0", name="cells")
    syn = Synapses(
        stimulus, cells, "w : 1\ndx/dt = -x/(20*ms) : 1 (event-driven)",
        on_pre=f"x += 1; w = clip(w + 0.2*saturated({value}), 0, 1); v_post += w",
        on_post="w = clip(w + 0.05*saturated(x), 0, 1)", name="syn",
        namespace={"saturated": saturated, "ms": ms},
    )  # fmt: skip
    syn.connect("(i + j) % 3 > 0")
    syn.w = "0.3 + 0.1*i"
    network = Network(stimulus, cells, syn)
    model = mn.mirror(network, dtype=torch.float64)
    found = mn.validate(network, model, 10 * ms)
    assert found.ok and found.free_run[0].n_reference > 3
    w = model.run(10 * ms, batch_size=3).state["syn.w"]
    network.run(10 * ms)
    np.testing.assert_array_equal(w.numpy(), np.tile(np.array(syn.w_[:]), (3, 1)))
