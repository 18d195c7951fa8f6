"""Delays that Brian2 forgets when it restores a network, and that are kept here.

Before Brian2 2.10, `store` leaves the delays of synapses out, so that `restore` keeps those of the
moment (brian-team/brian2#1726). Here both do what the later ones do, from the import on.
"""

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ._callers import callers_level
from .errors import DomainWarning

MODULE = "brian2.synapses.synapses"
DELAY = "delay"
KEEPS_THEM = (2, 10)


def keep_delays() -> None:
    """Have `store` keep delays and `restore` bring them back, now or when Brian2 is imported."""
    if (loaded := sys.modules.get(MODULE)) is not None:
        _mend(loaded)
    elif not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())


def stored_without_delays(network: Any) -> list[str]:
    """Names of pathways whose delays a snapshot lacks: stored before mirrorneuron was imported."""
    if _brian2() >= KEEPS_THEM:
        return []
    snapshots = getattr(network, "_stored_state", {}).values()
    return sorted({n for s in snapshots for n, state in s.items() if _lacks_delay(state)})


def _lacks_delay(state: Any) -> bool:
    return isinstance(state, dict) and "_spikequeue" in state and DELAY not in state


def _version() -> str:
    from importlib.metadata import version  # only now: it takes a while, and Brian2 is rarely next

    return version("brian2")


def _brian2() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", _version())[:2]))


class _WhenImported(MetaPathFinder):
    """Mends the module as soon as Brian2 has executed it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own place, with a loader that mends it."""
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        others = (f for f in sys.meta_path if hasattr(f, "find_spec"))
        found = next((s for f in others if (s := f.find_spec(fullname, path, target))), None)
        if found is not None and found.loader is not None:
            _mend_after(found.loader)
        return found


def _mend_after(loader: Loader) -> None:
    execute: Callable[[ModuleType], None] = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _mend(module)

    loader.exec_module = exec_module


def _mend(module: ModuleType) -> None:
    pathway: Any = module.SynapticPathway
    if hasattr(pathway, "_keeps_delays") or _brian2() >= KEEPS_THEM:
        return
    store, restore = pathway._full_state, pathway._restore_from_full_state

    def full_state(self: Any) -> dict[str, Any]:
        delay = self.variables[DELAY]
        return {**store(self), DELAY: (delay.get_value().copy(), delay.size)}

    def restore_from_full_state(self: Any, state: dict[str, Any]) -> None:
        before = self.variables[DELAY].get_value().copy()
        restore(self, state)
        if DELAY not in state:
            _say(
                f"restore(): the snapshot does not have the delays of {self.name!r}, as it was made"
                f" by Brian2 {_version()} without mirrorneuron. They stay as they are now:"
                " set them after restore()."
            )
        elif before.tolist() != state[DELAY][0].tolist():
            _say(
                f"restore(): the delays of {self.name!r} are again those of store(). Brian2"
                f" {_version()} alone would leave them at {_range(before)}; from 2.10 on it"
                " restores them, too. To keep other ones, set them after restore()."
            )

    pathway._full_state = full_state
    pathway._restore_from_full_state = restore_from_full_state
    pathway._keeps_delays = True


def _range(seconds: Any) -> str:
    if not seconds.size:
        return "none"
    low, high = seconds.min() * 1e3, seconds.max() * 1e3
    return f"{low:g} ms" if low == high else f"{low:g} to {high:g} ms"


def _say(text: str) -> None:
    warnings.warn(text, DomainWarning, stacklevel=callers_level() + 1)
