"""Controllers without neurons: linear feedback, straight to the excitation of each muscle.

They know the state of arm and muscles exactly and without delay. Gains are proportional and
derivative, from a grid, or those of the linear-quadratic regulator of the plant, linearised by the
mirror's derivatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from brian2 import Network, NeuronGroup, Synapses, linked_var, second
from jaxtyping import Float
from scipy.linalg import solve_discrete_are
from scipy.optimize import lsq_linear
from torch import Tensor

from mirrorneuron import mirror
from mirrorneuron.muscle import TwoJoints, plants

from ._loop import World

ELBOW, PLANT = plants["elbow_pair"], plants["arm26_nijhof"]
BONES = cast(TwoJoints, PLANT.skeleton)
MUSCLES, JOINTS = len(PLANT.muscles), len(PLANT.joints)
Posture = tuple[float, float]
KEYS = ("joints.angle", "joints.velocity", "muscles.activation")


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Linear feedback: excitation is `offset` minus gains times the state of arm and muscles.

    Arguments:
        offset: Excitation in the posture.
        angle, velocity: Gains on the distance from the posture [1/rad] and the velocity [s/rad].
        activation: Gains on the activations.
    """

    offset: Float[np.ndarray, " muscle"]
    angle: Float[np.ndarray, "muscle joint"]
    velocity: Float[np.ndarray, "muscle joint"]
    activation: Float[np.ndarray, "muscle muscle"]


@dataclass(frozen=True, kw_only=True)
class Linear:
    """One step of a plant, linearised at rest in a posture.

    Arguments:
        jacobian: Derivative of the state after the step (angles, velocities, activations), and of
            the torques of the muscles within it, by the state before and the excitations.
        torque: Torque of the muscles on each joint [N m].
        muscles: How many there are.
    """

    jacobian: Float[np.ndarray, "effect cause"]
    torque: Float[np.ndarray, " joint"]
    muscles: int


@lru_cache
def linearise(
    plant: str, posture: tuple[float, ...], dt: float, activation: tuple[float, ...]
) -> Linear:
    """Linearise one time step of a plant at rest, by the derivatives of its mirror."""
    clock: Any = dt * second
    body = plants[plant].build(excitation="input", angle=posture, dt=clock)
    model = mirror(Network(*body.objects), dtype=torch.float64, namespace={})
    joints, muscles = len(posture), len(activation)

    def step(x: Tensor) -> Tensor:
        *parts, excitation = x[None].split([joints, joints, muscles, muscles], dim=1)
        state = dict(model.initial_state()) | dict(zip(KEYS, parts, strict=True))
        after = model.run_steps(1, {"muscles.excitation": excitation[None]}, state=state).state
        return torch.cat([*(after[key][0] for key in KEYS), after["joints.muscle_torque"][0]])

    known = torch.tensor(activation, dtype=torch.float64)
    still = torch.tensor([*posture, *[0.0] * joints], dtype=torch.float64)
    point = torch.cat([still, known, known])
    jacobian = torch.autograd.functional.jacobian(step, point).numpy()  # pyright: ignore
    torque = step(point).detach().numpy()[-joints:]
    return Linear(jacobian=jacobian, torque=torque, muscles=muscles)


def linear_quadratic(
    plant: Linear, rest: Float[np.ndarray, " muscle"], look: float, effort: float
) -> Controller:
    """The linear-quadratic regulator about `rest`, with the weights of the training's loss."""
    joints, muscles = len(plant.torque), plant.muscles
    slope = plant.jacobian[:-joints]
    a, b = slope[:, :-muscles], slope[:, -muscles:]
    aim = np.hstack([np.eye(joints), look * np.eye(joints), np.zeros((joints, muscles))])
    share = effort / muscles
    cost = aim.T @ aim + np.diag([0.0] * 2 * joints + [share] * muscles)
    weight = share * np.eye(muscles)
    riccati = solve_discrete_are(a, b, cost, weight)
    gain = np.linalg.solve(weight + b.T @ riccati @ b, b.T @ riccati @ a)
    angle, velocity, activation = np.split(gain, [joints, 2 * joints], axis=1)
    return Controller(
        offset=rest + activation @ rest, angle=angle, velocity=velocity, activation=activation
    )


def per_arm(gains: Sequence[Any], arms: int) -> Float[np.ndarray, " _"]:
    """Repeat the gains of each controller for each of its arms."""
    return np.concatenate([np.tile(np.ravel(gain), arms) for gain in gains])


# ---- the forearm of `arm_stabilisation`

ELBOW_COMMAND = """
command = clip(offset - k_angle*angle - k_velocity*velocity*second
               - k_flexor*flexor - k_extensor*extensor, 0, 1) : 1 (constant over dt)
offset : 1 (constant)
k_angle : 1 (constant)
k_velocity : 1 (constant)
k_flexor : 1 (constant)
k_extensor : 1 (constant)
angle : 1 (linked)
velocity : 1/second (linked)
flexor : 1 (linked)
extensor : 1 (linked)
"""


def symmetric(offset: float, angle: float = 0.0, velocity: float = 0.0) -> Controller:
    """The same gains for both muscles, which pull equally at rest [1, 1/rad, s/rad]."""
    sides, strength = np.array([[1.0], [-1.0]]), np.array([m.F0 for m in ELBOW.muscles.values()])
    return Controller(
        offset=offset * strength.min() / strength, angle=angle * sides, velocity=velocity * sides,
        activation=np.zeros((2, 2)),
    )  # fmt: skip


def elbow_regulator(dt: float, look: float, effort: float) -> Controller:
    """The linear-quadratic regulator at 0 rad, at the activations that balance the arm."""
    level = np.full(2, 0.03)
    near = linearise(ELBOW.name, (0.0,), dt, tuple(level))
    level[1] -= near.torque[0] / near.jacobian[-1, 3]
    return linear_quadratic(linearise(ELBOW.name, (0.0,), dt, tuple(level)), level, look, effort)


def elbow_controlled(
    controllers: Sequence[Controller],
    angles: Float[np.ndarray, "arm joint"],
    dt: float,
    world: World,
) -> Network:
    """Network of an arm for each pair of controller and start, with feedback of its own."""
    batch, clock = len(controllers) * len(angles), dt * second
    body = world.build(
        ELBOW, dt, batch, excitation="input", angle=np.tile(angles, (len(controllers), 1))
    )
    feedback: Any = NeuronGroup(2 * batch, ELBOW_COMMAND, name="feedback", dt=clock)
    arm = np.repeat(np.arange(batch), 2)
    for name in ("angle", "velocity"):
        setattr(feedback, name, linked_var(body.joints, name, index=arm))
        gains = per_arm([getattr(c, name) for c in controllers], len(angles))
        setattr(feedback, f"k_{name}", gains)
    for k, name in enumerate(ELBOW.muscles):
        setattr(feedback, name, linked_var(body.muscles, "activation", index=2 * arm + k))
        gains = per_arm([c.activation[:, k] for c in controllers], len(angles))
        setattr(feedback, f"k_{name}", gains)
    feedback.offset = per_arm([c.offset for c in controllers], len(angles))
    wires = Synapses(
        feedback, body.muscles, "excitation_post = command_pre : 1 (summed)", name="wires",
        dt=clock, order=-1,
    )  # fmt: skip
    wires.connect(j="i")
    return Network(feedback, wires, *body.objects)


# ---- the arm of `arm_posture`

COMMAND = """
command = clip(offset - from_joints - from_muscles, 0, 1) : 1 (constant over dt)
offset : 1 (constant)
from_joints : 1
from_muscles : 1
"""
FROM_JOINTS = """
aim : 1 (constant)
proportional : 1 (constant)
derivative : second (constant)
from_joints_post = proportional*(angle_pre - aim) + derivative*velocity_pre : 1 (summed)
"""
FROM_MUSCLES = """
gain : 1 (constant)
from_muscles_post = gain*activation_pre : 1 (summed)
"""


def feedback(
    posture: Posture, dt: float, level: float, angle: float = 0.0, velocity: float = 0.0
) -> Controller:
    """Equal feedback gains for both joints, distributed to muscles by their moment arms."""
    arms = moment_arms(posture)
    shape = arms / np.abs(arms).max()
    return Controller(
        offset=balanced(posture, dt, level), angle=angle * shape, velocity=velocity * shape,
        activation=np.zeros((MUSCLES, MUSCLES)),
    )  # fmt: skip


def moment_arms(posture: Posture) -> Float[np.ndarray, "muscle joint"]:
    """Moment arms in a posture [m]."""
    joints = {"angle": np.array([posture])}
    numbers = PLANT.numbers(1, "rigid", 0.0, joints, spikes=False)
    return numbers.moment_arms(np.array([posture]))[0]


def balanced(posture: Posture, dt: float, level: float) -> Float[np.ndarray, " muscle"]:
    """The activations nearest to `level` with which the muscles hold the arm in a posture."""
    some = (0.1,) * MUSCLES  # at rest torques are linear in activations
    found = linearise(PLANT.name, posture, dt, some)
    by_activation = slice(2 * JOINTS, 2 * JOINTS + MUSCLES)
    torques = found.jacobian[-JOINTS:]
    pull = torques[:, by_activation] + torques[:, -MUSCLES:]
    passive = found.torque - pull @ np.array(some)
    heavy = 1e3
    rows = np.vstack([heavy * pull, np.eye(MUSCLES)])
    aims = np.concatenate([-heavy * passive, np.full(MUSCLES, level)])
    return np.asarray(lsq_linear(rows, aims, bounds=(0, 1)).x)


def regulator(posture: Posture, dt: float, look: float, effort: float, level: float) -> Controller:
    """The linear-quadratic regulator in a posture, at activations near `level`."""
    rest = balanced(posture, dt, level)
    return linear_quadratic(linearise(PLANT.name, posture, dt, tuple(rest)), rest, look, effort)


def controlled(
    controllers: Sequence[Controller],
    angles: Float[np.ndarray, "trial joint"],
    posture: Posture,
    dt: float,
    world: World,
) -> Network:
    """Network of an arm for each pair of controller and start, with feedback of its own."""
    trials, clock = len(angles), dt * second
    batch = len(controllers) * trials
    starts = np.tile(angles, (len(controllers), 1))
    body = world.build(PLANT, dt, batch, excitation="input", angle=starts)
    group: Any = NeuronGroup(MUSCLES * batch, COMMAND, name="feedback", dt=clock)
    group.offset = per_arm([c.offset for c in controllers], trials)
    arm, muscle, joint = (x.ravel() for x in np.indices((batch, MUSCLES, JOINTS)))
    joints: Any = Synapses(body.joints, group, FROM_JOINTS, name="from_joints", dt=clock, order=-3)
    joints.connect(i=arm * JOINTS + joint, j=arm * MUSCLES + muscle)
    joints.aim = np.array(posture)[joint]
    joints.proportional = per_arm([c.angle for c in controllers], trials)
    joints.derivative_ = per_arm([c.velocity for c in controllers], trials)
    arm, muscle, other = (x.ravel() for x in np.indices((batch, MUSCLES, MUSCLES)))
    muscles: Any = Synapses(
        body.muscles, group, FROM_MUSCLES, name="from_muscles", dt=clock, order=-3
    )
    muscles.connect(i=arm * MUSCLES + other, j=arm * MUSCLES + muscle)
    muscles.gain = per_arm([c.activation for c in controllers], trials)
    wires = Synapses(
        group, body.muscles, "excitation_post = command_pre : 1 (summed)", name="wires",
        dt=clock, order=-2,
    )  # fmt: skip
    wires.connect(j="i")
    return Network(group, joints, muscles, wires, *body.objects)
