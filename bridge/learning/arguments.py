"""Arguments: what several functions check in the same way."""

from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError


def require_seed(asked: str, seed: Any) -> None:
    """Refuse what random numbers cannot start from.

    Raises:
        DomainError: It is no whole number from 0 on.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DomainError(
            f"{asked}(seed={seed!r}): a seed is a whole number from 0 on, from which all random"
            " numbers follow. Write, say, seed=0."
        )
