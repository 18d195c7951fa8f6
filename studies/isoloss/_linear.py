r"""A linear network on isotropic input: simulated eigenvalues beside their equations.

Views $x_{1,2} = x + s \xi_{1,2}$ with $x, \xi \sim N(0, 1)$, $z = W x$, $C = W W^T$, $\alpha = 1$,
and half the gradient of the Euclidean loss. The eigenvalues of C then obey

    DirectPred            λ̇ = 2 λ² (1 − (1 + s²) λ)
    IsoLoss               λ̇ = 2 λ (1 − (1 + s²) λ)
    without predictor     λ̇ = −2 s² λ
    without SG            λ̇ = −2 λ [(1 + s²)(1 + λ²) − 2 λ]

The first two end at $1/(1 + s^2)$, the others at 0.

Source: Halvagal, Laborieux & Zenke 2023, theorem 1 and section 4, arXiv:2212.04858; the last line
follows from the gradient of $|W_P W x_1 - W x_2|^2 / 2$ through both views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp
from torch import Tensor

from ._loss import Embedding, Square, direct_euclidean, iso_euclidean, predictor

Case = Literal["direct", "iso", "no_predictor", "no_stop_gradient"]
Course = Float[np.ndarray, "time eigenvalue"]


def no_predictor(z1: Embedding, z2: Embedding, w_p: Square) -> Tensor:
    """Squared distance of the two views."""
    return (z1 - z2.detach()).square().sum(1).mean()


def no_stop_gradient(z1: Embedding, z2: Embedding, w_p: Square) -> Tensor:
    """DirectPred whose gradient also passes through the target."""
    return (z1 @ w_p - z2).square().sum(1).mean()


LOSS: Mapping[Case, Callable[[Embedding, Embedding, Square], Tensor]] = {
    "direct": direct_euclidean,
    "iso": iso_euclidean,
    "no_predictor": no_predictor,
    "no_stop_gradient": no_stop_gradient,
}
COLLAPSING: tuple[Case, ...] = ("no_predictor", "no_stop_gradient")


def slope(case: Case, value: Float[np.ndarray, " _"], noise: float) -> Float[np.ndarray, " _"]:
    """Derivative of the eigenvalues.

    Arguments:
        case: Which loss.
        value: The eigenvalues.
        noise: Variance of the augmentation, $s^2$.
    """
    rest = 1 - (1 + noise) * value
    if case == "direct":
        return 2 * value**2 * rest
    if case == "iso":
        return 2 * value * rest
    if case == "no_predictor":
        return -2 * noise * value
    return -2 * value * ((1 + noise) * (1 + value**2) - 2 * value)


def equation(
    case: Case, start: Float[np.ndarray, " _"], time: Float[np.ndarray, " time"], noise: float
) -> Course:
    """Eigenvalues over time by the equation."""
    found = solve_ivp(
        lambda _, value: slope(case, value, noise), (0.0, float(time[-1])), start,
        t_eval=time, rtol=1e-9, atol=1e-12,
    )  # fmt: skip
    return found.y.T


@dataclass(frozen=True)
class Linear:
    """A simulation with gradients of the loss on fresh samples.

    Arguments:
        case: Which loss.
        seed: Of weights and samples.
        noise: Variance of the augmentation.
        start: Eigenvalues of C at the start; there are as many embedding dimensions.
        inputs, batch: Numbers of input dimensions and of samples in a step.
        step: Of the time of the equations.
        duration: In that time.
    """

    case: Case
    seed: int = 0
    noise: float = 0.25
    start: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 1.2)
    inputs: int = 8
    batch: int = 2000
    step: float = 0.01
    duration: float = 10.0

    @property
    def time(self) -> Float[np.ndarray, " time"]:
        """Times of the samples of eigenvalues."""
        return self.step * np.arange(round(self.duration / self.step) + 1)

    def weights(self, random: torch.Generator) -> Float[Tensor, "embedding input"]:
        """Weights with the eigenvalues of the start, in drawn directions."""
        size = len(self.start)
        u, v = (
            torch.linalg.qr(torch.randn(n, size, generator=random, dtype=torch.float64))[0]
            for n in (size, self.inputs)
        )
        return u @ torch.diag(torch.tensor(self.start, dtype=torch.float64).sqrt()) @ v.T

    def simulate(self) -> Course:
        """Eigenvalues over time."""
        random = torch.Generator().manual_seed(self.seed)
        w = self.weights(random).requires_grad_()
        found: list[Float[np.ndarray, " _"]] = []
        for _ in self.time:
            covariance = (w @ w.T).detach()
            found.append(torch.linalg.eigvalsh(covariance).numpy())
            x, *noises = torch.randn(
                3, self.batch, self.inputs, generator=random, dtype=torch.float64
            )
            z1, z2 = ((x + self.noise**0.5 * some) @ w.T for some in noises)
            loss = LOSS[self.case](z1, z2, predictor(covariance, 1.0))
            (gradient,) = torch.autograd.grad(loss, w)
            w = (w - self.step * gradient / 2).detach().requires_grad_()
        return np.array(found)

    def predicted(self) -> Course:
        """The same by the equation."""
        return equation(self.case, np.sort(self.start), self.time, self.noise)

    def deviation(self, found: Course) -> float:
        """Largest distance from the equation, over the fixed point of the eigenvalues."""
        return float(np.abs(found - self.predicted()).max() * (1 + self.noise))
