"""An arm of `muscle/` that somebody's own controller moves, in batches, with gradients.

`Arm` is two pure functions, `init` and `step`, over a memory of tensors "batch ...". `ArmBatch`
keeps that memory; `ArmEnv` and `ArmVectorEnv` (`mirrorneuron.gym`) do so behind the interface of
gymnasium. The plant is mirrored, so that gradients pass through muscles and joints.

One control step takes these parts, in this order:

    the action (excitation of each muscle) is spread by motor noise and queued
    plant steps: each takes the excitation that was commanded `motor_delay` ago
    senses are sampled, and shown `sensory_delay` later, with sensory noise
    reward = -|error|^2 - effort * mean(action^2), of the true posture

An observation has the senses in the order of `sense`, each by joint or muscle, then the goal;
`labels` names them all. What Brian2 computes within a step (lengths, forces, rates, the hand) is
shown as it was when the last plant step began, and angles and velocities as it left them.

Each trial draws from a stream of its own, all of it at `init` and always in the same order: start,
goal, pulses, motor noise, sensory noise. So a seed gives one trial, whatever batch it is in, and
switching noise on or off moves no start.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from brian2 import Network, ms, second
from numpy.random import Generator
from torch import Tensor

from .._arrays import require_finite
from ..bridge.backends.eager.engine import EagerEngine, Stepper
from ..bridge.draws import Draws
from ..bridge.mirror import Mirror, mirror
from ..errors import DomainError, NumericalError, ShapeError, UnknownName
from ..muscle import Plant, plants, receptors
from ..muscle.skeleton import TwoJoints
from ..units import Dimensions, si
from .senses import Array, Sense, Shown
from .settings import (
    ROUNDING,
    count,
    deviation,
    deviations,
    positive,
    require_distinct,
    require_known,
)
from .task import ArmTask, chosen_task

Memory = dict[str, Tensor]
SLOW = 0.2
EXCITATION, LOAD = "muscles.excitation", "joints.load"
STATES = ("joints.angle", "joints.velocity", "muscles.activation")
HAND = ("hand.force_x", "hand.force_y", "hand.field_xy", "hand.field_yx")


class Outcome(NamedTuple):
    """What a step gives, each "batch", the observation "batch sense"."""

    observation: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    error: Tensor


class Arm:
    """A mirrored plant, a task, and what lies between them and a controller.

    Arguments:
        plant: A name in `mn.muscle.plants`, or a Plant. Tendons are rigid.
        task: A name in `TASKS` ("hold" a posture, "reach" a target, hold under "pulses", reach in
            a curl "field"), or an ArmTask.
        sense: What is observed, in this order: "angle" [rad], "velocity" [rad/s], "fiber_length"
            [m], "fiber_velocity" [m/s], "force" [N], "hand" (x, y) [m], or receptors of
            `mn.muscle.receptors` [Hz]. By default all but forces and receptors.
        control_step: From one action to the next, a multiple of `dt`.
        dt: Time step of the plant.
        duration: Of a trial, a multiple of the control step; then `truncated`.
        sensory_delay: A multiple of `dt`, or one for each sense by name. Before the start the arm
            was at rest in its posture.
        motor_delay: A multiple of `dt`. Before the start the excitation was 0.
        sensory_noise: Standard deviation of each sense by name, in its unit; drawn anew at each
            control step.
        motor_noise: Standard deviation as a share of the excitation, which is kept in [0, 1];
            drawn anew at each control step [1].
        dtype, device: Of the tensors. In float64 on a CPU values are Brian2's to the last bit.

    Raises:
        UnknownName: There is no such plant, task or sense.
        UnitError: A time has another unit.
        DomainError: A time is no multiple of the other, noise is negative or not finite, a task
            acts on the hand of an arm that has none, or the time step is too large.
    """

    def __init__(
        self,
        plant: str | Plant = "elbow_pair",
        task: str | ArmTask = "hold",
        *,
        sense: Sequence[str] | None = None,
        control_step: Any = 10 * ms,
        dt: Any = 1 * ms,
        duration: Any = 1 * second,
        sensory_delay: Any = 0 * ms,
        motor_delay: Any = 0 * ms,
        sensory_noise: Mapping[str, float] | None = None,
        motor_noise: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self.plant, self.task = _chosen_plant(plant), chosen_task(task)
        skeleton = self.plant.skeleton
        self.bones = skeleton if isinstance(skeleton, TwoJoints) else None
        self._require_hand()
        self.dt = positive("dt", dt)
        self.substeps = count("control_step", control_step, self.dt, least=1)
        self.control_step = self.substeps * self.dt
        self.steps = count("duration", duration, self.control_step, least=1)
        self.delay = count("motor_delay", motor_delay, self.dt)
        self.motor_noise = deviation("motor_noise", motor_noise)
        table = self._table()
        default = tuple(name for name in table if name not in ("force", *receptors))
        chosen = default if sense is None else tuple(sense)
        require_known("sense", chosen, table)
        require_distinct(chosen)
        body = self.plant.build(excitation="input", hand=self.bones is not None, dt=dt)
        cells = [body.afferents(n, name=n, spikes=False) for n in chosen if n in receptors]
        self.model: Mirror = mirror(
            Network(*body.objects, *cells), dtype=dtype, device=device, namespace={}
        )
        self.at_hand = self.task.at_hand and self.bones is not None
        timing = self._timing(chosen, sensory_delay)
        noise = deviations(chosen, sensory_noise or {})
        self.senses = [Sense(n, table[n], *timing[n], noise[n]) for n in chosen]
        goal = table["hand" if self.at_hand else "angle"]
        self.low = np.concatenate([*(s.shown.low for s in self.senses), goal.low])
        self.high = np.concatenate([*(s.shown.high for s in self.senses), goal.high])
        self.labels = tuple(f"{s.name}.{label}" for s in self.senses for label in s.shown.labels)
        self.labels += tuple(f"goal.{label}" for label in goal.labels)
        each = [np.full(len(s.shown.labels), s.noise) for s in self.senses]
        self._noise = self._tensor(np.concatenate(each))
        driven = (EXCITATION, LOAD, *(HAND if self.bones else ()))
        code = EagerEngine(self.model.program, frozenset(), self.model.gradients)
        self._advance = Stepper(code, self.model.values, dict.fromkeys(driven, ()), 0)
        begun = self.model.initial_state()
        self._keys = [key for key, x in begun.items() if isinstance(x, Tensor)]

    # ---- the two functions

    def init(
        self, streams: Sequence[Generator], angle: Any = None, goal: Any = None
    ) -> tuple[Tensor, Memory]:
        """Start trials.

        Arguments:
            streams: One for each trial.
            angle: Posture at the start, one for each joint, or "batch joint" [rad]; drawn if None.
            goal: Posture of the goal, likewise (of which a task `at_hand` takes the hand) [rad].

        Returns:
            The first observation "batch sense", and the memory.

        Raises:
            ShapeError: A posture has another shape.
            DomainError: A posture is not finite or beyond the range of a joint.
        """
        drawn = [self._draw(stream) for stream in streams]
        tables = {key: np.stack([d[key] for d in drawn]) for key in drawn[0]}
        start, end = (
            tables.pop(name) if given is None else self._posture(name, given, tables.pop(name))
            for name, given in [("angle", angle), ("goal", goal)]
        )
        target = self.bones.hand(end) if self.at_hand and self.bones else end
        memory = {key: self._tensor(x) for key, x in (tables | {"goal": target}).items()}
        memory["count"] = torch.zeros(len(streams), dtype=torch.long, device=self.model.device)
        memory |= self._rest(self._tensor(start))
        return self._observe(memory), memory

    def step(self, memory: Memory, action: Tensor) -> tuple[Outcome, Memory]:
        """Take one control step.

        Arguments:
            memory: As `init` or `step` gave it; it is left as it is.
            action: Excitation of each muscle, "batch muscle" [1].

        Returns:
            The outcome, and the memory.

        Raises:
            ShapeError: The action has another shape.
            DomainError: An action is not finite or not in [0, 1]; nothing is clipped in silence.
                Or a trial has lasted its duration.
            NumericalError: The plant left its range of stability.
        """
        action = action.to(self.model.device, self.model.dtype)
        self._require_action(memory, action)
        self._require_time(memory)
        new = memory | {"commands": _queued(self._spread(memory, action), memory["commands"])}
        state = self._state({key: memory[key] for key in self._keys})
        state[LOAD] = _row(memory["load"], memory["count"])
        for k in range(self.substeps):
            state[EXCITATION] = new["commands"][:, -((k - self.delay) // self.substeps)]
            self._advance(state)
            for sense in self.senses:
                if sense.after == k + 1:
                    new[sense.slot] = _queued(sense.read(state), memory[sense.slot])
        new |= {key: state[key] for key in self._keys} | {"count": memory["count"] + 1}
        return self._judge(new, action), new

    # ---- what is drawn

    def _draw(self, stream: Generator) -> dict[str, Array]:
        """All that is random in one trial."""
        task, n, joints = self.task, self.steps, len(self.plant.joints)
        angle, goal = (self._uniform(stream, width) for width in (task.start, task.goal))
        onset = stream.random((n, 1)) < task.pulse_rate * self.control_step
        pulses = onset * stream.uniform(-task.pulse, task.pulse, (n, joints))
        load = np.full((n, joints), task.torque)
        width = int(np.ceil(task.pulse_duration / self.control_step - ROUNDING))
        for late in range(min(width, n)):
            load[late:] += pulses[: n - late]
        motor = stream.standard_normal((n, len(self.plant.muscles)))
        sensory = stream.standard_normal((n + 1, len(self._noise)))
        return {"angle": angle, "goal": goal, "load": load, "motor": motor, "sensory": sensory}

    def _uniform(self, stream: Generator, width: float) -> Array:
        """A posture near the plant's own, within the range of the joints."""
        own, (lower, upper) = np.array(self.plant.angle), self._range()
        return stream.uniform(np.maximum(lower, own - width), np.minimum(upper, own + width))

    def _range(self) -> tuple[Array, Array]:
        joints = self.plant.joints.values()
        return np.array([j.lower for j in joints]), np.array([j.upper for j in joints])

    # ---- the memory

    def _rest(self, angle: Tensor) -> Memory:
        """Memory of an arm that has been at rest in a posture, with what that posture shows."""
        batch = len(angle)
        begun = self.model.initial_state(batch) | {"joints.angle": angle}
        own = {k: v for k, v in begun.items() if isinstance(v, Tensor)}
        with torch.no_grad():
            shown = self._state(own)
            shown[EXCITATION] = angle.new_zeros(batch, len(self.plant.muscles))
            shown[LOAD] = torch.zeros_like(angle)
            self._advance(shown)
            rest = {k: (own if k in STATES else shown)[k].clone() for k in own}
            depth = -(-self.delay // self.substeps) + 1
            rest["commands"] = angle.new_zeros(batch, depth, len(self.plant.muscles))
            sensed = {s.slot: s.read(rest)[:, None].repeat(1, s.depth, 1) for s in self.senses}
        return rest | sensed

    def _state(self, values: Mapping[str, Tensor]) -> dict[str, Any]:
        """State of the mirror, in which the task acts on the hand; a step may write to it."""
        state: dict[str, Any] = dict(values)
        if not torch.is_grad_enabled():
            state = {key: x.clone() for key, x in values.items()}
        like = values["joints.angle"]
        if self.bones:
            pull = (*self.task.force, self.task.curl, -self.task.curl)
            state |= {k: like.new_full((len(like), 1), x) for k, x in zip(HAND, pull, strict=True)}
        return state | {"step": 0, "draws": Draws(0, len(like))}

    def _tensor(self, x: Array) -> Tensor:
        return torch.as_tensor(x, dtype=self.model.dtype, device=self.model.device)

    def _observe(self, memory: Memory) -> Tensor:
        """What the controller is shown."""
        noise = _row(memory["sensory"], memory["count"]) * self._noise
        sensed = torch.cat([memory[s.slot][:, -1] for s in self.senses], -1)
        return torch.cat([sensed + noise, memory["goal"]], -1)

    def _judge(self, memory: Memory, action: Tensor) -> Outcome:
        """What came of a step."""
        hand = ("hand.x", "hand.y") if self.at_hand else ("joints.angle",)
        distance = torch.cat([memory[key] for key in hand], -1) - memory["goal"]
        squared = distance.square().sum(-1)
        reward = -squared - self.task.effort * action.square().mean(-1)
        slow = memory["joints.velocity"].detach().abs().amax(-1) < SLOW
        observation = self._observe(memory)
        if not bool(torch.isfinite(observation).all() and torch.isfinite(reward).all()):
            raise NumericalError(
                f"step(action): the arm became NaN or infinite, with dt = {self.dt * 1e3:g} ms. The"
                " integrator left its range of stability. Lower dt."
            )
        error = squared.detach().sqrt()
        arrived = (error < self.task.tolerance) & slow
        return Outcome(observation, reward, arrived, memory["count"] >= self.steps, error)

    # ---- actions

    def _spread(self, memory: Memory, action: Tensor) -> Tensor:
        """The action with signal-dependent noise."""
        if not self.motor_noise:
            return action
        noise = _row(memory["motor"], memory["count"])
        return (action * (1 + self.motor_noise * noise)).clamp(0, 1)

    def _require_action(self, memory: Memory, action: Tensor) -> None:
        shape = (len(memory["count"]), len(self.plant.muscles))
        if tuple(action.shape) != shape:
            raise ShapeError(
                f"step(action): the shape is {tuple(action.shape)}, expected (batch, muscle) ="
                f" {shape}: one excitation for each of {', '.join(self.plant.muscles)}, in each"
                " trial. Write an action of that shape."
            )
        wrong = torch.nonzero(~((action >= 0) & (action <= 1)))
        if len(wrong):
            trial, muscle = (int(k) for k in wrong[0])
            raise DomainError(
                f"step(action): the excitation of {list(self.plant.muscles)[muscle]!r} is"
                f" {action[trial, muscle].item():g} (trial {trial}). It has to be in [0, 1], and is"
                " not clipped, as that would hide a gradient of zero. Write torch.sigmoid(x), or"
                " wrap the environment in gymnasium.wrappers.ClipAction."
            )

    def _require_time(self, memory: Memory) -> None:
        if bool((memory["count"] >= self.steps).any()):
            raise DomainError(
                f"step(action): the trial is over, after {self.steps} control steps of"
                f" {self.control_step * 1e3:g} ms. Write reset(), or a longer duration."
            )

    # ---- settings

    def _table(self) -> dict[str, Shown]:
        """All that can be sensed."""
        joints, muscles = tuple(self.plant.joints), tuple(self.plant.muscles)
        L0 = np.array([m.L0 for m in self.plant.muscles.values()])
        F0 = np.array([m.F0 for m in self.plant.muscles.values()])
        v, (lower, upper) = L0 * self.plant.v_max, self._range()
        one, all_ = np.ones(len(joints)), np.ones(len(muscles))
        table = {
            "angle": Shown(("joints.angle",), one, lower - 1, upper + 1, joints),
            "velocity": Shown(("joints.velocity",), one, -100 * one, 100 * one, joints),
            "fiber_length": Shown(("muscles.fiber_length",), L0, 0 * L0, 3 * L0, muscles),
            "fiber_velocity": Shown(("muscles.fiber_velocity",), v, -5 * v, 5 * v, muscles),
            "force": Shown(("muscles.force",), all_, -F0, 10 * F0, muscles),
        }  # fmt: skip
        if self.bones:
            reach = np.full(2, 2 * sum(self.bones.length))
            table["hand"] = Shown(("hand.x", "hand.y"), np.ones(2), -reach, reach, ("x", "y"))
        return table | {
            name: Shown((f"{name}.rate",), all_, 0 * all_, 5000 * all_, muscles)
            for name in receptors
        }

    def _timing(self, chosen: Sequence[str], delay: Any) -> dict[str, tuple[int, int]]:
        """Of each sense: how many samples wait, and after how many plant steps one is taken."""
        given = delay if isinstance(delay, Mapping) else dict.fromkeys(chosen, delay)
        require_known("sensory_delay", given, chosen)
        timing: dict[str, tuple[int, int]] = dict.fromkeys(chosen, (1, self.substeps))
        for name, value in given.items():
            late = count("sensory_delay", value, self.dt)
            depth = late // self.substeps + 1
            timing[name] = depth, depth * self.substeps - late
        return timing

    def _require_hand(self) -> None:
        if self.bones is None and self.task.needs_hand:
            raise DomainError(
                f"{self.task} acts on the hand, but {self.plant.name!r} has one joint. What acts on"
                " one joint is a torque. Write ArmTask(torque=...), or take 'arm26_nijhof'."
            )

    def _posture(self, name: str, given: Any, drawn: Array) -> Array:
        """A posture of a user, "batch joint"."""
        plain = si(given, Dimensions(), f"reset({name}=...): the posture [rad]")
        try:
            angle = np.broadcast_to(plain, drawn.shape).copy()
        except ValueError:
            raise ShapeError(
                f"reset({name}=...): the shape is {np.shape(given)}, expected (joint) or (batch,"
                f" joint) = {drawn.shape}. Write one angle for each of"
                f" {', '.join(self.plant.joints)}."
            ) from None
        require_finite(angle, f"reset({name}=...)")
        lower, upper = self._range()
        wrong = np.argwhere((angle < lower - ROUNDING) | (angle > upper + ROUNDING))
        if len(wrong):
            trial, n = (int(k) for k in wrong[0])
            raise DomainError(
                f"reset({name}=...): the joint {list(self.plant.joints)[n]!r} is at"
                f" {angle[trial, n]:g} rad (trial {trial}), beyond its range of {lower[n]:g} to"
                f" {upper[n]:g} rad, where its limits would throw it back. Write an angle in there."
            )
        return angle


def _queued(new: Tensor, queue: Tensor) -> Tensor:
    """A queue "batch depth value", newest first, that has taken a value and lost the oldest."""
    return torch.cat([new[:, None], queue[:, :-1]], 1)


def _row(table: Tensor, count: Tensor) -> Tensor:
    """The row of each trial's own time, of a table "batch time value"."""
    return table[torch.arange(len(count), device=count.device), count]


def _chosen_plant(given: str | Plant) -> Plant:
    if isinstance(given, Plant):
        return given
    if given not in plants:
        raise UnknownName.among(f"plant={given!r}", given, plants)
    return plants[given]
