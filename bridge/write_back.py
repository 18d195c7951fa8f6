"""Write trained values back into Brian2 objects, each to its own neuron or edge."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from brian2 import Network, PoissonInput
from brian2.core.variables import ArrayVariable

from mirrorneuron.errors import UnitError, UnknownName, WriteBackError
from mirrorneuron.units import Dimensions, quantity

from .program import Array, Program


class _Change(NamedTuple):
    """A value that is ready to be written."""

    owner: Any
    name: str
    value: Any


def write_back(program: Program, values: Mapping[str, Array], network: Any) -> None:
    """Write `values` into the objects of `network`, all of them or none.

    Arguments:
        program: Where the values come from: order of the synapses, units.
        values: Key to SI floats.
        network: Brian2 network with objects of the same names.

    Raises:
        UnknownName, UnitError, WriteBackError: See `Mirror.write_back`.
    """
    if not isinstance(network, Network):
        raise WriteBackError(
            f"write_back(network={network!r}): that is no Brian2 Network, in which objects could be"
            " found by their names. Write model.write_back(Network(...)), or leave it out for the"
            " network that was mirrored."
        )
    changes = [
        _change(program, key, _unrounded(program, key, value), network)
        for key, value in values.items()
    ]
    for owner, name, value in changes:
        _write(owner, name, value)


def stale(
    program: Program, values: Mapping[str, Array], script: Mapping[str, str]
) -> dict[str, str]:
    """Variables of a script that no longer hold what the network does, with both values.

    Arguments:
        program: As the network was read.
        values: What was written, in SI floats.
        script: Constant, by "object.name", to the variable that held it.
    """
    found: dict[str, str] = {}
    for key, name in script.items():
        before, now = float(program.initial(key)), float(_unrounded(program, key, values[key]))
        if before != now:
            old, new = (quantity(x, program.unit(key)) for x in (before, now))
            found[name] = f"{old}, in the network {new}"
    return found


def _unrounded(program: Program, key: str, value: Array) -> Array:
    """Values that training moved, and where it moved nothing those that were read.

    In single precision 20 ms is 19.99999955 ms: what nobody trained would be written as that.
    """
    start = np.broadcast_to(np.asarray(program.initial(key), dtype=float), np.shape(value))
    with np.errstate(over="ignore"):
        return np.where(start.astype(np.float32) == value, start, value)


def _change(program: Program, key: str, value: Array, network: Any) -> _Change:
    owner_name, name = key.split(".", 1)
    if owner_name not in network:
        known = [obj.name for obj in network.objects]
        raise UnknownName.among(f"write_back(): object {owner_name!r}", owner_name, known)
    owner = network[owner_name]
    if not np.all(np.isfinite(value)):
        raise WriteBackError(
            f"write_back(): {key} holds NaN or infinite values, so training went wrong. The"
            f" values of {owner_name!r} were kept. Go back to a checkpoint, or lower the step."
        )
    if key not in program.variables:
        return _constant(program, key, value, owner)
    if key in program.trained_delays:
        owner = owner.pre  # delays belong to the pathway
    variable = owner.variables.get(name)
    if not isinstance(variable, ArrayVariable):
        raise UnknownName.among(f"write_back(): variable {key!r}", name, owner.variables)
    expected, found = program.variables[key].unit, Dimensions.of(variable)
    if expected != found:
        raise UnitError(
            f"write_back(): {key} was trained in [{expected}], but {owner_name!r} declares it in"
            f" [{found}]. A value keeps its unit. Declare {name} with the unit it had, or mirror"
            " the new network."
        )
    if not variable.scalar and f"{owner_name}._synaptic_pre" in program.variables:
        value = value[_permutation(program, owner_name, network[owner_name])]
    elif variable.size != np.size(value):
        raise WriteBackError(
            f"write_back(): {key} holds {np.size(value)} values, but {owner_name!r} has"
            f" {variable.size} elements. Each value belongs to one element. Mirror the network"
            " that you want to write to."
        )
    return _Change(owner, name, value)


def _constant(program: Program, key: str, value: Array, owner: Any) -> _Change:
    """A constant of a namespace, which takes it as a quantity."""
    owner_name, name = key.split(".", 1)
    unit = program.unit(key)
    if isinstance(owner, PoissonInput):
        return _weight(key, value, unit, owner)
    if name in owner.variables:
        raise WriteBackError(
            f"write_back(): {key} was a constant of a namespace, but is a variable of"
            f" {owner_name!r} here. Mirror the network that you want to write to."
        )
    found = Dimensions.of(owner.namespace.get(name, quantity(0.0, unit)))
    if unit != found:
        raise UnitError(
            f"write_back(): {key} was trained in [{unit}], but {owner_name!r} holds it in"
            f" [{found}]. A value keeps its unit. Give the namespace a quantity in [{unit}]."
        )
    return _Change(owner, name, quantity(float(value), unit))


def _weight(key: str, value: Array, unit: Dimensions, owner: PoissonInput) -> _Change:
    """The weight of a PoissonInput."""
    found = Dimensions.of(owner.group.variables[owner.target_var])
    if unit != found:
        raise UnitError(
            f"write_back(): {key} was trained in [{unit}], but {owner.name!r} adds to a variable in"
            f" [{found}]. A weight has the unit of what it is added to. Mirror the network that you"
            " want to write to."
        )
    return _Change(owner, "weight", quantity(float(value), unit))


def _permutation(program: Program, owner: str, synapses: Any) -> Array:
    """Position in the mirror of each synapse of the network, found by its edge."""
    ours = _edges(
        *(program.variables[f"{owner}.{n}"].value for n in ("_synaptic_pre", "_synaptic_post"))
    )
    theirs = _edges(
        *(synapses.variables[n].get_value() for n in ("_synaptic_pre", "_synaptic_post"))
    )
    our_order, their_order = np.lexsort(ours.T[::-1]), np.lexsort(theirs.T[::-1])
    if len(ours) != len(theirs) or not np.array_equal(ours[our_order], theirs[their_order]):
        raise WriteBackError(
            f"write_back(): the synapses of {owner!r} connect other neurons than those that were"
            f" mirrored ({len(theirs)} synapses, mirrored {len(ours)}). A weight belongs to an"
            " edge (i, j, k). Connect the same edges, in any order, or mirror the new network."
        )
    found = np.empty(len(ours), dtype=np.int64)
    found[their_order] = our_order
    return found


def _edges(pre: Array, post: Array) -> Array:
    """Rows (i, j, k): k counts the synapses of a pair."""
    order = np.lexsort((post, pre))
    pair = np.stack([pre[order], post[order]], axis=1)
    new = np.ones(len(pair), dtype=bool)
    new[1:] = np.any(pair[1:] != pair[:-1], axis=1)
    start = np.maximum.accumulate(np.where(new, np.arange(len(pair)), 0))
    k = np.empty(len(pair), dtype=np.int64)
    k[order] = np.arange(len(pair)) - start
    return np.stack([pre, post, k], axis=1)


def _write(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, PoissonInput):
        owner._weight = value  # pyright: ignore[reportPrivateUsage]
        head, call, _ = owner.abstract_code.partition("()*")
        owner.abstract_code = f"{head}{call}{_exact_text(value)}"
        return
    variable = owner.variables.get(name)
    if variable is None:
        owner.namespace[name] = value
        return
    shaped = np.asarray(value, dtype=variable.dtype).reshape(-1)
    variable.set_value(shaped if not variable.scalar else shaped[0])


def _exact_text(value: Any) -> str:
    """A quantity as Brian2 writes it into code, but with all its digits."""
    unit = repr(quantity(1.0, Dimensions.of(value))).removeprefix("1.").removeprefix("0")
    return f"{float(value)!r}{unit}"
