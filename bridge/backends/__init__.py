"""Backends: ways of running a network, one folder each."""

import torch

from mirrorneuron._registry import Registry
from mirrorneuron.errors import NotCovered, UnknownName

from ._contracts import Backend, Demand

backends: Registry[type[Backend]] = Registry(__name__, Backend)
FASTEST_FIRST = ("native", "sequence", "eager")


def chosen_backend(asked: str, demand: Demand) -> str:
    """Name of the backend that runs a network.

    Arguments:
        asked: Its name, or "auto": for values in double precision the one that gives Brian2's
            values to the last bit, else the fastest that covers the network.
        demand: What it has to run.

    Raises:
        UnknownName: There is no such backend.
        NotCovered: It does not cover the network; lists what it cannot run.
    """
    if asked == "auto":
        return "eager" if demand.dtype == torch.float64 else _fastest(demand)
    if asked not in backends:
        known = ["auto", *backends]
        raise UnknownName.among(f"mirror(net, backend={asked!r})", asked, known)
    missing = backends[asked]().covers(demand)
    if missing:
        raise NotCovered(f"mirror(net, backend={asked!r})", missing, _fastest(demand))
    return asked


def _fastest(demand: Demand) -> str:
    """The fastest backend that covers a network; the last one covers all of them."""
    able = (name for name in FASTEST_FIRST if not backends[name]().covers(demand))
    return next(able, FASTEST_FIRST[-1])


def why_not_faster(chosen: str, demand: Demand) -> str:
    """Why a network does not run on a faster backend, if so."""
    faster = FASTEST_FIRST[: FASTEST_FIRST.index(chosen)] if chosen in FASTEST_FIRST else ()
    missing = dict.fromkeys(text for name in faster for text in backends[name]().covers(demand))
    if missing:
        return "; ".join(text.rstrip(".") for text in missing)
    if faster and demand.dtype == torch.float64:
        return f"it gives Brian2's values to the last bit; backend={faster[0]!r} is faster"
    return ""
