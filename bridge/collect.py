"""Collect: a network from what people have, and what `run()` would leave out of it."""

import gc
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from brian2 import EventMonitor, Network, PopulationRateMonitor, SpikeMonitor, StateMonitor
from brian2.core.base import BrianObject
from brian2.core.magic import MagicNetwork, magic_network

from mirrorneuron._callers import callers_level
from mirrorneuron._restored_delays import stored_without_delays
from mirrorneuron.errors import DomainError, DomainWarning

from .read import unmarked, with_contained

MONITORS = (EventMonitor, PopulationRateMonitor, SpikeMonitor, StateMonitor)
NOT_THEIRS = {"brian2", "mirrorneuron", "torch", "numpy", "matplotlib", "IPython", "pytest"}
DEEPEST, LARGEST = 3, 100_000


class Held(NamedTuple):
    """Brian2 objects to which no name of their own refers.

    Arguments:
        where: What holds them, as a script writes it.
        objects: The objects.
        how: What is to be written in `Network(...)`, after its other objects.
    """

    where: str
    objects: list[Any]
    how: str


def as_network(given: Any, names: Mapping[str, Any]) -> Network:
    """A network from what people have.

    Arguments:
        given: A Network; a list of objects; or None or `magic_network`, for the objects that
            `run()` would take: those that have a name in the caller's scope.
        names: That scope.

    Raises:
        DomainError: It is none of these, nothing is there, or something is that `run()` would
            leave out.
    """
    network = _network_of(given, names)
    if forgotten := stored_without_delays(given if isinstance(given, Network) else network):
        _say(
            f"mirror(net): the network was stored before mirrorneuron was imported, and Brian2's"
            f" restore() does not bring delays back: those of {', '.join(forgotten)} are mirrored"
            " as they are now. Import mirrorneuron before store(), or set the delays after"
            " restore()."
        )
    return network


def _network_of(given: Any, names: Mapping[str, Any]) -> Network:
    if isinstance(given, Network) and not isinstance(given, MagicNetwork):
        return given
    if given is None or isinstance(given, MagicNetwork):
        found = (x for x in names.values() if isinstance(x, BrianObject) and _in_scope(x))
        objects = list({id(x): x for x in found}.values())
        _require_none_missed(objects, names)
        if not objects:
            raise DomainError(
                "mirror(): there is no Brian2 object among the names here, so nothing to mirror."
                " Write mirror(Network(...)) with the objects."
            )
        return _made_of(objects)
    if isinstance(given, list | tuple | set):
        objects = list(cast("list[Any]", given))
        wrong = [x for x in objects if not isinstance(x, BrianObject)]
        if objects and not wrong:
            return _made_of(objects)
    raise DomainError(
        f"mirror({type(given).__name__}): that is no network. Give a Brian2 Network, a list of"
        " Brian2 objects, or nothing for those that run() would take."
    )


def _in_scope(obj: Any) -> bool:
    """Whether `run()` would take an object, given a name: it was made after `start_scope()`."""
    present: Any = BrianObject
    return obj.add_to_magic_network and obj._scope_key == present._scope_current_key


def left_out(network: Network, names: Mapping[str, Any]) -> Iterator[str]:
    """What a script's network does not have and may be meant to have, in words."""
    there = {id(obj) for obj in network.sorted_objects}
    named = set[int]()
    for held in held_elsewhere(names):
        missed = [x for x in held.objects if id(x) not in there]
        if missed:
            named |= {id(x) for x in missed}
            yield (
                f"{held.where} holds Brian2 objects that are not in the network"
                f" ({', '.join(x.name for x in missed[:5])}{', …' if len(missed) > 5 else ''}), as"
                " run() takes only those that have a name of their own. Write Network(...) with"
                " all of them."
            )
    for obj in linked(network.sorted_objects):
        if id(obj) not in named:
            yield (
                f"{obj.name!r} acts on objects of the network, or they need it, and it is not"
                " in the network. Add it, or delete it where it is not meant."
            )


def held_elsewhere(names: Mapping[str, Any]) -> Iterator[Held]:
    """Objects in lists, tuples, sets and mappings, also in one another, and in attributes."""
    for name, value in names.items():
        if name.startswith("_") or name in ("In", "Out"):  # where IPython keeps what it has shown
            continue
        objects = [x for x in _inside(value, DEEPEST) if _in_scope(x)]
        if objects and _holds_in_attributes(value):
            yield Held(f"an attribute of {name!r}", objects, f"{name}....")
        elif objects:
            yield Held(repr(name), objects, name)


def _inside(value: Any, depth: int) -> Iterator[Any]:
    """Brian2 objects in a container, or in the attributes of an object of the script's own."""
    if not depth or isinstance(value, BrianObject | Network):
        return
    for part in _parts(value):
        if isinstance(part, BrianObject):
            yield part
        else:
            yield from _inside(part, depth - 1)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        several = cast(dict[Any, Any], value).values()
    elif isinstance(value, list | tuple | set | frozenset):
        several = cast(list[Any], value)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        several = cast(list[Any], value.ravel().tolist())
    elif _holds_in_attributes(value):
        several = vars(value).values()
    else:
        return ()
    return list(several) if len(several) <= LARGEST else ()


def _holds_in_attributes(value: Any) -> bool:
    """Whether it is an object of a class that the script, or a library of its author, has."""
    kind: Any = type(value)
    root = str(kind.__module__).partition(".")[0]
    foreign = root in NOT_THEIRS or (root in sys.stdlib_module_names and root != "__main__")
    return not foreign and not isinstance(value, type) and isinstance(_dict_of(value), dict)


def _dict_of(value: Any) -> Any:
    try:
        return vars(value)
    except TypeError:
        return None


def linked(objects: Iterable[Any]) -> list[Any]:
    """Objects that act on some, or that some need, and that belong to no network."""
    found = {id(x) for obj in objects for x in with_contained(obj)}
    if not _strangers(objects, found):
        return []
    gc.collect()  # what an earlier cell of a notebook made, and nothing holds any more
    return _strangers(objects, found)


def _strangers(objects: Iterable[Any], found: set[int]) -> list[Any]:
    ids = {x.id for x in objects}
    needed = {k for x in objects for k in x._dependencies}  # pyright: ignore
    alive = [x for ref in list(BrianObject.__instances__()) if (x := ref()) is not None]
    taken = _in_networks()
    strangers = (
        x for x in alive
        if _in_scope(x) and id(x) not in found and id(x) not in taken
        and not isinstance(x, MONITORS) and not _is_contained(x)
    )  # fmt: skip
    return sorted(
        (x for x in strangers if x.id in needed or x._dependencies & ids),  # pyright: ignore
        key=lambda x: x.name,
    )


def _is_contained(obj: Any) -> bool:
    """Whether it belongs to another object, as the reset of a group does."""
    return hasattr(obj, "group") and hasattr(obj, "code_objects") and obj.group is not None


def _in_networks() -> set[int]:
    networks = [x for ref in list(Network.__instances__()) if (x := ref()) is not None]
    made = (n for n in networks if not isinstance(n, MagicNetwork) and hasattr(n, "objects"))
    return {id(obj) for network in made for obj in network.objects}


def _require_none_missed(objects: list[Any], names: Mapping[str, Any]) -> None:
    """Refuse to leave out what is kept in lists, and say what else is left out.

    Raises:
        DomainError: Something is.
    """
    found = {id(x) for obj in objects for x in with_contained(obj)}
    elsewhere = _in_networks()
    for held in held_elsewhere(names):
        apart = elsewhere if held.how != held.where[1:-1] else ()
        missed = [x.name for x in held.objects if id(x) not in found and id(x) not in apart]
        if missed:
            raise DomainError(
                f"mirror(): {held.where} holds {', '.join(missed)}, which run() would leave out, as"
                " it takes only objects that have a name of their own here. Write"
                f" mirror(Network(..., {held.how})) with all that belongs to the network."
            )
    for obj in linked(objects):
        _refuse_or_say(obj, objects)


def _refuse_or_say(obj: Any, objects: list[Any]) -> None:
    needing = [x.name for x in objects if obj.id in x._dependencies]  # pyright: ignore
    if needing:
        raise DomainError(
            f"mirror(): {', '.join(needing)} {'needs' if len(needing) == 1 else 'need'}"
            f" {obj.name!r}, to which no name refers here, so that run() would leave them out."
            " Write mirror(Network(...)) with all that belongs to the network."
        )
    _say(
        f"mirror(): {obj.name!r} acts on objects that have a name here, and has none itself: run()"
        " leaves it out, and so does the mirror. Write mirror(Network(...)) with all that belongs"
        " to the network, or delete it."
    )


def _made_of(objects: list[Any]) -> Network:
    """A network of objects that may have been run in another one, at the time of that."""
    everything = {id(x): x for obj in objects for x in with_contained(obj)}.values()
    run_before = any(x._network == magic_network.id for x in everything)  # pyright: ignore
    with unmarked(everything):
        made: Any = Network(*objects)
    if run_before:
        made.t_ = float(magic_network.t_)
    return made


def _say(text: str) -> None:
    warnings.warn(text, DomainWarning, stacklevel=callers_level())
