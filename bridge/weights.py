"""Weights: synaptic values as tables (i, j) and as matrices, with their units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError, UnknownName
from mirrorneuron.units import Dimensions, quantity, si

from .mirror import Mirror
from .program import Array


@checked
@dataclass(frozen=True)
class Weights:
    """A variable of synapses, with what each of them connects; a table with one row a synapse.

    Arguments:
        i, j: Presynaptic and postsynaptic neuron, counted in the whole groups.
        value: Of each synapse, a Quantity; plain numbers in SI units where Brian2 is not installed.
        shape: Number of presynaptic and of postsynaptic neurons.
        key: Name of the variable.
    """

    i: Array
    j: Array
    value: Any
    shape: tuple[int, int]
    key: str

    @checked
    def matrix(self, empty: float = 0.0) -> Any:
        """The values as a matrix "pre post", a Quantity.

        Arguments:
            empty: In SI units, where there is no synapse.

        Raises:
            ShapeError: Two neurons have several synapses.
        """
        require_single(self.i, self.j, self.key)
        found = np.full(self.shape, empty, dtype=float)
        found[self.i, self.j] = np.asarray(self.value)
        return quantity(found, Dimensions.of(self.value))

    def __len__(self) -> int:
        return len(self.i)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.i, self.j, self.value))


@checked
def weights(model: Mirror, key: str) -> Weights:
    """Values of a synaptic variable as they are now, with what each synapse connects.

    Arguments:
        model: What `mirror` made.
        key: The variable, "ee.w", trained or not.

    Returns:
        A table, `i, j, value = mn.weights(model, "ee.w")`, which also gives the matrix.

    Raises:
        UnknownName: There is no such variable.
        DomainError: It does not belong to synapses.
    """
    i, j, shape = _edges(model, key, f"weights(model, {key!r})")
    present = model.present(key).detach() if key in model.keys else model.values.of(key)
    value = np.broadcast_to(present.cpu().double().numpy().reshape(-1), len(i)).copy()
    return Weights(i, j, quantity(value, model.unit(key)), shape, key)


@checked
def set_weights(model: Mirror, key: str, value: Any) -> None:
    """Give a trained synaptic variable other values.

    Arguments:
        model: What `mirror` made. Limits hold: a value outside is moved to the border.
        key: The variable, "ee.w".
        value: A matrix "pre post", or a table `(i, j, value)` with one row for each synapse in any
            order. A Quantity.

    Raises:
        UnknownName: There is no such variable, or it is not trained.
        UnitError: It has another unit.
        ShapeError: It has another shape, or names synapses that are not there.
        DomainError: It does not belong to synapses, or a value is not finite.
    """
    asked = f"set_weights(model, {key!r}, ...)"
    i, j, shape = _edges(model, key, asked)
    parameter = model.parameter(key)
    if isinstance(value, Weights | tuple):
        found = _from_table(asked, *_columns(asked, value), i, j, model.unit(key))
    else:
        found = _from_matrix(asked, key, value, i, j, shape, model.unit(key))
    if not np.isfinite(found).all():
        first = int(np.flatnonzero(~np.isfinite(found))[0])
        raise DomainError(
            f"{asked}: the value from {i[first]} to {j[first]} is {found[first]}. A weight is a"
            " finite number. The parameter was left as it is."
        )
    if parameter.numel() != len(found):
        raise ShapeError(
            f"{asked}: {key} is one value for all synapses. Write model.parameter({key!r}).fill_()."
        )
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(found).to(parameter).reshape(parameter.shape))


def _columns(asked: str, value: Any) -> tuple[Array, Array, Any]:
    """The three columns of a table."""
    columns = tuple(value)
    if len(columns) != 3 or any(np.ndim(x) != 1 for x in columns[:2]):
        raise ShapeError(f"{asked}: a table is three columns. Write (i, j, value).")
    i, j, values = columns
    return np.asarray(i), np.asarray(j), values


def _edges(model: Mirror, key: str, asked: str) -> tuple[Array, Array, tuple[int, int]]:
    """Both ends of each synapse, and the sizes of both groups."""
    variables = model.program.variables
    owner, _, name = key.partition(".")
    if key not in variables:
        known = [k for k in variables if f"{k.partition('.')[0]}._synaptic_pre" in variables]
        known = [k for k in known if not k.partition(".")[2].startswith("_")]
        raise UnknownName.among(asked, key, known)
    ends = [variables.get(f"{owner}._synaptic_{side}") for side in ("pre", "post")]
    if ends[0] is None or ends[1] is None:
        raise DomainError(
            f"{asked}: {owner!r} are no synapses, so that {name} has no (i, j). Write"
            f" model.parameter({key!r}), which has one value for each element."
        )
    i, j = (np.asarray(end.value, dtype=np.int64) for end in ends if end is not None)
    sizes = [_size(model, f"{owner}.N_{n}", x) for n, x in (("outgoing", i), ("incoming", j))]
    return i, j, (sizes[0], sizes[1])


def _size(model: Mirror, counts: str, index: Array) -> int:
    """Number of neurons at one end."""
    known = model.program.variables.get(counts)
    least = int(index.max()) + 1 if len(index) else 0
    return max(least, known.value.size if known is not None else 0)


def require_single(i: Array, j: Array, key: str) -> None:
    """Refuse a matrix of synapses of which two connect the same neurons.

    Raises:
        ShapeError: Names the first such pair.
    """
    pairs, counts = np.unique(np.stack([i, j]), axis=1, return_counts=True)
    if np.any(counts > 1):
        first = pairs[:, np.flatnonzero(counts > 1)[0]]
        raise ShapeError(
            f"{key}: from {first[0]} to {first[1]} there are {counts.max()} synapses, and a matrix"
            " has one value for each pair. Use the table: i, j, value = mn.weights(model,"
            f" {key!r})."
        )


def _from_matrix(
    asked: str, key: str, value: Any, i: Array, j: Array, shape: tuple[int, int], unit: Dimensions
) -> Array:
    whole = np.asarray(si(value, unit, f"{asked}: the matrix"))
    if whole.shape != shape:
        raise ShapeError(
            f"{asked}: the matrix has the shape {whole.shape}, expected (pre, post) = {shape}. Give"
            " one row for each presynaptic neuron, or a table (i, j, value)."
        )
    require_single(i, j, key)
    outside = np.nan_to_num(whole, nan=0.0).copy()
    outside[i, j] = 0
    if np.any(outside):
        a, b = (int(k[0]) for k in np.nonzero(outside))
        raise ShapeError(
            f"{asked}: the matrix has a value from {a} to {b}, where there is no synapse. A mirror"
            " has the synapses of its network. Set it to 0, or connect it before mirror(net)."
        )
    return whole[i, j]


def _from_table(
    asked: str, given_i: Array, given_j: Array, value: Any, i: Array, j: Array, unit: Dimensions
) -> Array:
    plain = np.asarray(si(value, unit, f"{asked}: the values")).reshape(-1)
    same = len(given_i) == len(given_j) == len(plain) == len(i)
    ours, theirs = _order(i, j), _order(given_i, given_j) if same else i
    pairs = np.stack([given_i, given_j]) if same else np.zeros((2, len(given_i)))
    if not same or not np.array_equal(pairs[:, theirs], np.stack([i, j])[:, ours]):
        raise ShapeError(
            f"{asked}: the table has {pairs.shape[1]} rows (i, j) and {len(plain)} values, which"
            f" are not the {len(i)} synapses of the model. Give one row for each, in any order,"
            " as mn.weights has them."
        )
    found = np.empty(len(i))
    found[ours] = plain[theirs]
    return found


def _order(i: Array, j: Array) -> Array:
    """Rows in the order of (i, j), those of one pair as they come."""
    return np.lexsort((j, i))
