"""A network as text and arrays: what another Python with another Brian2 needs to make it anew.

What the makers of its objects were given is taken down while `build` runs; connections and values
are those that it left. So nothing is drawn a second time.
"""

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    Quantity,
    SpikeGeneratorGroup,
    Subgroup,
    Synapses,
)
from brian2.core.variables import ArrayVariable
from brian2.groups.group import Group
from brian2.utils.stringtools import get_identifiers

from mirrorneuron.errors import BuildError
from mirrorneuron.units import Dimensions

from ._contracts import Array

MADE = (NeuronGroup, PoissonGroup, PoissonInput, SpikeGeneratorGroup, Synapses)
LEFT_OUT = ("self", "name", "namespace", "clock", "codeobj_class")
DEFAULTS = {"lastspike": -1e4, "not_refractory": 1, "delay": 0, "lastupdate": 0}
Calls = dict[str, list[dict[str, Any]]]


@contextmanager
def noting() -> Generator[Calls]:
    """Take down what objects are made of, and the code that they run regularly."""
    calls: Calls = {"made": [], "regular": []}
    undo: list[tuple[type, str, Any]] = []

    def note(owner: type, method: str, kind: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)
        signature = inspect.signature(getattr(original, "_orig_func", original))  # check_units

        @wraps(original)
        def noted(*args: Any, **given: Any) -> Any:
            bound = signature.bind(*args, **given).arguments
            calls[kind].append({**bound, "self": args[0], "kind": owner.__name__})
            return original(*args, **given)

        undo.append((owner, method, original))
        setattr(owner, method, noted)

    try:
        for owner in MADE:
            note(owner, "__init__", "made")
        note(Group, "run_regularly", "regular")
        yield calls
    finally:
        for owner, method, original in undo:
            setattr(owner, method, original)


def portable(
    asked: str, network: Network, calls: Calls, namespace: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Text, for JSON, and arrays of a network.

    Raises:
        BuildError: Something in it is no text and no number.
    """
    writer = _Writer(asked, namespace)
    present = {obj.name for obj in network.objects}
    made = [call for call in calls["made"] if call["self"].name in present]
    regular = [call for call in calls["regular"] if _name(call["self"]) in present]
    text = {
        "objects": [writer.object(call) for call in made],
        "regular": [writer.call(call) for call in regular],
    }
    return text, writer.arrays


def _name(group: Any) -> str:
    return group.source.name if isinstance(group, Subgroup) else group.name


class _Writer:
    def __init__(self, asked: str, namespace: Mapping[str, Any]) -> None:
        self.asked, self.namespace = asked, namespace
        self.arrays: dict[str, Array] = {}

    def object(self, call: dict[str, Any]) -> dict[str, Any]:
        obj = call["self"]
        written = self.call(call)
        written |= {"name": obj.name, "dt": float(obj.clock.dt_), "values": []}
        written["given"].pop("dt", None)
        if isinstance(obj, Synapses):
            self.arrays[f"{obj.name}/i"] = np.array(obj.i[:])
            self.arrays[f"{obj.name}/j"] = np.array(obj.j[:])
        if not isinstance(obj, SpikeGeneratorGroup | PoissonInput):
            written["values"] = list(self._values(obj))
        if isinstance(obj, Synapses):
            for path in obj._pathways:  # pyright: ignore[reportPrivateUsage]
                if "delay" in path.variables and path.variables["delay"].scalar:
                    key = f"{obj.name}/{path.objname}/delay"
                    self.arrays[key] = np.array(path.variables["delay"].get_value())
        return written

    def _values(self, obj: Any) -> Any:
        for name, variable in obj.variables.items():
            own = getattr(getattr(variable, "owner", None), "name", None) == obj.name
            settable = isinstance(variable, ArrayVariable) and not variable.read_only
            if own and settable and not name.startswith("_") and not self._is_set(obj, name):
                self.arrays[f"{obj.name}/{name}"] = np.array(variable.get_value())
                yield name

    def _is_set(self, obj: Any, name: str) -> bool:
        """Whether a variable has its value by itself, and cannot be given one there.

        Raises:
            BuildError: It has another value.
        """
        if name not in DEFAULTS:
            return False
        value = np.asarray(obj.variables[name].get_value())
        if not isinstance(obj, Synapses) and not np.all(value == DEFAULTS[name]):
            raise BuildError(
                f"{self.asked}: {obj.name}.{name} was set, and Brian2GeNN takes no values for it."
                f" Leave it out, or write backend='genn'."
            )
        return True

    def call(self, call: dict[str, Any]) -> dict[str, Any]:
        given = {k: v for k, v in call.items() if k not in (*LEFT_OUT, "kind")}
        given |= given.pop("kwds", {})
        owner = call["self"]
        given = {k: self.value(owner, k, v) for k, v in given.items() if v is not None}
        return {
            "kind": call["kind"],
            "owner": self.value(owner, "self", owner),
            "given": given,
            "namespace": self._constants(owner, call),
        }

    def value(self, owner: Any, what: str, value: Any) -> Any:
        """A value as something that JSON holds; groups by name, arrays apart."""
        if isinstance(value, Subgroup):
            return {"group": value.source.name, "start": value.start, "stop": value.stop}
        if isinstance(value, Group):
            return {"group": value.name}
        if isinstance(value, str | bool | int):
            return value
        if isinstance(value, Mapping):
            held = cast(Mapping[str, Any], value)
            return {"each": {k: self.value(owner, what, v) for k, v in held.items()}}
        try:
            array = np.asarray(value, dtype=float if not _is_whole(value) else None)
        except (TypeError, ValueError):
            raise BuildError(
                f"{self.asked}: {_name(owner)!r} was made with {what}={value!r:.60}, which is no"
                " text and no number. Brian2GeNN runs in a Python of its own, which gets text and"
                " arrays. Write equations as text, and numbers in place of functions."
            ) from None
        key = f"given/{len(self.arrays)}"
        self.arrays[key] = array
        return {"array": key, "dims": _dims(value)}

    def _constants(self, owner: Any, call: dict[str, Any]) -> dict[str, Any]:
        """Numbers that the texts of an object name."""
        names = {n for v in call.values() for text in _texts(v) for n in get_identifiers(text)}
        group = owner.source if isinstance(owner, Subgroup) else owner
        held = {**self.namespace, **dict(getattr(group, "namespace", None) or {})}
        known = set(getattr(group, "variables", {}))
        found = {n: held[n] for n in sorted(names & set(held) - known)}
        return {
            n: self.value(owner, n, float(v) if isinstance(v, int | float) else v)
            for n, v in found.items()
            if isinstance(v, int | float | Quantity | np.ndarray | np.number)
        }


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    held = list(cast(Mapping[str, Any], value).values()) if isinstance(value, Mapping) else []
    return [text for v in held for text in _texts(v)]


def _is_whole(value: Any) -> bool:
    return not isinstance(value, Quantity) and np.asarray(value).dtype.kind in "iu"


def _dims(value: Any) -> list[float]:
    return list(Dimensions.of(value).exponents)
