"""Written: what a write-back changed, and what it could not."""

from collections.abc import Iterable, Mapping


class Written(list[str]):
    """Keys of the parameters that were written into the network.

    Arguments:
        keys: Their names.
        stale: Names of the script whose own value is no longer that of the network, to both values
            as text. A write-back changes Brian2 objects, never the variables of a script.

    Example:
        >>> Written(["tau_e"], {"tau_e": "5. ms, in the network 6. ms"})
        ['tau_e']; still in the script: tau_e = 5. ms, in the network 6. ms
    """

    def __init__(self, keys: Iterable[str], stale: Mapping[str, str]) -> None:
        super().__init__(keys)
        self.stale = dict(stale)

    def __repr__(self) -> str:
        if not self.stale:
            return super().__repr__()
        listed = "; ".join(f"{name} = {values}" for name, values in self.stale.items())
        return f"{super().__repr__()}; still in the script: {listed}"

    __str__ = __repr__
