"""Tensors: arrays of a bundle, in the safetensors format."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from ..program import Array
from ._fault import Fault, shown

TYPES = frozenset(
    f"{kind}{bits}" for kind, widths in
    (("float", (32, 64)), ("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)))
    for bits in widths
) | {"bool"}  # fmt: skip


@dataclass
class Kept:
    """Arrays that are put away, equal ones once.

    Attributes:
        arrays: By the name of the first place where each stands.
        names: Content of an array to its name.
    """

    arrays: dict[str, Array] = field(default_factory=dict[str, Array])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def keep(self, where: str, array: Any) -> str:
        """Put an array away; the name by which it is found.

        Raises:
            TypeError: It holds neither numbers nor truth values.
        """
        plain = np.array(array, order="C")
        if plain.dtype.name not in TYPES:
            raise TypeError(f"{where} holds {plain.dtype.name}, which is no number")
        name = self.names.setdefault(content_of(plain), where)
        self.arrays.setdefault(name, plain)
        return name

    def packed(self) -> bytes:
        """All arrays in the safetensors format."""
        return save(self.arrays)


def content_of(array: Array) -> str:
    """Digest of type, shape and values of an array."""
    plain = np.array(array, order="C")
    head = f"{plain.dtype.str} {plain.shape}".encode()
    return hashlib.sha256(head + plain.tobytes()).hexdigest()


class Found:
    """Arrays of a bundle, and which of them were asked for."""

    def __init__(self, content: bytes) -> None:
        try:
            self.arrays: Mapping[str, Array] = load(content)
        except Exception as error:  # SafetensorError, and numpy's for types that it lacks
            raise Fault(f"its weights cannot be read ({str(error)[:100]})") from error
        for name, array in self.arrays.items():
            if array.dtype.name not in TYPES:
                raise Fault(f"the array {shown(name)} is of the type {array.dtype.name}")
        self.asked: set[str] = set()

    def find(self, name: str) -> Array:
        """The array of a name.

        Raises:
            Fault: There is none.
        """
        if name not in self.arrays:
            raise Fault(f"the array {shown(name)} is not among its weights")
        self.asked.add(name)
        return self.arrays[name].copy()  # of its own, aligned and writable

    def require_all_used(self) -> None:
        """Refuse arrays that nothing asked for.

        Raises:
            Fault: There are some.
        """
        left = sorted(self.arrays.keys() - self.asked)
        if left:
            raise Fault(f"the array {shown(left[0])} belongs to nothing")
