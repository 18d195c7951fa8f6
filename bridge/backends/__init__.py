"""Backends: ways of running a network, one folder each."""

from mirrorneuron._registry import Registry
from mirrorneuron.errors import NotCovered, UnknownName

from ..program import Program
from ._contracts import Backend

backends: Registry[type[Backend]] = Registry(__name__, Backend)
FASTEST_FIRST = ("eager",)


def chosen_backend(asked: str, program: Program) -> str:
    """Name of the backend that runs a Program.

    Arguments:
        asked: Its name, or "auto" for the fastest that covers the network.
        program: The network.

    Raises:
        UnknownName: There is no such backend.
        NotCovered: It does not cover the network; lists what it cannot run.
    """
    able = [name for name in FASTEST_FIRST if not backends[name]().covers(program)]
    if asked == "auto":
        return able[0]
    if asked not in backends:
        known = ["auto", *backends]
        raise UnknownName.among(f"mirror(net, backend={asked!r})", asked, known)
    missing = backends[asked]().covers(program)
    if missing:
        raise NotCovered(f"mirror(net, backend={asked!r})", missing, able[0])
    return asked
