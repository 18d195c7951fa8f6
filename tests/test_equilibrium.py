"""Equilibrium propagation: its errors beside exact ones, homeostasis, Brian2's fixed points."""

import math

import numpy as np
import pytest
import torch

from mirrorneuron.bio.simulation._scope import preferring
from mirrorneuron.studies._kit.images import images
from mirrorneuron.studies.equilibrium._homeostasis import asymmetry, exact_asymmetry, pushed
from mirrorneuron.studies.equilibrium._law import COUNTS, Random
from mirrorneuron.studies.equilibrium._network import (
    Network,
    activation,
    backpropagated,
    gradients,
    points,
    propagated,
    read_out,
    settle,
    slope,
    top_error,
)
from mirrorneuron.studies.equilibrium._relaxation import relax
from mirrorneuron.studies.equilibrium._training import Training

SIZES = (12, 9, 7, 4)


def task(angle: float) -> tuple[Network, torch.Tensor, torch.Tensor]:
    network = Network.drawn(SIZES, math.radians(angle), 5, 0.7)
    random = torch.Generator().manual_seed(1)
    x = torch.rand(6, SIZES[0], generator=random, dtype=torch.float64)
    return network, x, torch.eye(4, dtype=torch.float64)[torch.tensor([0, 1, 2, 3, 0, 1])]


def test_the_activation_is_half_at_one_half_with_a_slope_of_one() -> None:
    u = torch.tensor([0.5], dtype=torch.float64)
    assert float(activation(u)) == 0.5
    assert float(slope(u)) == 1.0


def test_a_settled_network_obeys_its_equations() -> None:
    network, x, _ = task(60.0)
    u = settle(network, x)
    s = [x, *(activation(some) for some in u)]
    for k, some in enumerate(u):
        expected = s[k] @ network.forward[k].T + network.bias[k]
        if k == 0:
            expected = expected + s[2] @ network.back[0].T
        torch.testing.assert_close(some, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0])
def test_recurrent_backpropagation_is_the_gradient_of_the_loss(angle: float) -> None:
    network, x, labels = task(angle)
    free = settle(network, x)
    made = gradients(network, x, labels, free, backpropagated(network, labels, free))

    def loss() -> float:
        found = read_out(network, settle(network, x))
        return float(-(labels * found.log()).sum() / len(x))

    for value, gradient in zip(network.parameters(), made.parameters(), strict=True):
        index = tuple(n // 2 for n in value.shape)
        kept = float(value[index])
        ends: list[float] = []
        for sign in (1, -1):
            value[index] = kept + sign * 1e-5
            ends.append(loss())
        value[index] = kept
        assert float(gradient[index]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-10)


@pytest.mark.parametrize("count", COUNTS)
def test_the_error_of_the_gradient_falls_as_the_nudge_to_the_number_of_points(count: int) -> None:
    one = Random(7, samples=5)
    small, large = (one.error(strength, count) for strength in (0.05, 0.1))
    assert large / small == pytest.approx(2**count, rel=0.2)
    assert small < 0.05**count


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_nudges_lie_on_a_circle_around_zero(count: int) -> None:
    found = points(0.3, count, torch.float64)
    torch.testing.assert_close(found.abs(), torch.full((count,), 0.3, dtype=torch.float64))
    assert found.is_complex() == (count > 2)
    if count > 1:
        assert abs(complex(found.sum())) < 1e-15


def test_equilibrium_propagation_is_exact_with_transposes_only() -> None:
    assert Random(0).cosine(0.0) == pytest.approx(1.0, abs=1e-9)
    assert abs(Random(0).cosine(90.0)) < 0.5 < Random(1).cosine(30.0) < 0.99


def test_the_output_layer_of_a_network_needs_no_transposes() -> None:
    network, x, labels = task(90.0)
    free = settle(network, x)
    found, true = propagated(network, x, labels, free, 0.01, 6), backpropagated(
        network, labels, free)  # fmt: skip
    assert torch.cosine_similarity(found[-1].flatten(), true[-1].flatten(), dim=0) > 0.95


def test_feedback_has_the_angle_that_is_asked() -> None:
    straight = Network.drawn((50, 400, 300, 2), 0.0, 3)
    turned = Network.drawn((50, 400, 300, 2), math.radians(60), 3)
    torch.testing.assert_close(straight.back[0], straight.forward[1].T)
    cosine = torch.cosine_similarity(turned.back[0].T.flatten(), turned.forward[1].flatten(), dim=0)
    assert float(cosine) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 90.0])
def test_homeostasis_measures_the_antisymmetric_part_of_the_jacobian(angle: float) -> None:
    network, x, _ = task(angle)
    free = settle(network, x[:1])
    slopes = [slope(u) for u in free]
    n = sum(SIZES[1:-1])
    basis = list(torch.eye(n, dtype=torch.float64).split(SIZES[1:-1], 1))
    repeated = [d.expand(n, -1) for d in slopes]
    jacobian = torch.cat(pushed(network, repeated, basis), 1).T
    exact = float((jacobian - jacobian.T).square().sum() / 2 / n)
    assert float(exact_asymmetry(network, free)) == pytest.approx(exact, rel=1e-12)
    drawn = asymmetry(network, free, 40000, torch.Generator().manual_seed(0))
    assert float(drawn) == pytest.approx(exact, rel=0.03)


def test_brian2_relaxes_to_the_same_fixed_points() -> None:
    network, x, labels = task(45.0)
    one = x[:1]
    free = settle(network, one)
    error = top_error(network, free, labels[:1])
    with preferring(codegen__target="numpy"):
        for beta in (0.0, 0.5, -0.5):
            expected = settle(network, one, beta * error)
            found = relax(network, one[0].numpy(), beta * error[0].numpy())
            for mine, theirs in zip(expected, found, strict=True):
                np.testing.assert_allclose(theirs, mine[0].numpy(), rtol=0, atol=1e-9)


def test_a_classifier_learns_and_homeostasis_makes_its_jacobian_symmetric() -> None:
    torch.set_default_dtype(torch.float32)
    few = images("digits")
    told: list[int] = []
    common = {"hidden": (32, 32), "epochs": 3, "batch": 20, "lr": 0.2}
    plain = Training(90.0, 0.0, 0, **common).run(few, lambda: told.append(1))
    held = Training(90.0, 1.0, 0, **common).run(few, lambda: None)
    assert len(told) == 3
    assert plain.accuracy[-1] > 0.6 > 0.3 > plain.accuracy[0]
    assert held.asymmetry[-1] < 0.7 * plain.asymmetry[-1]
