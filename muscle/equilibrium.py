"""Equilibrium: the fibre length at which a resting muscle and its tendon carry the same force."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mirrorneuron.errors import DomainError

from ._contracts import Curves
from .contraction import TENDON_STIFFNESS
from .geometry import Numbers

SHORTEST, LONGEST, HALVINGS = 0.2, 1.8, 60


def fiber_length(
    asked: str, numbers: Numbers, names: Sequence[str], curves: Curves
) -> Float[np.ndarray, "batch muscle"]:
    """Fibre length at rest [1], by bisection between 0.2 and 1.8 optimal lengths.

    Arguments:
        asked: What the user called, for the message.
        numbers: Parameters of the body, its activations and angles.
        names: Of the muscles.
        curves: Of the fibres.

    Raises:
        DomainError: No length between these carries the force; names the muscle.
    """
    path = numbers.path_length(numbers.joints["angle"])
    low, high = (np.full(path.shape, length) for length in (SHORTEST, LONGEST))
    low = np.maximum(low, np.sin(numbers.muscles["pennation"]) + 1e-3)
    unsolved = (_excess(low, path, numbers, curves) > 0) | (
        _excess(high, path, numbers, curves) < 0
    )
    if unsolved.any():
        arm, n = np.argwhere(unsolved)[0]
        raise DomainError(
            f"{asked}: the muscle {names[n]!r} has no equilibrium. Its path is {path[arm, n]:.4g} m"
            f" long, its tendon {numbers.muscles['L_slack'][arm, n]:.4g} m: no fibre length from"
            f" {SHORTEST} to {LONGEST} optimal lengths carries what the tendon carries. Write"
            " another starting angle, or another L_slack."
        )
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = _excess(middle, path, numbers, curves) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def _excess(length: np.ndarray, path: np.ndarray, numbers: Numbers, curves: Curves) -> np.ndarray:
    """Force of the fibre beyond that of the tendon, along the tendon, at rest [F0]."""
    m = numbers.muscles
    along = np.sqrt(length**2 - np.sin(m["pennation"]) ** 2)
    stretch = (path - m["L0"] * along) / m["L_slack"] - 1
    tendon = 0.2 * np.expm1(np.minimum(TENDON_STIFFNESS * stretch, 6.0))
    fibre = m["activation"] * curves.value("active", l=length) + curves.value("passive", l=length)
    return fibre * along / length - np.maximum(tendon, 0.0)
