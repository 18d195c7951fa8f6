r"""Delays that are trained: a spike arrives between two steps, in shares.

Brian2 rounds a delay to whole steps. So that a delay has a gradient, each synapse is there once for
every number of steps that its delay may have, and passes the share
$\max(0, 1 - |d/dt - k|)$ of what it adds at k steps: all of it at one step where the delay is a
whole number of steps, as in Brian2, and a mixture of two neighbours in between. The derivative by
the delay is the difference between neighbours; on a whole number it is the mean of both sides.

Source: interpolated delays with a triangle of one step: Hammouamri, Khalfaoui-Hassani & Masquelier
2024, arXiv:2306.17670, who widen it and let it shrink during training.
"""

import ast
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mirrorneuron.errors import GradientError
from mirrorneuron.units import Dimensions

from ..program import Array, Deliver, Group, Pathway, Program, Ref, Statement, Variable
from .expression import parse
from .step import Accumulate, Define, operations

SECOND = Dimensions(s=1.0)
SHARE = "0.5*clip(1 - abs(_late), 0, 1) + 0.5*where(abs(_late) < 1, 1 - abs(_late), 0)"


def delayed_pathway(program: Program, key: str) -> Pathway | None:
    """The pathway whose delay a name means, "ee.delay"; None if it means something else."""
    owner, _, name = key.rpartition(".")
    known = key in program.variables or f"{owner}_pre" not in program.pathways
    return None if name != "delay" or known else program.pathways[f"{owner}_pre"]


def with_trained_delays(program: Program, longest: Mapping[str, float | None]) -> Program:
    """A network in which some delays are variables.

    Arguments:
        program: The network.
        longest: Name of a delay, "ee.delay", to the longest that it may become [s]; None for twice
            the longest that there is, and ten steps at least.

    Raises:
        GradientError: Synapses with a trained delay do more than add to variables of neurons.
    """
    for key, most in longest.items():
        path = delayed_pathway(program, key)
        if path is not None:
            program = _with_delay(program, key, path, most)
    return program


def longest_delay(program: Program, key: str) -> float:
    """Longest delay that a trained one may become [s]."""
    path = program.pathways[f"{key.rpartition('.')[0]}_pre"]
    return path.max_delay * program.trained_delays[key]


def _with_delay(program: Program, key: str, path: Pathway, most: float | None) -> Program:
    step = program.every(path.event) * program.dt
    steps = max(2 * path.max_delay, 10) if most is None else int(np.ceil(most / step - 1e-9))
    steps = max(steps, path.max_delay)
    synapse = np.repeat(np.arange(len(path.delay)), steps + 1)
    number = np.tile(np.arange(steps + 1), len(path.delay))
    owner, copies = path.owner, f"{path.name}_delays"
    scalar = path.shared
    value = np.array(path.delay[0] * step) if scalar else path.delay * step
    variables = {
        **program.variables,
        key: Variable(owner, "delay", SECOND, np.asarray(value, dtype=float), "float", scalar),
        f"{copies}.steps": Variable(copies, "steps", Dimensions(), number.astype(float), "float",
                                    False, read_only=True),
    }  # fmt: skip
    indices = {**program.indices, f"{copies}.of": synapse}
    slots = tuple(
        _shared_out(program, slot, key, copies, synapse, step, indices, scalar)
        if isinstance(slot, Deliver) and slot.pathway == path.name else slot
        for slot in program.slots
    )  # fmt: skip
    pending = path.pending.copy()
    if len(pending):
        pending[:, 1] = pending[:, 1] * (steps + 1) + path.delay[pending[:, 1]]
    longer = replace(path, owner=copies, source=path.source[synapse], delay=number,
                     pending=pending, written=None, shared=False)  # fmt: skip
    groups = {**program.groups, copies: Group(name=copies, kind="Delays", size=len(synapse))}
    return replace(
        program, variables=variables, indices=indices, slots=slots, groups=groups,
        pathways={**program.pathways, path.name: longer},
        trained_delays={**program.trained_delays, key: step},
    )  # fmt: skip


def _shared_out(
    program: Program,
    slot: Deliver,
    key: str,
    copies: str,
    synapse: Array,
    step: float,
    indices: dict[str, Array],
    shared: bool,
) -> Deliver:
    """A slot of synapses that each pass a share of what they add."""
    _require_additions(program, slot, key)
    refs: dict[str, Ref] = {
        name: _through(program, ref, copies, synapse, indices) for name, ref in slot.refs.items()
    }
    refs["_delay"] = Ref(key, None if shared else f"{copies}.of")
    refs["_steps"] = Ref(f"{copies}.steps")
    late = _line("_late", f"_delay/{step!r} - _steps")
    share = _line("_share", SHARE)
    changed = [late, share]
    for statement, operation in zip(slot.statements, operations(program, slot), strict=True):
        if isinstance(operation, Accumulate):
            whole = ast.BinOp(statement.tree, ast.Mult(), parse("_share"))
            statement = replace(statement, expression=ast.unparse(whole))
        changed.append(replace(statement, scalar=False))
    functions = {**slot.functions, "clip": "clip", "abs": "abs", "where": "where"}
    return replace(slot, owner=copies, size=len(synapse), scalar=(), vector=tuple(changed),
                   refs=refs, functions=functions)  # fmt: skip


def _line(target: str, expression: str) -> Statement:
    return Statement(target, ":=", expression, "float", False)


def _through(
    program: Program, ref: Ref, copies: str, synapse: Array, indices: dict[str, Array]
) -> Ref:
    """What a copy of a synapse sees of a variable."""
    if ref.index is None:
        scalar = program.variables[ref.variable].scalar
        return ref if scalar else Ref(ref.variable, f"{copies}.of")
    name = f"{copies}.{ref.index.rpartition('.')[2]}"
    indices[name] = program.indices[ref.index][synapse]
    return Ref(ref.variable, name)


def _require_additions(program: Program, slot: Deliver, key: str) -> None:
    for operation in operations(program, slot):
        if not isinstance(operation, Accumulate | Define):
            raise GradientError(
                f"mirror(net, train=[{key!r}]): synapses with a trained delay add to variables of"
                f" neurons, in shares, and {slot.name} also changes {operation.name!r}, which has"
                " no share. Leave the delay out, or let on_pre hold '... += ...' to a neuron alone."
            )
