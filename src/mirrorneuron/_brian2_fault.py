"""Faults that Brian2 finds in a network, as errors of ours that say where and what to write."""

import difflib
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .errors import MirrorNeuronError, NetworkError

UNRESOLVED = re.compile(r'The identifier "(\w+)" could not be resolved')
FILE = re.compile(r"File '(?P<file>[^']+)', line (?P<line>\d+)[^\n]*(?:\n\s*(?P<code>[^\n]*))?")
REMEDIES = {
    "could not be resolved": "Define it in the equations, in the group's namespace=..., or as a"
    " variable of the script before this line.",
    "connect": "Write {owner}.connect(), or {owner}.active = False while it has no synapses.",
    "units": "Give both sides the same unit: write, say, v > -50*mV where v is in volt.",
    "unit ": "Give both sides the same unit: write, say, v > -50*mV where v is in volt.",
    "could not be separated": "Write method='exponential_euler', 'euler' or 'rk4'.",
    "state updater": "Write one of Brian2's methods: 'exact', 'exponential_euler', 'euler', 'rk2',"
    " 'rk4', 'heun' or 'milstein'.",
    "not a boolean": "Write a comparison: 'v > 1'.",
    "Relational": "Write int(...) around a truth value that is computed with: 0.3*int(v > 0.7).",
    "argument": "Look the function's arguments up in Brian2's list of functions.",
}


@contextmanager
def told(
    asked: str, names: Mapping[str, Any], network: Any, cannot: str = "prepare"
) -> Generator[None]:
    """Raise what Brian2 finds wrong with a network as an error of ours.

    Arguments:
        asked: What was called.
        names: Names that equations may use.
        network: The network.
        cannot: What Brian2 was to do.

    Raises:
        NetworkError: Also of the type that Brian2 has for the fault.
    """
    try:
        yield
    except MirrorNeuronError:
        raise
    except Exception as error:
        fault = root(error)
        message = f"{asked}: {_message(error, fault, names, network, cannot)}"
        raise NetworkError.like(fault, message) from error


def root(error: BaseException) -> BaseException:
    """The error that an error came from first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _message(
    error: BaseException,
    fault: BaseException,
    names: Mapping[str, Any],
    network: Any,
    cannot: str,
) -> str:
    text = str(fault.args[0]) if isinstance(fault, KeyError) and fault.args else str(fault)
    text = text.strip().rstrip(".")
    links = [link for link in _links(error) if hasattr(link, "_brian_objname")]
    name = str(getattr(links[0], "_brian_objname", "")) if links else ""
    where = FILE.search(str(getattr(links[0], "_brian_objcreate", ""))) if links else None
    found = [f"Brian2 cannot {cannot} {repr(name) if name else 'the network'}"]
    if where:
        found.append(f", made in line {where['line']} of {where['file']}")
        found.append(f" ({where['code'].strip()})" if where["code"] else "")
    owner = _owner(name, network)
    return f"{''.join(found)}: {text}.{_nearest(text, names, owner)} {_remedy(text, owner)}".strip()


def _links(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _owner(name: str, network: Any) -> Any:
    """The object that a user made, of which Brian2 names a part."""
    parts = (obj for obj in network.sorted_objects if obj.name == name)
    part = next(parts, None)
    return getattr(part, "synapses", getattr(part, "group", part))


def _nearest(text: str, names: Mapping[str, Any], owner: Any) -> str:
    """Names like one that Brian2 does not know."""
    unknown = UNRESOLVED.search(text)
    if not unknown:
        return ""
    known = {
        *names,
        *getattr(owner, "variables", ()),
        *getattr(owner, "namespace", ()),
    }
    near = difflib.get_close_matches(unknown[1], [n for n in known if not n.startswith("_")], n=2)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _remedy(text: str, owner: Any) -> str:
    found = (remedy for part, remedy in REMEDIES.items() if part in text)
    return next(found, "").format(owner=getattr(owner, "name", "synapses"))
