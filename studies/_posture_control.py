"""Controllers for the arm of `arm_posture` without neurons: constant, PD, and the LQR.

They set the excitation of each muscle directly, and know the state of arm and muscles exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, Synapses, second
from jaxtyping import Float
from scipy.linalg import solve_discrete_are
from scipy.optimize import lsq_linear
from torch import Tensor

from mirrorneuron import mirror

from ._posture_loop import JOINTS, MUSCLES, PLANT, Posture, World

PARTS = (JOINTS, JOINTS, MUSCLES)
KEYS = ("joints.angle", "joints.velocity", "muscles.activation")
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


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Linear feedback: excitation is `offset` less what is multiplied by the gains.

    Arguments:
        offset: Excitation at the posture.
        angle, velocity: Gains on the distance from the posture [1/rad] and the velocity [s/rad].
        activation: Gains on the activations.
    """

    offset: Float[np.ndarray, " muscle"]
    angle: Float[np.ndarray, "muscle joint"]
    velocity: Float[np.ndarray, "muscle joint"]
    activation: Float[np.ndarray, "muscle muscle"]


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """The plant at rest in a posture: what a step makes of its state, and what its muscles pull.

    Arguments:
        state: Slope of the state (angles, velocities, activations) after a step of 2 dt by that
            before and the excitation.
        pull: Torque of each joint by the activation of each muscle [N m].
        passive: Torque of the muscles at activations of zero [N m].
    """

    state: Float[np.ndarray, "state cause"]
    pull: Float[np.ndarray, "joint muscle"]
    passive: Float[np.ndarray, " joint"]


def feedback(
    posture: Posture, dt: float, level: float, angle: float = 0.0, velocity: float = 0.0
) -> Controller:
    """The same proportional and derivative gain of each joint, by way of the moment arms."""
    offset = balanced(posture, dt, level)
    arms = moment_arms(posture)
    shape = arms / np.abs(arms).max()
    return Controller(
        offset=offset, angle=angle * shape, velocity=velocity * shape,
        activation=np.zeros((MUSCLES, MUSCLES)),
    )  # fmt: skip


def moment_arms(posture: Posture) -> Float[np.ndarray, "muscle joint"]:
    """Moment arms in a posture [m]."""
    joints = {"angle": np.array([posture])}
    numbers = PLANT.numbers(1, "rigid", 0.0, joints, spikes=False)
    return numbers.moment_arms(np.array([posture]))[0]


def balanced(posture: Posture, dt: float, level: float) -> Float[np.ndarray, " muscle"]:
    """The activations nearest to `level` with which the muscles hold the arm in a posture."""
    found = slopes(posture, dt, (0.1,) * MUSCLES)  # at rest torques are linear in activations
    heavy = 1e3
    rows = np.vstack([heavy * found.pull, np.eye(MUSCLES)])
    aims = np.concatenate([-heavy * found.passive, np.full(MUSCLES, level)])
    return np.asarray(lsq_linear(rows, aims, bounds=(0, 1)).x)


def regulator(posture: Posture, dt: float, look: float, effort: float, level: float) -> Controller:
    """The linear-quadratic regulator in a posture, with the weights of the training's loss."""
    rest = balanced(posture, dt, level)
    slope = slopes(posture, dt, tuple(rest)).state
    a, b = slope[:, :-MUSCLES], slope[:, -MUSCLES:]
    aim = np.hstack([np.eye(JOINTS), look * np.eye(JOINTS), np.zeros((JOINTS, MUSCLES))])
    share = effort / MUSCLES
    cost = aim.T @ aim + np.diag([0.0] * 2 * JOINTS + [share] * MUSCLES)
    weight = share * np.eye(MUSCLES)
    riccati = solve_discrete_are(a, b, cost, weight)
    gain = np.linalg.solve(weight + b.T @ riccati @ b, b.T @ riccati @ a)
    angle, velocity, activation = np.split(gain, np.cumsum(PARTS)[:-1], axis=1)
    return Controller(
        offset=rest + activation @ rest, angle=angle, velocity=velocity, activation=activation
    )


@lru_cache
def slopes(posture: Posture, dt: float, rest: tuple[float, ...]) -> Slopes:
    """Derivatives of one step of the plant, by the mirror, at rest with some activations."""
    clock: Any = dt * second
    body = PLANT.build(excitation="input", angle=posture, dt=clock)
    model = mirror(Network(*body.objects), dtype=torch.float64, namespace={})

    def step(x: Tensor) -> Tensor:
        """Angles, velocities, activations after a step, and the muscles' torques within it."""
        *parts, excitation = x[None].split([*PARTS, MUSCLES], dim=1)
        state = dict(model.initial_state()) | dict(zip(KEYS, parts, strict=True))
        after = model.run_steps(1, {"muscles.excitation": excitation[None]}, state=state).state
        return torch.cat([*(after[key][0] for key in KEYS), after["joints.muscle_torque"][0]])

    known = torch.tensor(rest, dtype=torch.float64)
    still = torch.tensor([*posture, 0.0, 0.0], dtype=torch.float64)
    point = torch.cat([still, known, known])
    slope = torch.autograd.functional.jacobian(step, point).numpy()  # pyright: ignore
    torque = step(point).detach().numpy()[-JOINTS:]
    before = slice(2 * JOINTS, 2 * JOINTS + MUSCLES)
    pull = slope[-JOINTS:, before] + slope[-JOINTS:, -MUSCLES:]
    return Slopes(state=slope[:-JOINTS], pull=pull, passive=torque - pull @ np.array(rest))


def controlled(
    controllers: Sequence[Controller],
    angles: Float[np.ndarray, "trial joint"],
    posture: Posture,
    dt: float,
    world: World,
) -> Network:
    """As many arms as there are controllers times starts, each with its own feedback."""
    trials, clock = len(angles), dt * second
    batch = len(controllers) * trials
    body = world.build(dt, batch, excitation="input", angle=np.tile(angles, (len(controllers), 1)))
    group: Any = NeuronGroup(MUSCLES * batch, COMMAND, name="feedback", dt=clock)
    group.offset = _each(controllers, "offset", trials)
    arm, muscle, joint = (x.ravel() for x in np.indices((batch, MUSCLES, JOINTS)))
    joints: Any = Synapses(body.joints, group, FROM_JOINTS, name="from_joints", dt=clock, order=-3)
    joints.connect(i=arm * JOINTS + joint, j=arm * MUSCLES + muscle)
    joints.aim = np.array(posture)[joint]
    joints.proportional = _each(controllers, "angle", trials)
    joints.derivative_ = _each(controllers, "velocity", trials)
    arm, muscle, other = (x.ravel() for x in np.indices((batch, MUSCLES, MUSCLES)))
    muscles: Any = Synapses(
        body.muscles, group, FROM_MUSCLES, name="from_muscles", dt=clock, order=-3
    )
    muscles.connect(i=arm * MUSCLES + other, j=arm * MUSCLES + muscle)
    muscles.gain = _each(controllers, "activation", trials)
    wires = Synapses(
        group, body.muscles, "excitation_post = command_pre : 1 (summed)", name="wires",
        dt=clock, order=-2,
    )  # fmt: skip
    wires.connect(j="i")
    return Network(group, joints, muscles, wires, *body.objects)


def _each(controllers: Sequence[Controller], name: str, trials: int) -> Float[np.ndarray, " _"]:
    """A parameter of the controllers for each of their arms."""
    return np.concatenate([np.tile(np.ravel(getattr(c, name)), trials) for c in controllers])
