"""Stability: whether the time step is within what an integrator can take, at the initial values.

An integrator multiplies a small deviation that decays with the rate lambda by R(lambda dt) in each
step. Where |R| is above 1, what decays in the model grows in the simulation.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._callers import callers_level
from mirrorneuron.errors import DomainWarning, MirrorNeuronError

from .backends.eager.emit import compile_program
from .backends.eager.engine import EagerEngine, Stepper
from .draws import Draws
from .lower.dataflow import users_functions
from .program import Array, Group, Program, Slot, Update
from .spikes import State
from .values import Values

Growth = Callable[[Array], Array]
GROWTH: Mapping[str, Growth] = {
    "euler": lambda z: 1 + z,
    "milstein": lambda z: 1 + z,
    "rk2": lambda z: 1 + z + z**2 / 2,
    "heun": lambda z: 1 + z + z**2 / 2,
    "rk4": lambda z: 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24,
}
FARTHEST, POINTS = 8.0, 4000  # no region above reaches so far; distance of the points 0.002
DECAYS = 1e-6  # least ratio of decay to speed of what counts as decaying
MARGIN = 1.001
MOST = 1000  # different elements that are looked at


class Limit(NamedTuple):
    """The largest time step at which a group is stable.

    Arguments:
        group: Its name.
        method: Its integrator.
        dt: Its time step [s].
        largest: The largest one that is stable [s]; infinite where nothing decays.
    """

    group: str
    method: str
    dt: float
    largest: float


def warn_of_instability(program: Program) -> None:
    """Say which groups have a time step beyond the stability of their integrator."""
    for limit in limits(program):
        if limit.dt > MARGIN * limit.largest:
            warnings.warn(
                f"mirror(net): {limit.group!r} is integrated by {limit.method!r} with dt ="
                f" {limit.dt * 1e3:g} ms, which is unstable at its initial values: what should"
                f" decay grows from step to step. The largest stable dt is"
                f" {limit.largest * 1e3:.3g} ms. Write a smaller dt, or"
                " method='exponential_euler'.",
                DomainWarning,
                stacklevel=callers_level(),
            )


def limits(program: Program) -> Iterator[Limit]:
    """Limits of the groups whose integrator has one, and whose equations can be differentiated."""
    values = Values(program, {}, torch.float64, torch.device("cpu"))
    context: Any = None
    for name, group in program.groups.items():
        keys = [key for key in program.rates if key.startswith(f"{name}.")]
        update = next((s for s in program.slots_of(Update, name) if "stateupdater" in s.name), None)
        slots = [program.rates[key] for key in keys]
        known = update is not None and not any(users_functions(program, s) for s in slots)
        if update is None or not known or not keys or not group.size:
            continue
        if context is None:
            engine = EagerEngine(program, frozenset(), {})
            context = Stepper(engine, values, {}, program.step).context
            context.draws = Draws(0, 1)
        try:
            jacobian = _jacobian(context, keys, slots)
            method = _method(context, group, keys, update, jacobian)
        except (MirrorNeuronError, RuntimeError):  # it has no derivative
            continue
        if method in GROWTH and np.all(np.isfinite(jacobian)):
            yield Limit(name, method, update.dt, largest_step(jacobian, GROWTH[method]))


def _method(context: Any, group: Group, keys: list[str], update: Update, jacobian: Array) -> str:
    """The integrator of a group: of those that Brian2 chose from, whether it is Euler's."""
    if group.method.isidentifier():
        return group.method
    step = _jacobian(context, keys, [update])
    euler = np.eye(len(keys)) + update.dt * jacobian
    return "euler" if np.allclose(step, euler, rtol=1e-9, atol=1e-12) else ""


def _jacobian(context: Any, keys: list[str], slots: list[Any]) -> Array:
    """Derivatives at the initial state, "element of by", each element by its own variables.

    Arguments:
        context: What code of the network runs with.
        keys: The variables.
        slots: Rates of these, or one update of all of them.
    """
    program, values = context.program, context.values
    code = compile_program(program, slots=slots)
    fixed = code.prelude(values.constants(frozenset()), context)
    state: State = values.initial_state()
    leaves = {key: state[key].detach().clone().requires_grad_() for key in keys}
    size = next(iter(leaves.values())).shape[1]
    with torch.enable_grad(), np.errstate(all="ignore"):
        found = [_value(program, slot, run, state | leaves, fixed, context, keys)
                 for slot, run in zip(slots, code.slots, strict=True)]  # fmt: skip
        rows = [value for some in found for value in some]
        columns = [_gradients(row, list(leaves.values())) for row in rows]
    return np.stack([[x.expand(size).numpy() for x in row] for row in columns]).transpose(2, 0, 1)


def _value(
    program: Program,
    slot: Slot,
    run: Any,
    state: State,
    fixed: list[Any],
    context: Any,
    keys: list[str],
) -> list[Any]:
    """What a slot computes: a rate, or the new values of the variables."""
    context.clock(program.step, slot.clock_dt)
    found = run(state, fixed, context)
    return [state[key] for key in keys] if isinstance(slot, Update) else [found]


def _gradients(value: Any, leaves: list[Tensor]) -> list[Tensor]:
    """Derivative of a value by each variable, "element"."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return [torch.zeros_like(x[0]) for x in leaves]
    grads = torch.autograd.grad(
        value.sum(), leaves, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return [grad[0] for grad in grads]


def largest_step(jacobian: Array, growth: Growth) -> float:
    """The largest time step at which everything that decays in a model decays in a simulation [s].

    Arguments:
        jacobian: Derivatives of the rates, "element of by" [1/s].
        growth: Factor of a deviation in a step, by lambda dt.

    Example:
        >>> round(float(largest_step(np.array([[[-100.0]]]), GROWTH["euler"])), 6)
        0.02
    """
    different = np.unique(jacobian.reshape(len(jacobian), -1), axis=0)
    some = different[:: -(-len(different) // MOST)]  # evenly, where there are many
    matrices = some.reshape(-1, *jacobian.shape[1:])
    rates = np.unique(np.round(np.linalg.eigvals(matrices).astype(complex).ravel(), 9))
    decaying = rates[-rates.real > DECAYS * np.abs(rates)]
    if not decaying.size:
        return np.inf
    reach = np.array([_reach(growth, rate / abs(rate)) for rate in decaying])
    return float(np.min(reach / np.abs(decaying)))


def _reach(growth: Growth, direction: complex) -> float:
    """How far from zero the region of stability reaches in a direction."""
    distance = np.linspace(0, FARTHEST, POINTS + 1)[1:]
    outside = np.abs(growth(distance * direction)) > 1
    if not outside.any():
        return np.inf
    high = float(distance[np.argmax(outside)])
    low = high - FARTHEST / POINTS
    for _ in range(40):
        middle = (low + high) / 2
        if np.abs(growth(np.array(middle * direction))) > 1:
            high = middle
        else:
            low = middle
    return low
