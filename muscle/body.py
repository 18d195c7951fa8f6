"""Body: the Brian2 objects of a plant, and how one step of theirs is ordered.

All of it happens in the slot `groups`, by `order`:

    -1  excursion and its rate from the angles (summed over `attachments`); excitation
     0  activation (and what spikes have left)
     1  fibre length, fibre velocity, force
     2  muscle torque (summed over `attachments`); the hand
     3  net torque of each joint
     4  velocity
     5  angle
     6  afferents

A state of the body is angles, velocities, activations and what spikes have left (with a compliant
tendon, fibre lengths too). Everything else is computed anew in each step before it is used, and
shows what it was in the step that was taken last.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import NeuronGroup, Synapses, TimedArray, linked_var
from brian2.units.fundamentalunits import Quantity
from jaxtyping import Float

from mirrorneuron._arguments import Count, checked

from . import _check
from . import hand as at_hand
from ._contracts import Activation, Curves
from ._stability import largest_step
from .contraction import OF_DAMPED, OF_PENNATE, PARAMETERS, Tendon, contraction
from .excitation import Excitation
from .geometry import Numbers
from .receptors import receptors
from .senses import afferents
from .skeleton import LIMIT, STATES, Order, Skeleton, TwoJoints, steps

UNIT_OF = {"angle": "1", "velocity": "1/second", "torque": "newton*metre"}


@dataclass(frozen=True, kw_only=True)
class Design:
    """What the objects of a body are made of."""

    skeleton: Skeleton
    curves: Curves
    activation: Activation
    excitation: Excitation
    tendon: Tendon
    gravity: bool
    order: Order
    load: TimedArray | None
    hand: TwoJoints | None
    muscle_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    prefix: str


@checked
@dataclass(frozen=True, kw_only=True)
class Body:
    """A plant as Brian2 objects that join any Network: `Network(cells, *arm.objects)`.

    Element `b*N + n` of a group is muscle (or joint) `n` of arm `b`.

    Arguments:
        muscles: `excitation`, `activation`, `fiber_length` [L0], `fiber_velocity` [L0 v_max],
            `force`, and parameters; `beta` and `pennation` only where they are used.
        joints: `angle`, `velocity`, `torque`, `muscle_torque`, `load`, and parameters.
        attachments: Synapses from muscles to joints that hold the moment arms (`moment_arm`).
        hand: `x`, `y`, `velocity_x`, `velocity_y`, `force_x`, `force_y`, `field_xx` to `field_yy`;
            None if it was not asked for.
        batch: Number of arms.
        design: What they are made of.
    """

    muscles: NeuronGroup
    joints: NeuronGroup
    attachments: Synapses
    hand: NeuronGroup | None
    batch: Count
    design: Design

    @property
    def objects(self) -> tuple[Any, ...]:
        """All of it, for a Network."""
        hand = () if self.hand is None else (self.hand,)
        return (self.muscles, self.joints, self.attachments, *hand)

    def afferents(self, receptor: str, **settings: Any) -> NeuronGroup:
        """Afferents of the muscles, one each, for the Network: see `senses.afferents`.

        Raises:
            UnknownName: There is no such receptor.
        """
        return afferents(self.muscles, receptors[receptor], **settings)

    def check(self) -> None:
        """Refuse present values with which a run makes no sense.

        What you set after `build`, on the groups, is ordinary Brian2 and checks nothing: call this
        before a run.

        Raises:
            DomainError: Tells each value that is not finite or out of range by the name of its
                muscle or joint, and a time step that is too large.
        """
        asked, names = "check()", self.design.muscle_names
        numbers = self.numbers()
        _check.require_sound(asked, numbers, names, self.design.joint_names)
        dt = float(self.joints.clock.dt_)
        d = self.design
        _check.require_stable(
            asked, dt, largest_step(numbers, names, d.skeleton, d.curves, d.tendon)
        )

    def numbers(self) -> Numbers:
        """Present parameters and states."""
        names, design = _coefficients(self.attachments), self.design
        n_muscles, n_joints = len(design.muscle_names), len(design.joint_names)
        arms = np.zeros((self.batch, n_muscles, n_joints, len(names)))
        i, j = np.asarray(self.attachments.i[:]), np.asarray(self.attachments.j[:])
        for power, name in enumerate(names):
            place = (i // n_muscles, i % n_muscles, j % n_joints, power)
            arms[place] = getattr(self.attachments, f"{name}_")[:]
        absent = dict.fromkeys(("pennation", "beta"), np.zeros(arms.shape[:2]))
        muscles = absent | _present(self.muscles, self.batch)
        return Numbers(muscles, _present(self.joints, self.batch), arms)


def _coefficients(attachments: Synapses) -> list[str]:
    return sorted(n for n in attachments.equations.parameter_names if re.fullmatch(r"r\d", n))


def _present(group: NeuronGroup, batch: int) -> dict[str, np.ndarray]:
    equations: Any = group.equations
    own = (
        n for n, eq in equations.items() if eq.type != "subexpression" and "linked" not in eq.flags
    )
    return {n: np.array(getattr(group, f"{n}_")[:]).reshape(batch, -1) for n in own}


def assemble(
    design: Design,
    numbers: Numbers,
    fiber_length: Float[np.ndarray, "batch muscle"],
    dt: Quantity | None,
) -> Body:
    """Make the objects and set their values."""
    muscles = _muscles(design, numbers, dt)
    muscles.fiber_length_ = np.ravel(fiber_length)
    joints = _joints(design, numbers, dt)
    attachments = _attachments(design, numbers, muscles, joints, dt)
    hand = _hand(design.hand, design.prefix, joints, dt) if design.hand else None
    return Body(
        muscles=muscles,
        joints=joints,
        attachments=attachments,
        hand=hand,
        batch=len(numbers.arms),
        design=design,
    )


def _muscles(design: Design, numbers: Numbers, dt: Quantity | None) -> NeuronGroup:
    name = f"{design.prefix}muscles"
    change = design.activation.text(design.activation.equation, u="excitation", a="activation")
    m = numbers.muscles
    pennate = bool(np.any(m["pennation"]))
    damped = bool(np.any(m["beta"])) or design.tendon == "compliant"
    text = f"{design.excitation.equations}dactivation/dt = {change} : 1\n{PARAMETERS}"
    text += (OF_PENNATE if pennate else "") + (OF_DAMPED if damped else "")
    size = numbers.arms.shape[0] * numbers.arms.shape[1]
    group = NeuronGroup(size, text, method="euler", order=0, name=name, dt=dt)
    code = contraction(design.curves, design.tendon, pennate, damped)
    if design.excitation.code:
        _run(group, "excitation", design.excitation.code, -1)
    _run(group, "contraction", code, 1)
    _set(group, {name: value for name, value in m.items() if name in group.variables})
    return group


def _joints(design: Design, numbers: Numbers, dt: Quantity | None) -> NeuronGroup:
    links = design.skeleton.links(design.gravity)
    declared = [f"{name} : {UNIT_OF[source]} (linked)" for name, (source, _) in links.items()]
    if design.hand:
        declared += [f"{name} : {unit} (linked)" for name, (_, unit) in at_hand.TO_JOINTS.items()]
    step = steps(design.skeleton.acceleration, design.order)
    text = "\n".join([STATES, design.skeleton.equations, step.declared, *declared])
    batch, _, joints = numbers.arms.shape[:3]
    name, table = f"{design.prefix}joints", f"{design.prefix}load_table"
    names = {} if design.load is None else {table: design.load}
    group = NeuronGroup(batch * joints, text, order=3, name=name, dt=dt, namespace=names)
    for link, (source, joint) in links.items():
        setattr(group, link, linked_var(group, source, index=_each_arm(batch, joints, joint)))
    torque = f"muscle_torque + load - viscosity*velocity + {LIMIT}"
    torque += design.skeleton.torque(design.gravity) + (at_hand.TORQUE if design.hand else "")
    given = "" if design.load is None else f"load = {table}({_arguments(design, joints)})\n"
    _run(group, "torque", f"{step.keep}{given}torque = {torque}", 3)
    _run(group, "velocity", step.velocity, 4)
    _run(group, "angle", step.angle, 5)
    _set(group, numbers.joints)
    return group


def _each_arm(batch: int, joints: int, joint: tuple[int, ...]) -> np.ndarray:
    """For each element of a group, the element of its own arm that stands for `joint`."""
    return np.add.outer(np.arange(batch) * joints, np.array(joint)).ravel()


def _arguments(design: Design, joints: int) -> str:
    assert design.load is not None
    return "t" if design.load.values.ndim == 1 else f"t, i % {joints}"


def _attachments(
    design: Design,
    numbers: Numbers,
    muscles: NeuronGroup,
    joints: NeuronGroup,
    dt: Quantity | None,
) -> Synapses:
    arm, muscle, joint = np.nonzero(np.any(numbers.arms != 0, axis=-1))
    names = [f"r{power}" for power in range(numbers.arms.shape[-1])]
    arms = _nested(names)
    shares = _nested([f"{name}/{k + 1}" if k else name for k, name in enumerate(names)])
    model = "".join(f"{name} : metre (constant)\n" for name in names)
    model += f"""
moment_arm = {arms} : metre
excursion_pre = angle_post*({shares}) : metre (summed)
excursion_rate_pre = moment_arm*velocity_post : metre/second (summed)
muscle_torque_post = moment_arm*force_pre : newton*metre (summed)
"""
    synapses = Synapses(muscles, joints, model, name=f"{design.prefix}attachments", dt=dt)
    _, n_muscles, n_joints, _ = numbers.arms.shape
    synapses.connect(i=arm * n_muscles + muscle, j=arm * n_joints + joint)
    for power, name in enumerate(names):
        setattr(synapses, f"{name}_", numbers.arms[arm, muscle, joint, power])
    return synapses


def _nested(terms: list[str]) -> str:
    """A polynomial of the joint's angle in Horner's form."""
    *lower, text = terms
    for term in reversed(lower):
        text = f"{term} + angle_post*({text})"
    return text


def _hand(skeleton: TwoJoints, prefix: str, joints: NeuronGroup, dt: Quantity | None) -> Any:
    batch = len(joints) // 2
    hand = NeuronGroup(batch, at_hand.EQUATIONS, order=2, name=f"{prefix}hand", dt=dt)
    for name, (source, joint) in at_hand.FROM_JOINTS.items():
        setattr(hand, name, linked_var(joints, source, index=_each_arm(batch, 2, (joint,))))
    for name, (source, _) in at_hand.TO_JOINTS.items():
        setattr(joints, name, linked_var(hand, source, index=np.repeat(np.arange(batch), 2)))
    hand.l_1_, hand.l_2_ = skeleton.length
    place = skeleton.hand(np.array(joints.angle_[:]).reshape(batch, 2))
    hand.x_, hand.y_ = place.T
    _run(hand, "place", at_hand.CODE, 2)
    return hand


def _run(group: NeuronGroup, what: str, code: str, order: int) -> None:
    group.run_regularly(code, when="groups", order=order, name=f"{group.name}_{what}")


def _set(group: NeuronGroup, values: Any) -> None:
    for name, value in values.items():
        setattr(group, f"{name}_", np.ravel(value))
