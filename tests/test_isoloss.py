"""IsoLoss: gradients beside DirectPred, eigenvalues by the equations, collapse, dimensions."""

from typing import Any

import numpy as np
import pytest
import torch

from mirrorneuron.studies._kit.images import images
from mirrorneuron.studies.isoloss._encoder import Training, view
from mirrorneuron.studies.isoloss._linear import (
    COLLAPSING,
    LOSS,
    Case,
    Linear,
    equation,
    slope,
)
from mirrorneuron.studies.isoloss._loss import LOSSES, Metric, participation, predictor


def embeddings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    z1, z2 = torch.randn(2, 40, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64)
    return z1.requires_grad_(), z2.requires_grad_(), predictor((z1.T @ z1 / 40).detach(), 0.5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_gradient_of_isoloss_is_that_of_directpred_without_the_predictor(
    metric: Metric,
) -> None:
    z1, z2, w_p = embeddings()
    direct, iso = (
        torch.autograd.grad(LOSSES[loss, metric](z1, z2, w_p), z1)[0] for loss in ("direct", "iso")
    )
    torch.testing.assert_close(iso @ w_p, direct, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("key", LOSSES)
def test_no_loss_moves_the_target(key: Any) -> None:
    z1, z2, w_p = embeddings()
    LOSSES[key](z1, z2, w_p).backward()
    assert z1.grad is not None
    assert z2.grad is None


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_a_predictor_has_powers_of_the_eigenvalues(alpha: float) -> None:
    u, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))
    s = torch.tensor([0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
    found = predictor((u * s) @ u.T, alpha)
    torch.testing.assert_close(found, (u * s**alpha) @ u.T, rtol=1e-10, atol=1e-12)
    twice = predictor(predictor((u * s) @ u.T, 0.5), 2.0)
    torch.testing.assert_close(twice, (u * s) @ u.T, rtol=1e-10, atol=1e-12)


def test_the_participation_ratio_counts_equal_dimensions() -> None:
    assert participation(torch.diag(torch.tensor([2.0, 2.0, 2.0, 0.0]))) == pytest.approx(3.0)
    assert participation(torch.diag(torch.tensor([5.0, 0.0]))) == pytest.approx(1.0)
    assert participation(torch.zeros(3, 3)) == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.25, 1.0])
def test_both_losses_share_a_fixed_point_and_directpred_is_slower_by_the_eigenvalue(
    noise: float,
) -> None:
    values = np.array([0.01, 0.1, 0.3, 1 / (1 + noise)])
    direct, iso = slope("direct", values, noise), slope("iso", values, noise)
    np.testing.assert_allclose(direct, values * iso, rtol=1e-12)
    np.testing.assert_allclose(iso[-1], 0, atol=1e-15)
    ends = equation("iso", values, np.array([0.0, 40.0]), noise)[-1]
    np.testing.assert_allclose(ends, 1 / (1 + noise), rtol=1e-6)


# The logistic equation: λ(t) = k / (1 + (k/λ0 − 1) e^{−2t}), k = 1 / (1 + s²).
def test_isolosss_eigenvalues_are_logistic() -> None:
    time, k, start = np.linspace(0, 3, 7), 0.8, 0.05
    found = equation("iso", np.array([start]), time, 0.25)[:, 0]
    np.testing.assert_allclose(found, k / (1 + (k / start - 1) * np.exp(-2 * time)), rtol=1e-7)


@pytest.mark.parametrize("case", LOSS)
def test_simulated_eigenvalues_follow_the_equation(case: Case) -> None:
    linear = Linear(case, seed=5, batch=1000, step=0.02, duration=5.0)
    assert linear.deviation(linear.simulate()) < 0.02


@pytest.mark.parametrize("case", COLLAPSING)
def test_without_predictor_or_stop_gradient_all_eigenvalues_fall(case: Case) -> None:
    values = np.linspace(0.01, 3, 50)
    assert (slope(case, values, 0.25) < 0).all()


def test_views_of_a_picture_differ_and_keep_its_shape() -> None:
    pixels = torch.from_numpy(images("digits").pixels[:5]).float()
    random = torch.Generator().manual_seed(0)
    first, second = view(pixels, random), view(pixels, random)
    assert first.shape == pixels.shape
    assert (first - second).abs().mean() > 0.05


def test_a_training_is_the_same_twice_and_tells_its_epochs() -> None:
    torch.set_default_dtype(torch.float32)
    training = Training("iso", "cosine", 1, hidden=16, embedding=8, epochs=2, batch=100)
    told: list[int] = []
    few = images("digits").first(400)
    found = training.run(few, lambda: told.append(1))
    assert len(told) == 2
    assert len(found.participation) == 3
    assert len(found.spectrum) == 8
    assert found == training.run(few, lambda: None)
