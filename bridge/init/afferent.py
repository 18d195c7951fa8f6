"""Afferents: from which group each weight comes, and which membranes it moves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mirrorneuron.errors import DomainError

from ..mirror import Mirror
from ..program import Array, Deliver, Pathway, Program, Slot, Sum

POST = "._synaptic_post"


@dataclass(frozen=True, eq=False)
class Afferent:
    """The weights of one `Synapses` object.

    Arguments:
        key: Name of the weights, "ee.w".
        pathway: Along which spikes arrive.
        source, post: Groups at both ends.
        index: Element of `post` at which each synapse ends.
        size: Number of elements of `post`.
    """

    key: str
    pathway: Pathway
    source: str
    post: str
    index: Array
    size: int

    @property
    def recurrent(self) -> bool:
        """Whether both ends are in one group."""
        return self.source == self.post

    @property
    def fan_in(self) -> Array:
        """Synapses that end at each element of `post`."""
        return np.bincount(self.index, minlength=self.size)

    @property
    def one_each(self) -> Array:
        """Whether a synapse is the first of those that end at its neuron."""
        chosen = np.zeros(len(self.index), dtype=bool)
        chosen[np.unique(self.index, return_index=True)[1]] = True
        return chosen


def afferents(model: Mirror, keys: Sequence[str] | None) -> list[Afferent]:
    """Weights that are to be set.

    Arguments:
        model: Its trained weights.
        keys: Which of them; None takes every trained variable that has one value for each synapse
            and that the delivery of spikes reads.

    Raises:
        UnknownName: A weight is not trained.
        DomainError: There is none; one has not a value for each synapse, or is no synapse's.
    """
    if isinstance(keys, str):
        raise DomainError(
            f"fluctuation_driven(weights={keys!r}): the weights are a list of names. Write"
            f" weights=[{keys!r}]."
        )
    chosen = list(_weights(model)) if keys is None else list(keys)
    if not chosen:
        raise DomainError(
            "fluctuation_driven(model): the model trains no weight that has one value for each"
            f" synapse (it trains {', '.join(model.limits) or 'nothing'}), so there is nothing to"
            " set. Write mirror(net, train=['ee.w']), with a variable 'w' of the Synapses."
        )
    return [_afferent(model, key) for key in chosen]


def _weights(model: Mirror) -> Iterator[str]:
    """Trained variables of synapses that the delivery of spikes reads."""
    program = model.program
    for key in model.limits:
        owner = key.partition(".")[0]
        if len(model.members[key]) != 1 or not _has_one_each(program, model.members[key][0]):
            continue
        if any(key in _read(slot) for slot in _delivering(program, owner)):
            yield key


def _has_one_each(program: Program, key: str) -> bool:
    """Whether a variable has a value for each synapse."""
    variable = program.variables.get(key)
    return variable is not None and not variable.scalar and variable.owner in _posts(program)


def _posts(program: Program) -> dict[str, str]:
    """`Synapses` objects that receive spikes, and the groups that they act on."""
    found: dict[str, str] = {}
    for pathway in program.pathways.values():
        if pathway.side != "pre":
            continue
        for slot in _delivering(program, pathway.owner):
            for key in _changed_behind(slot):
                found[pathway.owner] = program.variables[key].owner
    return found


def _delivering(program: Program, owner: str) -> Iterator[Slot]:
    """What carries spikes through a `Synapses` object to its targets."""
    paths = {p.name for p in program.pathways.values() if p.owner == owner and p.side == "pre"}
    for slot in program.slots:
        if slot.owner == owner and (
            isinstance(slot, Sum) or (isinstance(slot, Deliver) and slot.pathway in paths)
        ):
            yield slot


def _changed_behind(slot: Slot) -> Iterator[str]:
    """Variables of postsynaptic elements that a slot changes."""
    if isinstance(slot, Sum):
        if str(slot.target.index).endswith(POST):
            yield slot.target.variable
        return
    for statement in slot.statements:
        ref = slot.refs.get(statement.target)
        if ref is not None and str(ref.index).endswith(POST):
            yield ref.variable


def _read(slot: Slot) -> set[str]:
    return {ref.variable for ref in slot.refs.values()}


def _afferent(model: Mirror, key: str) -> Afferent:
    """The weights of a name."""
    model.parameter(key)  # or it says what is trained
    program, owner = model.program, key.partition(".")[0]
    posts = _posts(program)
    if owner not in posts:
        known = ", ".join(posts) or "none"
        raise DomainError(
            f"fluctuation_driven(weights=[{key!r}]): {owner!r} carries no spikes to the neurons"
            f" behind it (those that do: {known}), so that no membrane fluctuates by it. Name"
            " weights of Synapses whose on_pre acts on a variable of the target."
        )
    if not _has_one_each(program, key):
        raise DomainError(
            f"fluctuation_driven(weights=[{key!r}]): {key} has one value for all synapses, and"
            f" weights are drawn one by one. Give {owner!r} a variable for each synapse: write"
            " 'w : unit' in its model, without (shared), and train that."
        )
    paths = [p for p in program.pathways.values() if p.owner == owner and p.side == "pre"]
    post = posts[owner]
    source = paths[0].event.partition(".")[0]
    index = program.indices[f"{owner}{POST}"]
    return Afferent(key, paths[0], source, post, index, program.groups[post].size)
