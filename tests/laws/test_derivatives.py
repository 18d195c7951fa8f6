"""Properties of derivatives as data: every function, every kind of operation, every condition.

Against central differences, and against what torch finds for the same code in the eager engine.
"""

import ast
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.backends.eager.engine import EagerEngine, Stepper
from mirrorneuron.bridge.draws import Draws
from mirrorneuron.bridge.genn.host import evaluate
from mirrorneuron.bridge.lower.adjoint import (
    Reverse,
    adjoint,
    single_assignment,
    spike_factors,
    spike_value,
)
from mirrorneuron.bridge.lower.condition import condition
from mirrorneuron.bridge.lower.dataflow import draws, users_functions
from mirrorneuron.bridge.lower.derivative import ZERO, derivative
from mirrorneuron.bridge.lower.expression import parse
from mirrorneuron.bridge.lower.functions import ARGUMENTS, FUNCTIONS
from mirrorneuron.bridge.lower.step import (
    Accumulate,
    Assign,
    Define,
    Keep,
    Operation,
    Overwrite,
    Scale,
    is_synaptic,
    operations,
)
from mirrorneuron.bridge.program import Program, Ref, Update
from mirrorneuron.errors import GradientError

SMALL = 1e-6
# Away from the places where a function jumps or has a corner.
PLACES = {
    "log": [0.3, 2.7], "log10": [0.3, 2.7], "log1p": [-0.4, 1.3], "sqrt": [0.2, 3.1],
    "arcsin": [-0.6, 0.3], "arccos": [-0.6, 0.3], "tan": [-0.9, 0.7],
    "exprel": [-1.2, 3e-5, 1e-9, 2.1],
}  # fmt: skip


def value(tree: ast.expr, names: Mapping[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return evaluate(tree, names, {})


def central(tree: ast.expr, name: str, names: Mapping[str, Any], h: float = SMALL) -> Any:
    up, down = ({**names, name: names[name] + s * h} for s in (1, -1))
    return (value(tree, up) - value(tree, down)) / (2 * h)


def require_derivative(text: str, **names: Any) -> None:
    tree = parse(text)
    for name in names:
        if isinstance(names[name], bool):
            continue
        found = value(derivative(tree, name), names)
        np.testing.assert_allclose(found, central(tree, name, names), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_derivative_of_every_function_is_that_of_central_differences(name: str) -> None:
    number = len(FUNCTIONS[name].derivatives)
    text = f"{name}({', '.join(ARGUMENTS[:number])})"
    if name == "where":
        for x in (True, False):
            require_derivative(text, x=x, a=0.3, b=-1.7)
    elif name == "clip":
        for x in (-2.0, 0.1, 3.0):
            require_derivative(text, x=x, a=-0.5, b=1.5)
    elif name == "timestep":
        require_derivative(text, x=0.01234, a=0.001)
    else:
        for x in PLACES.get(name, [-1.7, -0.4, 0.6, 2.3]):
            require_derivative(text, x=x)


@pytest.mark.parametrize("x,y", list(product((-1.3, 0.7), (0.4, 1.9))))
@pytest.mark.parametrize(
    "text",
    ["x + y", "x - y", "x*y", "x/y", "y**x", "y**3", "y**-2", "-x + +y", "x % y", "x // y",
     "where(x > 0, x*y, y/x)", "int(x > y)*x", "(x*y)/(1 + exp(-x)*y)", "y**(x*y)"],
)  # fmt: skip
def test_the_derivative_of_arithmetic_is_that_of_central_differences(
    text: str, x: float, y: float
) -> None:
    require_derivative(text, x=x, y=y)


def trees() -> st.SearchStrategy[str]:
    """Expressions that are smooth for the numbers below."""
    leaves = st.sampled_from(["x", "y", "0.7", "2"])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, st.sampled_from("+-*"), inner)
        return st.one_of(
            pair.map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            inner.map(lambda e: f"tanh({e})"),
            inner.map(lambda e: f"exp(-abs(0.1 + {e}))"),
            st.tuples(inner, inner).map(lambda p: f"({p[0]})/(1 + ({p[1]})**2)"),
            st.tuples(inner, inner).map(lambda p: f"where(x > 0, {p[0]}, {p[1]})"),
        )

    return st.recursive(leaves, grown, max_leaves=8)


@given(trees())
def test_the_derivative_of_any_tree_is_that_of_torch(text: str) -> None:
    tree, at = parse(text), {"x": 0.37, "y": -1.21}
    tensors = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in at.items()}

    def on_numbers(f: Any) -> Any:
        return lambda x: f(torch.as_tensor(x, dtype=torch.float64))

    known = {name: on_numbers(getattr(torch, name)) for name in ("tanh", "exp", "abs")}
    known["where"] = lambda c, a, b: a if c else b
    whole = eval(text, known, dict(tensors))
    whole = torch.as_tensor(whole, dtype=torch.float64)
    for name, x in tensors.items():
        truth = 0.0
        if whole.requires_grad:
            (slope,) = torch.autograd.grad(whole, x, retain_graph=True, allow_unused=True)
            truth = 0.0 if slope is None else slope.item()
        assert value(derivative(tree, name), at) == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(GradientError, match=r"that of sigma\(\) is not known"):
        derivative(parse("2*sigma(x)"), "x")
    assert derivative(parse("2*sigma(y) + 1"), "x") is ZERO


@pytest.mark.parametrize(
    "text", ["v > 1", "v > 1 and u < 2", "v > 1 or u < 2", "not (v > 1 and ready) or u > 0"]
)
def test_a_spike_is_arithmetic_of_the_parts_of_its_condition(text: str) -> None:
    tree, parts = spike_value(condition(parse(text)))
    for bits in product((0, 1), repeat=len(parts)):
        names = {f"_{k}": bit for k, bit in enumerate(bits)}
        spike = value(tree, names)
        assert spike in (0, 1)
        for k, factor in enumerate(spike_factors(condition(parse(text)))):
            flipped = value(tree, {**names, f"_{k}": 1 - bits[k]})
            assert value(factor, names) == (flipped - spike) * (1 - 2 * bits[k])


# ---- operations: an interpreter of both directions, and central differences of the one forward


WHERE = Ref("cells.x", "at")
SYNAPSES, CELLS = 6, 3
INDEX = np.array([0, 2, 2, 1, 2, 0])
SERVED = np.array([4, 0, 2, 5])


def forward(made: list[Operation], start: Mapping[str, Any]) -> dict[str, Any]:
    """Values after operations for the served synapses, which see `x` at their index."""
    now = {k: np.array(v, dtype=float) for k, v in start.items()}

    def seen() -> dict[str, Any]:
        return {k: v[INDEX] if k == "x" else v for k, v in now.items()}

    for operation in made:
        new = np.broadcast_to(value(operation.tree, seen()), (SYNAPSES,)).astype(float)
        match operation:
            case Accumulate():
                np.add.at(now["x"], INDEX[SERVED], new[SERVED])
            case Scale(divide=divide):
                for k in SERVED:
                    now["x"][INDEX[k]] *= 1 / new[k] if divide else new[k]
            case Overwrite():
                for k in SERVED:
                    now["x"][INDEX[k]] = new[k]
            case Keep():
                now[operation.name] = now[operation.name].copy()
                now[operation.name][SERVED] = new[SERVED]
            case _:
                now[operation.name] = new.copy()
    return now


def backward(
    made: list[Operation], start: Mapping[str, Any], seed: Mapping[str, Any]
) -> dict[str, Any]:
    """Adjoints of the start, by `adjoint` as its docstring says."""
    values: dict[str, Any] = {k: np.array(v, dtype=float) for k, v in start.items()}
    reverses = adjoint(made, set(start))
    latest = {k: k for k in start}
    for step in reversed(reverses):  # forward, under the names of single assignment
        operation = step.operation
        plain = operation.name.partition("@")[0]
        seen = {k: v[INDEX] if k.partition("@")[0] == "x" else v for k, v in values.items()}
        new = np.broadcast_to(value(operation.tree, seen), (SYNAPSES,)).astype(float)
        old = values.get(step.before or "")
        values[operation.name] = moved(operation, old, new)
        latest[plain] = operation.name
    bars = {k: np.zeros_like(v) for k, v in values.items()}
    for name, given_seed in seed.items():
        bars[latest[name]] = bars[latest[name]] + given_seed
    for step in reverses:
        pull(step, values, bars)
    return {k: bars[k] for k in start}


def moved(operation: Operation, old: Any, new: Any) -> Any:
    made = new.copy() if old is None else old.copy()
    match operation:
        case Accumulate():
            np.add.at(made, INDEX[SERVED], new[SERVED])
        case Scale(divide=divide):
            for k in SERVED:
                made[INDEX[k]] *= 1 / new[k] if divide else new[k]
        case Overwrite():
            for k in SERVED:
                made[INDEX[k]] = new[k]
        case Keep():
            made[SERVED] = new[SERVED]
        case _:
            made = new.copy()
    return made


def pull(step: Reverse, values: dict[str, Any], bars: dict[str, Any]) -> None:
    operation, bar = step.operation, bars[step.operation.name]
    served = np.zeros(SYNAPSES, dtype=bool)
    served[SERVED] = True
    before = bars.get(step.before or "")
    match operation:
        case Accumulate():
            passed = np.where(served, bar[INDEX], 0)
            before += bar
        case Scale(divide=divide):
            seen = {k: v[INDEX] if k.partition("@")[0] == "x" else v for k, v in values.items()}
            factor = np.broadcast_to(value(operation.tree, seen), (SYNAPSES,))
            passed = np.zeros(SYNAPSES)
            for k in SERVED:
                whole = bar[INDEX[k]] * values[operation.name][INDEX[k]]
                passed[k] = -whole / factor[k] if divide else whole / factor[k]
            grown = moved(operation, np.ones(CELLS), factor)
            before += bar * grown
        case Overwrite():
            last = {INDEX[k]: k for k in SERVED}
            passed = np.zeros(SYNAPSES)
            for cell, k in last.items():
                passed[k] = bar[cell]
            before += np.where(np.isin(np.arange(CELLS), list(last)), 0, bar)
        case Keep():
            passed = np.where(served, bar, 0)
            before += np.where(served, 0, bar)
        case _:
            passed = bar.copy()
    for part in step.pulls:
        seen = {k: v[INDEX] if k.partition("@")[0] == "x" else v for k, v in values.items()}
        given_part = passed * value(part.factor, seen)
        if part.source.partition("@")[0] == "x":
            np.add.at(bars[part.source], INDEX, given_part)
        else:
            bars[part.source] = bars[part.source] + given_part


def write(kind: type[Any], name: str, text: str, **more: Any) -> Operation:
    ref = WHERE if name == "x" else Ref(f"syn.{name}")
    return kind(name, parse(text), False, ref, None, **more)


PROGRAMS: dict[str, list[Operation]] = {
    "define": [Define("k", parse("w*tanh(x)"), False), write(Keep, "w", "w + 0.1*k")],
    "redefine": [
        Define("k", parse("w*x"), False),
        Define("k", parse("k*k + 0.3"), False),
        write(Keep, "w", "k*w"),
    ],
    "keep": [write(Keep, "w", "clip(w + 0.2*a*x, 0, 3)"), write(Keep, "a", "a*0.9 + w")],
    "accumulate": [write(Accumulate, "x", "w*a"), write(Accumulate, "x", "-0.1*a")],
    "scale": [write(Scale, "x", "1 + 0.2*w", divide=False)],
    "divide": [write(Scale, "x", "1 + 0.2*w*a", divide=True)],
    "overwrite": [write(Overwrite, "x", "w*a + 0.5")],
    "depression": [
        Define("u", parse("0.4*a"), False),
        write(Accumulate, "x", "w*u"),
        write(Keep, "a", "a - u*a"),
        write(Keep, "w", "clip(w - 0.01*x, 0, 9)"),
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_adjoint_of_every_kind_of_operation_is_that_of_central_differences(
    name: str, rng: np.random.Generator
) -> None:
    made = PROGRAMS[name]
    start = {"x": rng.uniform(0.5, 1.5, CELLS), "w": rng.uniform(0.5, 1.5, SYNAPSES)}
    start["a"] = rng.uniform(0.5, 1.5, SYNAPSES)
    seed = {k: rng.normal(size=v.shape) for k, v in start.items()}
    found = backward(made, start, seed)
    for key, x in start.items():
        for place in range(len(x)):
            ends = []
            for sign in (1, -1):
                shifted = {k: v.copy() for k, v in start.items()}
                shifted[key][place] += sign * SMALL
                after = forward(made, shifted)
                ends.append(sum((seed[k] * after[k]).sum() for k in seed))
            slope = (ends[0] - ends[1]) / (2 * SMALL)
            assert found[key][place] == pytest.approx(slope, rel=1e-6, abs=1e-7), (key, place)


# ---- real state updates, against the eager engine


def smooth_updates(program: Program) -> list[Update]:
    """State updates without random numbers, TimedArrays, users' functions and indices."""
    return [
        slot
        for slot in program.slots_of(Update)
        if not (draws(program, slot) or slot.tables or users_functions(program, slot))
        and not is_synaptic(program, slot)
        and all(ref.index is None for ref in slot.refs.values())
    ]


SMOOTH = [name for name in networks if not name.startswith("cerebellum")]
SOME = [
    pytest.param(name, marks=() if k % 8 == 0 else pytest.mark.slow)
    for k, name in enumerate(SMOOTH)
]


@pytest.mark.parametrize("name", SOME)
def test_the_adjoint_of_every_state_update_is_what_torch_finds(name: str) -> None:
    model = mn.mirror(networks[name].build(), dtype=torch.float64)
    program = model.program
    engine = EagerEngine(program, frozenset(), {})
    stepper = Stepper(engine, model.values, {}, program.step)
    wanted = {slot.name for slot in smooth_updates(program)}
    rng = np.random.default_rng(0)
    for slot, run in (*stepper.early, *stepper.late):
        if slot.name not in wanted:
            continue
        state = model.run_steps(7, seed=3).state
        floats = {
            ref.variable: n
            for n, ref in slot.refs.items()
            if isinstance(state.get(ref.variable), torch.Tensor)
            and state[ref.variable].is_floating_point()
        }
        leaves = {key: state[key].detach().clone().requires_grad_() for key in floats}
        now = {**state, **leaves}
        stepper.context.draws, stepper.context.tick = Draws(0, 1), state["step"]
        stepper.context.clock(state["step"], slot.clock_dt)
        run(now, stepper.fixed, stepper.context)
        seeds = {key: rng.normal(size=leaves[key].shape[1]) for key in leaves}
        total = sum((now[key] * torch.from_numpy(seed)).sum() for key, seed in seeds.items())
        if not isinstance(total, torch.Tensor) or not total.requires_grad:
            continue
        truth = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        found = by_adjoint(program, slot, state, stepper, {floats[k]: s for k, s in seeds.items()})
        for key, grad in zip(leaves, truth, strict=True):
            expected = np.zeros(leaves[key].shape[1]) if grad is None else grad.numpy()[0]
            scale = np.abs(expected).max() + 1e-300
            np.testing.assert_allclose(
                found[floats[key]] / scale, expected / scale, rtol=1e-9, atol=1e-12, err_msg=key
            )


def by_adjoint(
    program: Program, slot: Update, state: Any, stepper: Stepper, seeds: Mapping[str, Any]
) -> dict[str, Any]:
    """Gradients of a state update, evaluated with numpy from its adjoint."""
    values: dict[str, Any] = dict(slot.constants)
    for n, ref in slot.refs.items():
        held = state.get(ref.variable)
        values[n] = program.variables[ref.variable].value if held is None else held.numpy()[0]
    clock = {"t": stepper.context.t, "dt": slot.clock_dt, "step": stepper.context.step}
    values |= {n: clock[meaning] for n, meaning in slot.clock.items()}
    latest = {n: n for n in seeds}
    made = list(operations(program, slot))
    reverses = adjoint(made, set(seeds))
    for operation, before in single_assignment(made):
        new = value(operation.tree, values)
        if isinstance(operation, Assign):
            if operation.guard:
                new = np.where(values[operation.guard], new, values[before or ""])
            latest[operation.name.partition("@")[0]] = operation.name
        values[operation.name] = new
    bars: dict[str, Any] = {}
    for n, seed in seeds.items():
        bars[latest[n]] = np.array(seed, dtype=float)
    for step in reverses:
        bar = bars.pop(step.operation.name, 0.0)
        operation = step.operation
        if operation.once:
            bar = np.sum(bar, keepdims=True)
        if isinstance(operation, Assign) and operation.guard:
            open_gate = np.asarray(values[operation.guard], dtype=bool)
            bars[step.before or ""] = bars.get(step.before or "", 0.0) + np.where(open_gate, 0, bar)
            bar = np.where(open_gate, bar, 0)
        for part in step.pulls:
            with np.errstate(all="ignore"):
                given_part = np.where(bar == 0, 0, bar * value(part.factor, values))
            if np.shape(seeds.get(part.source)) == (1,):  # shared: the sum over those that see it
                given_part = np.sum(given_part, keepdims=True)
            bars[part.source] = bars.get(part.source, 0.0) + given_part
    return {n: np.broadcast_to(bars.get(n, 0.0), np.shape(s)) for n, s in seeds.items()}
