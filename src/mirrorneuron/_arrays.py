"""Checks that arrays share.

The axes, in the order in which they meet: time batch neuron pre post synapse muscle joint.
"""

from typing import Any

import numpy as np

from .errors import DomainError


def require_finite(values: Any, what: str) -> None:
    """Refuse NaN and infinite values.

    Raises:
        DomainError: Names the first one.
    """
    array = np.asarray(values)
    if array.dtype.kind != "f" or np.all(np.isfinite(array)):
        return
    first = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
    place = f" at index {', '.join(map(str, first))}" if first else ""
    raise DomainError(
        f"{what} is {array[first]}{place}. Every value has to be a finite number: one NaN would"
        " spread through the network. Set it before the run."
    )
