r"""Skeletons: joints with inertia, Coriolis torque, viscosity, gravity and soft limits.

A step is three statements, each in a slot of its own, so that no backend can read a neighbour's new
value for an old one: the net torque of each joint, from what all joints were; then its velocity;
then its angle **with the new velocity** (semi-implicit Euler: first order, and symplectic where the
mass matrix is constant). `order="explicit"` moves the angle with the old velocity, which is first
order too, and a spike takes one step longer to reach the angle.

Limits are walls of bounded stiffness, $K s \ln(1 + e^{d/s})$ with $d$ the angle beyond the limit:
their step size is known, and no gradient dies in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked

from ._expression import softplus

GRAVITY = 9.80665
Order = Literal["semi-implicit", "explicit"]
ORDERS: Mapping[Order, int] = {"semi-implicit": 1, "explicit": 1}
Links = Mapping[str, tuple[str, tuple[int, ...]]]

STATES = """
angle : 1
velocity : 1/second
torque : newton*metre
muscle_torque : newton*metre
load : newton*metre
lower : 1 (constant)
upper : 1 (constant)
viscosity : newton*metre*second (constant)
wall_stiffness : newton*metre (constant)
wall_width : 1 (constant)
"""
LIMIT = (
    f"wall_stiffness*wall_width*({softplus('(lower - angle)/wall_width')}"
    f" - {softplus('(angle - upper)/wall_width')})"
)


class Steps(NamedTuple):
    """How a joint takes a step: what it needs declared, and statements, in their order.

    The old velocity is kept before the new one is computed, in a slot of its own: within one slot
    Brian2's numpy target would take both for the same array.
    """

    declared: str
    keep: str
    velocity: str
    angle: str


def steps(acceleration: str, order: Order) -> Steps:
    """The step of a joint that accelerates."""
    velocity = f"velocity += dt*({acceleration})"
    if order == "semi-implicit":
        return Steps("", "", velocity, "angle += dt*velocity")
    keep = "old_velocity = velocity\n"
    return Steps("old_velocity : 1/second", keep, velocity, "angle += dt*old_velocity")


@checked
@dataclass(frozen=True, kw_only=True)
class Joint:
    """Range and passive properties of a joint, in SI floats.

    Arguments:
        lower, upper: Soft limits [rad].
        viscosity: [N m s].
        wall_stiffness: Of the limits, K [N m].
        wall_width: Over which a limit sets in, s [rad].
    """

    lower: float
    upper: float
    viscosity: float = 0.05
    wall_stiffness: float = 1000.0
    wall_width: float = 0.02


@runtime_checkable
class Skeleton(Protocol):
    """Bones: the text of their mechanics, and the same as numbers."""

    equations: str
    acceleration: str

    def torque(self, gravity: bool) -> str:
        """Terms of a joint's torque, beside muscles, load, viscosity and limits."""
        ...

    def links(self, gravity: bool) -> Links:
        """Variables that each joint reads of others: which variable, of which joint."""
        ...

    def values(self) -> Mapping[str, tuple[float, ...]]:
        """Parameters, one value a joint."""
        ...

    def mass_matrix(self, angle: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Mass matrix at angles "... joint", of shape "... joint joint" [kg m^2].

        Arguments:
            angle: [rad].
            values: Parameters "... joint", where they differ from `values()`.
        """
        ...

    def potential(self, angle: Any) -> Any:
        """Potential energy at angles "... joint" [J]."""
        ...


@checked
def energy(
    skeleton: Skeleton,
    angle: Float[np.ndarray, "*trial joint"],
    velocity: Float[np.ndarray, "*trial joint"],
    gravity: bool = False,
) -> Any:
    """Kinetic energy at angles and velocities "... joint", with gravity the potential too [J]."""
    w = np.asarray(velocity)
    kinetic = 0.5 * np.einsum("...i,...ij,...j->...", w, skeleton.mass_matrix(angle), w)
    return kinetic + skeleton.potential(angle) if gravity else kinetic


@checked
@dataclass(frozen=True, kw_only=True)
class OneJoint:
    r"""A segment on a hinge.

    $I \ddot q = \tau + m g l_g \sin(q - q_{up}) - b \dot q$

    Arguments:
        inertia: About the hinge, I [kg m^2].
        weight: Torque of gravity on the horizontal segment, m g l_g [N m].
        upright: Angle at which it stands straight up [rad].
    """

    inertia: float
    weight: float
    upright: float

    equations = """
inertia : kilogram*metre**2 (constant)
weight : newton*metre (constant)
upright : 1 (constant)
"""
    acceleration = "torque/inertia"

    def torque(self, gravity: bool) -> str:
        """Gravity."""
        return " + weight*sin(angle - upright)" if gravity else ""

    def links(self, gravity: bool) -> Links:
        """None: there is no other joint."""
        return {}

    def values(self) -> Mapping[str, tuple[float, ...]]:
        """Parameters, one value a joint."""
        return {name: (value,) for name, value in vars(self).items()}

    def mass_matrix(self, angle: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Mass matrix at angles "... joint", of shape "... joint joint" [kg m^2]."""
        inertia = np.asarray((values or self.values())["inertia"])
        return np.broadcast_to(inertia, np.shape(angle))[..., None]

    def potential(self, angle: Any) -> Any:
        """Potential energy at angles "... joint" [J]."""
        return self.weight * np.cos(np.asarray(angle)[..., 0] - self.upright)


@checked
@dataclass(frozen=True, kw_only=True)
class TwoJoints:
    r"""Two segments in a plane, on a shoulder and an elbow.

    $M \ddot q = \tau - C - G - b \dot q$ with $M_{11} = A + 2 B \cos q_2$,
    $M_{12} = D + B \cos q_2$, $M_{22} = D$;
    $C = (-B \sin q_2 \, \dot q_2 (2 \dot q_1 + \dot q_2),\; B \sin q_2 \, \dot q_1^2)$;
    $G = (P_1 \cos q_1 + P_2 \cos(q_1 + q_2),\; P_2 \cos(q_1 + q_2))$.

    One text serves both joints: `proximal` is 1 for the shoulder and 0 for the elbow, and `other_`
    stands for the joint that it is not.

    Arguments:
        mass: Of upper arm and forearm [kg].
        length: Of each [m].
        centre: Distance of each mass centre from its proximal joint, l_g [m].
        inertia: Of each about its mass centre [kg m^2].
        cross_viscosity: Torque on a joint for the velocity of the other [N m s].
    """

    mass: tuple[float, float]
    length: tuple[float, float]
    centre: tuple[float, float]
    inertia: tuple[float, float]
    cross_viscosity: float = 0.0

    equations = """
A : kilogram*metre**2 (constant)
B : kilogram*metre**2 (constant)
D : kilogram*metre**2 (constant)
P_1 : newton*metre (constant)
P_2 : newton*metre (constant)
cross_viscosity : newton*metre*second (constant)
proximal : 1 (constant)
"""
    acceleration = (
        "((proximal*D + (1 - proximal)*(A + 2*B*cos(elbow_angle)))*torque"
        " - (D + B*cos(elbow_angle))*other_torque)"
        "/((A + 2*B*cos(elbow_angle))*D - (D + B*cos(elbow_angle))**2)"
    )

    def torque(self, gravity: bool) -> str:
        """Coriolis torque, viscosity of the other joint, gravity."""
        coriolis = (
            " - B*sin(elbow_angle)*other_velocity"
            "*(other_velocity - 2*proximal*(velocity + other_velocity))"
        )
        weight = " - P_1*cos(shoulder_angle) - P_2*cos(shoulder_angle + elbow_angle)"
        cross = " - cross_viscosity*other_velocity" if self.cross_viscosity else ""
        return coriolis + cross + (weight if gravity else "")

    def links(self, gravity: bool) -> Links:
        """The other joint's torque and velocity, and the angles of both."""
        links: dict[str, tuple[str, tuple[int, ...]]] = {
            "other_torque": ("torque", (1, 0)),
            "other_velocity": ("velocity", (1, 0)),
            "elbow_angle": ("angle", (1, 1)),
        }
        return links | ({"shoulder_angle": ("angle", (0, 0))} if gravity else {})

    def values(self) -> Mapping[str, tuple[float, ...]]:
        """Parameters, one value a joint."""
        (m1, m2), (l1, _), (c1, c2), (i1, i2) = (
            self.mass, self.length, self.centre, self.inertia,
        )  # fmt: skip
        both = {
            "A": m1 * c1**2 + i1 + m2 * (l1**2 + c2**2) + i2,
            "B": m2 * l1 * c2,
            "D": m2 * c2**2 + i2,
            "P_2": GRAVITY * m2 * c2,
            "cross_viscosity": self.cross_viscosity,
        }
        shoulder = {"P_1": (GRAVITY * (m1 * c1 + m2 * l1), 0.0), "proximal": (1.0, 0.0)}
        return {name: (value, value) for name, value in both.items()} | shoulder

    def mass_matrix(self, angle: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Mass matrix at angles "... joint", of shape "... joint joint" [kg m^2]."""
        a, b, d = (np.asarray((values or self.values())[name])[..., 0] for name in "ABD")
        bend = b * np.cos(np.asarray(angle)[..., 1])
        rows = [[a + 2 * bend, d + bend], [d + bend, d + 0 * bend]]
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

    def potential(self, angle: Any) -> Any:
        """Potential energy at angles "... joint" [J]."""
        q1, q2 = np.moveaxis(np.asarray(angle), -1, 0)
        values = self.values()
        return values["P_1"][0] * np.sin(q1) + values["P_2"][0] * np.sin(q1 + q2)

    def hand(self, angle: Any) -> Any:
        """Place of the hand at angles "... joint": "... x y" [m]."""
        q1, q2 = np.moveaxis(np.asarray(angle), -1, 0)
        l1, l2 = self.length
        x = l1 * np.cos(q1) + l2 * np.cos(q1 + q2)
        return np.stack([x, l1 * np.sin(q1) + l2 * np.sin(q1 + q2)], axis=-1)
