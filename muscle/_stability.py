r"""The largest time step with which a body's equations are stable.

A joint that is damped at the rate $\lambda$ and held by the stiffness $\kappa$ (both over inertia)
is stable in semi-implicit steps while $2 \lambda \, dt + \kappa \, dt^2 < 4$. A muscle damps by the
slope of its force-velocity curve, a soft limit is the stiffest spring. First-order processes of
rate $\lambda$ are stable while $\lambda \, dt < 2$; a fibre on a compliant tendon has
$\lambda = v_{max} \frac{k (f_T + 0.2) L_0/L_T + f_p'}{a f_l f_v' + \beta}$.

Source: the rate of the fibre, linearised from the equations of `contraction.py`; the criterion of
the joint, that both roots of $z^2 - (2 - \lambda dt - \kappa dt^2) z + 1 - \lambda dt$ lie within
the unit circle.
"""

from typing import NamedTuple

import numpy as np

from ._contracts import Curves
from .contraction import TENDON_STIFFNESS, Tendon
from .geometry import Numbers
from .skeleton import Skeleton


class Step(NamedTuple):
    """A time step [s], and what limits it."""

    dt: float
    cause: str


def largest_step(
    numbers: Numbers,
    names: tuple[str, ...],
    skeleton: Skeleton,
    curves: Curves,
    tendon: Tendon,
) -> Step:
    """The largest stable time step, and what limits it.

    Arguments:
        numbers: Parameters of the body.
        names: Of the muscles.
        skeleton: The bones.
        curves: Of the fibres.
        tendon: Whether it can stretch.
    """
    steps = [*_activation(numbers), _joint(numbers, skeleton, curves)]
    if tendon == "compliant":
        steps.append(_fibre(numbers, names, curves))
    return min(steps, key=lambda step: step.dt)


def _activation(numbers: Numbers) -> list[Step]:
    """Rates 1/(tau_a/2) at activation 0, 2/tau_d at 1, 1/tau_e."""
    causes = {"tau_a": 1.0, "tau_d": 1.0, "tau_e": 2.0}
    return [
        Step(factor * float(numbers.muscles[name].min()), f"{name} of the muscles")
        for name, factor in causes.items()
        if name in numbers.muscles
    ]


def _joint(numbers: Numbers, skeleton: Skeleton, curves: Curves) -> Step:
    m, j = numbers.muscles, numbers.joints
    angle = numbers.angles(7 if numbers.arms.shape[2] > 1 else 25)
    mobility = np.linalg.inv(skeleton.mass_matrix(angle, j))
    r = numbers.moment_arms(angle)
    strength = m["F0"] * (_steepest(curves, float(m["v_max"].max())) + m["beta"])
    damping = np.einsum("...mi,...m,...mj->...ij", r, strength / (m["v_max"] * m["L0"]), r)
    damping = damping + _diagonal(j["viscosity"])
    rate = np.abs(np.linalg.eigvals(mobility @ damping)).max()
    stiffness = np.abs(np.linalg.eigvals(mobility @ _diagonal(j["wall_stiffness"]))).max()
    root = (np.sqrt(rate**2 + 4 * stiffness) - rate) / stiffness if stiffness else 2 / rate
    return Step(float(root), "the damping of the muscles and the stiffness of the soft limits")


def _diagonal(values: np.ndarray) -> np.ndarray:
    return values[..., None] * np.eye(values.shape[-1])


def _steepest(curves: Curves, v_max: float) -> float:
    """Largest slope of the active force over velocity at full activation and optimal length."""
    v = np.linspace(-1, 1, 20001)
    factor = curves.value("velocity", v=v, V=v * v_max, a=1.0, l=1.0)
    return float(np.gradient(factor, v).max())


def _fibre(numbers: Numbers, names: tuple[str, ...], curves: Curves) -> Step:
    m = {name: value[..., None, None] for name, value in numbers.muscles.items()}
    v = np.array([-0.3, 0.0, 0.3])[:, None]
    a = np.array([0.001, 0.05, 1.0])[None, :]
    fv, slope = curves.value("velocity", v=v), curves.value("slope", v=v)
    passive = np.array([curves.value("passive", l=length) for length in (1 - 1e-4, 1 + 1e-4)])
    tension = np.maximum(a * fv + passive.mean() + m["beta"] * v, 0.0)
    pull = TENDON_STIFFNESS * (tension + 0.2) * m["L0"] / m["L_slack"]
    rate = m["v_max"] * (pull + np.diff(passive) / 2e-4) / (a * slope + m["beta"])
    worst = rate.max(axis=(-1, -2))
    muscle = names[int(np.unravel_index(worst.argmax(), worst.shape)[1])]
    return Step(2 / float(worst.max()), f"the compliant tendon of {muscle!r}")
