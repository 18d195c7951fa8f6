"""randman: smooth manifolds of spike times."""

from typing import Any

import numpy as np
import pytest

from mirrorneuron.data import randman
from mirrorneuron.errors import DomainError


def test_each_unit_spikes_once_in_the_first_part_of_a_trial() -> None:
    data = randman(classes=3, units=5, samples=40, steps=100, share=0.5)
    raster = data.raster()
    assert raster.shape == (100, 120, 5)
    assert (raster.sum(0) == 1).all()
    assert data.steps.min() == 0
    assert data.steps.max() == 50
    assert np.bincount(data.labels).tolist() == [40, 40, 40]


def test_coordinates_of_each_class_and_unit_fill_the_whole_span() -> None:
    data = randman(classes=2, units=4, samples=50, steps=1000, share=1.0)
    for label in range(2):
        steps = data.steps[data.labels == label]
        assert (steps.min(0) == 0).all()
        assert (steps.max(0) == 999).all()


def test_the_same_seed_gives_the_same_data_and_another_one_other_data() -> None:
    one, same, other = (randman(2, 3, 10, seed=seed) for seed in (1, 1, 2))
    assert (one.steps == same.steps).all()
    assert (one.labels == same.labels).all()
    assert not (one.steps == other.steps).all()


def test_neighbours_of_a_smooth_manifold_are_near_and_of_a_rough_one_less() -> None:
    def nearest(alpha: float) -> float:
        """Mean distance of trials to their nearest neighbour."""
        steps = randman(1, 20, 200, 10_000, alpha=alpha, share=1.0).steps / 1e4
        apart = np.linalg.norm(steps[:, None] - steps[None], axis=2) + 10 * np.eye(200)
        return float(apart.min(0).mean())

    assert nearest(2.0) < nearest(1.0) < nearest(0.8)


def test_a_manifold_of_two_dimensions_fills_more_than_one_of_one() -> None:
    def singular(dimension: int) -> float:
        """How much a plane explains of the neighbourhood of a trial."""
        steps = randman(1, 10, 2000, 10_000, dimension, alpha=3.0, share=1.0).steps / 1e4
        apart = np.linalg.norm(steps - steps[0], axis=1)
        near = steps[np.argsort(apart)[:20]]
        values = np.linalg.svd(near - near.mean(0), compute_uv=False)
        return float(values[1] / values[0])

    assert singular(2) > 2 * singular(1)


def test_parts_are_disjoint_and_in_order() -> None:
    data = randman(2, 3, 50)
    train, test = data.split(0.8, 0.2)
    assert len(train.labels), len(test.labels) == (80, 20)
    assert (np.concatenate([train.steps, test.steps]) == data.steps).all()
    with pytest.raises(DomainError, match=r"split\(0.8, 0.3\).*at most 1 together"):
        data.split(0.8, 0.3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"classes": 0}, r"classes=0.*whole one from 1 on"),
        ({"units": 2.5}, r"units=2.5"),
        ({"alpha": 0.0}, r"alpha=0.0.*positive"),
        ({"share": 1.5}, r"share=1.5.*at most 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: Any, says: str) -> None:
    with pytest.raises(DomainError, match=says):
        randman(**arguments)
