r"""Moments of weights with which a membrane fluctuates as far as wished.

A membrane that adds up $n$ inputs of rate $\nu$ and weight $w$ has

$\mu_U = n \nu \bar\epsilon \langle w \rangle$ and
$\sigma_U^2 = n \nu \hat\epsilon \langle w^2 \rangle$,

several kinds of input added. Each kind has a share of the variance: a share $\alpha$ for all that
come from other groups, divided evenly, and the rest for those from the group itself.

Normal weights: $\mu_W = \mu_U / (\bar\epsilon \sum n \nu)$,
$\sigma_W^2 = s \sigma_U^2 / (n \nu \hat\epsilon) - \mu_W^2$.

Weights of one sign (Dale's law): exponential, of rate $\lambda$,
$\langle w \rangle = 1/\lambda$ and $\langle w^2 \rangle = 2/\lambda^2$. Excitation and inhibition
balance to $\mu_U$, both together have the variance, and the shares are those of the excitatory
variance. For one excitatory and one inhibitory kind and $\mu_U = 0$ this is the published
$\lambda_E = \xi \sqrt{2\nu} \sqrt{\Delta^2 N_E \hat\epsilon_E + N_I \hat\epsilon_I}
/ (\theta \Delta)$, $\lambda_I = \Delta \lambda_E$,
$\Delta = N_I \bar\epsilon_I / (N_E \bar\epsilon_E)$.

Source: Rossbroich, Gygax & Zenke 2022, sections 2.1 to 2.3 and appendix,
doi:10.1088/2634-4386/ac97bb.
Differs from it: rates and kernels may differ between kinds, the fan-in between neurons, and
$\mu_U$ need not be zero with Dale's law.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mirrorneuron.errors import DomainError

from ..program import Array


class Drive(NamedTuple):
    """One kind of input to the neurons of a group.

    Arguments:
        key: Name of its weights.
        fan_in: Fan-in of each neuron, " neuron".
        rate: Of each input [Hz].
        mean, square: Integrals of its kernel, " neuron"; any value where there is no input.
        recurrent: Whether it comes from the group itself.
        sign: Of the weights, +1 or -1; 0 where they may have both.
    """

    key: str
    fan_in: Array
    rate: float
    mean: Array
    square: Array
    recurrent: bool
    sign: int = 0

    @property
    def excites(self) -> bool:
        """Whether a positive share of the mean comes from it."""
        return bool(self.sign * np.nanmean(self.mean) > 0)

    @property
    def power(self) -> Array:
        """Variance of the membrane for weights of mean square one, " neuron"."""
        return np.where(self.fan_in > 0, self.fan_in * self.rate * self.square, 0.0)

    @property
    def gain(self) -> Array:
        """Magnitude of the mean of the membrane for weights of mean one, " neuron"."""
        return np.where(self.fan_in > 0, self.fan_in * self.rate * np.abs(self.mean), 0.0)


class Moments(NamedTuple):
    """Weights that end at each neuron; NaN at neurons without any.

    Arguments:
        mean, deviation: In the unit of the weight, " neuron". For exponential weights both are
            $1/\\lambda$, the mean with the sign.
    """

    mean: Array
    deviation: Array


def normal(drives: Sequence[Drive], sigma: Array, mu: Array, alpha: float) -> list[Moments]:
    """Moments of normal weights.

    Arguments:
        drives: All that is set.
        sigma, mu: Wanted of the membrane, " neuron".
        alpha: Share of the variance that comes from other groups.

    Raises:
        DomainError: The mean alone fluctuates more than is wanted.
    """
    total = np.sum([drive.fan_in * drive.rate for drive in drives], axis=0)
    found: list[Moments] = []
    for drive, share in zip(drives, shares(drives, alpha), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(drive.fan_in > 0, mu / (drive.mean * total), np.nan)
            variance = share * sigma**2 / drive.power - mean**2
        if np.any(variance < 0):
            raise DomainError(
                f"fluctuation_driven(mu=...): weights of {drive.key!r} with the mean"
                f" {mean[variance < 0][0]:.3g} that this mu needs already let the membrane"
                " fluctuate more than is wanted. Bring mu nearer to the rest, or lower xi."
            )
        found.append(Moments(mean, np.sqrt(variance)))
    return found


def exponential(drives: Sequence[Drive], sigma: Array, mu: Array, alpha: float) -> list[Moments]:
    """Moments of exponential weights, each of the sign of its kind.

    Arguments:
        drives: All that is set, with their signs.
        sigma, mu: Wanted of the membrane, " neuron".
        alpha: Share of the excitatory variance that comes from other groups.

    Raises:
        DomainError: A neuron lacks excitation or inhibition, or no balance gives this mean.
    """
    excitatory = [drive for drive in drives if drive.excites]
    inhibitory = [drive for drive in drives if not drive.excites]
    plus, minus = (_spread(some, alpha) for some in (excitatory, inhibitory))
    needed = np.sum([drive.fan_in for drive in drives], axis=0) > 0
    for some, kind in ((plus, "excitatory"), (minus, "inhibitory")):
        lacking = needed & ~(some.gain > 0)
        if np.any(lacking):
            raise DomainError(
                f"fluctuation_driven(weights={[drive.key for drive in drives]}): neuron"
                f" {int(np.flatnonzero(lacking)[0])} has no {kind} weights among them. Weights of"
                " one sign (Dale's law) need both kinds, of which one balances the other. Add such"
                " synapses; weights that are no conductances may have both signs, mn.Free()."
            )
    up, down = _balance(plus.gain, minus.gain, sigma, mu, needed)
    found: list[Moments] = []
    for drive in drives:
        part, size = (plus, up) if drive.excites else (minus, down)
        mean = size * part.means[drive.key]
        mean = np.where(drive.fan_in > 0, mean, np.nan)
        found.append(Moments(drive.sign * mean, mean))
    return found


class _Spread(NamedTuple):
    """Weights of one kind with which they give the variance one together.

    Arguments:
        means: $1/\\lambda$ by key, " neuron".
        gain: Mean of the membrane that they give, " neuron".
    """

    means: dict[str, Array]
    gain: Array


def _spread(drives: Sequence[Drive], alpha: float) -> _Spread:
    means: dict[str, Array] = {}
    gain: Array = np.zeros(1)
    for drive, share in zip(drives, shares(drives, alpha), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(drive.fan_in > 0, np.sqrt(share / (2 * drive.power)), 0.0)
        means[drive.key] = mean
        gain = gain + drive.gain * mean
    return _Spread(means, gain)


def _balance(
    plus: Array, minus: Array, sigma: Array, mu: Array, needed: Array
) -> tuple[Array, Array]:
    """Deviations a and b with a plus - b minus = mu and a² + b² = sigma²."""
    norm = plus**2 + minus**2
    inside = sigma**2 * norm - mu**2
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(inside, 0))
        up, down = (mu * plus + minus * root) / norm, (plus * root - mu * minus) / norm
    if np.any(needed & ((inside < 0) | (up <= 0) | (down <= 0))):
        raise DomainError(
            "fluctuation_driven(mu=...): with weights of one sign (Dale's law), no balance of"
            " excitation and inhibition has this mean with fluctuations as small as wanted. Bring"
            " mu nearer to the rest, or lower xi."
        )
    return up, down


def shares(drives: Sequence[Drive], alpha: float) -> list[Array]:
    """Share of each kind in the variance of each neuron that it reaches, " neuron"."""

    def kinds(recurrent: bool) -> Array:
        some = [(d.fan_in > 0).astype(float) for d in drives if d.recurrent == recurrent]
        return sum(some, np.zeros(1))

    ahead, back = kinds(False), kinds(True)
    found: list[Array] = []
    for drive in drives:
        own, other, size = (back, ahead, 1 - alpha) if drive.recurrent else (ahead, back, alpha)
        found.append(np.where(other > 0, size, 1.0) / np.maximum(own, 1.0))
    return found
