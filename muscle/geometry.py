"""Geometry in numbers: muscles and joints as arrays, and the paths over the range of the joints."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Numbers:
    """Parameters and states of a body, in SI floats.

    Arguments:
        muscles: Each parameter or state, of shape "batch muscle".
        joints: Each parameter or state, of shape "batch joint".
        arms: Coefficients of the moment arms, of shape "batch muscle joint power" [m].
    """

    muscles: Values
    joints: Values
    arms: Float[np.ndarray, "batch muscle joint power"]

    def angles(self, points: int) -> Float[np.ndarray, "grid batch joint"]:
        """Combinations of angles that span the range of the joints."""
        lower, upper = self.joints["lower"], self.joints["upper"]
        shares = np.array(list(product(np.linspace(0, 1, points), repeat=lower.shape[1])))
        return lower + (upper - lower) * shares[:, None, :]

    def moment_arms(self, angle: np.ndarray) -> np.ndarray:
        """Moment arms at angles "... batch joint", of shape "... batch muscle joint" [m]."""
        powers = angle[..., None] ** np.arange(self.arms.shape[-1])
        return np.einsum("bmjk,...bjk->...bmj", self.arms, powers)

    def excursion(self, angle: np.ndarray) -> np.ndarray:
        """Shortening of the paths since 0 rad, at angles "... batch joint" [m]."""
        k = np.arange(self.arms.shape[-1])
        powers = angle[..., None] ** (k + 1) / (k + 1)
        return np.einsum("bmjk,...bjk->...bm", self.arms, powers)

    def path_length(self, angle: np.ndarray) -> np.ndarray:
        """Length of muscle and tendon, at angles "... batch joint" [m]."""
        return self.muscles["L_ref"] - self.excursion(angle)

    def along(self, angle: np.ndarray) -> np.ndarray:
        """Fibre length along a rigid tendon [1]: negative where the tendon exceeds the path."""
        return (self.path_length(angle) - self.muscles["L_slack"]) / self.muscles["L0"]

    def fiber_length(self, angle: np.ndarray) -> np.ndarray:
        """Fibre length on a rigid tendon, at angles "... batch joint" [1]."""
        return np.hypot(self.along(angle), np.sin(self.muscles["pennation"]))
