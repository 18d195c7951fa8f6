"""The Yin-Yang data set: two halves and the dots of a figure, made by its published recipe.

Source: Kriener, Göltz & Petrovici 2022, doi:10.1145/3517343.3517380.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

SMALL, BIG = 0.1, 0.5
LATEST = 30e-3  # input spike of the value 1 [s]
YIN, YANG, DOT = 1, 0, 2


class Samples(NamedTuple):
    """Points and their classes.

    Arguments:
        points: x and y, "sample 2".
        labels: 0, 1 or 2.
    """

    points: Float[np.ndarray, "sample 2"]
    labels: Int[np.ndarray, " sample"]

    def times(self) -> Float[np.ndarray, "sample 5 1"]:
        """Input spikes [s]: x, y, 1 - x, 1 - y as times, and one at the start."""
        x = self.points
        values = np.concatenate([x, 1 - x, np.zeros((len(x), 1))], axis=1)
        return (values * LATEST)[:, :, None]


def samples(size: int, seed: int) -> Samples:
    """As many points, each drawn until it is of a class that was drawn before.

    Arguments:
        size: Number of points.
        seed: Published are 42 for training, 41 for validation, 40 for the test.
    """
    rng = np.random.RandomState(seed)
    points, labels = np.zeros((size, 2)), np.zeros(size, dtype=np.int64)
    for k in range(size):
        labels[k] = rng.randint(3)
        points[k] = _of_class(rng, int(labels[k]))
    return Samples(points, labels)


def _of_class(rng: np.random.RandomState, label: int) -> Float[np.ndarray, " 2"]:
    while True:
        x, y = rng.rand(2) * 2 * BIG
        if np.hypot(x - BIG, y - BIG) <= BIG and class_of(x, y) == label:
            return np.array([x, y])


def class_of(x: float, y: float) -> int:
    """The class of a point within the figure."""
    right, left = np.hypot(x - 1.5 * BIG, y - BIG), np.hypot(x - 0.5 * BIG, y - BIG)
    if right < SMALL or left < SMALL:
        return DOT
    yin = right <= SMALL or SMALL < left <= BIG / 2 or (y > BIG and right > BIG / 2)
    return YIN if yin else YANG
