"""Plants: muscles on a skeleton, as tables from which Brian2 objects are built."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from brian2 import TimedArray, defaultclock
from brian2.units.fundamentalunits import Quantity

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions, quantity, si

from . import _check
from ._contracts import Activation, Curves
from ._stability import largest_step
from .activations import activations
from .body import Body, Design, assemble
from .contraction import MILLARD_DAMPING, Tendon
from .curves import curves as all_curves
from .equilibrium import fiber_length
from .excitation import EXCITATIONS
from .geometry import Numbers
from .skeleton import ORDERS, Joint, Order, Skeleton, TwoJoints

T = TypeVar("T")
REST = 0.01
TORQUE = Dimensions(m=2.0, kg=1.0, s=-2.0)
RATE = Dimensions(s=-1.0)
SECOND = Dimensions(s=1.0)
PURE = Dimensions()


@checked
@dataclass(frozen=True, kw_only=True)
class Muscle:
    """A muscle and its path, in SI floats.

    Arguments:
        F0: Maximal isometric force [N].
        L0: Optimal fibre length [m].
        L_slack: Slack length of the tendon [m].
        L_ref: Length of the path with all joints at 0 rad [m].
        arms: Moment arm about each joint as a polynomial of its angle, constant term first [m]:
            positive where the muscle flexes, and the negative slope of its path.
        pennation: Angle of the fibres at optimal length [rad].
        with_compliant: `L_slack` and `L_ref` where the tendon is compliant, if they differ.
    """

    F0: float
    L0: float
    L_slack: float
    L_ref: float
    arms: Mapping[str, tuple[float, ...]]
    pennation: float = 0.0
    with_compliant: tuple[float, float] | None = None

    def values(self, tendon: Tendon) -> dict[str, float]:
        """Parameters of the muscle's element in the group."""
        slack, ref = self.L_slack, self.L_ref
        if tendon == "compliant" and self.with_compliant:
            slack, ref = self.with_compliant
        own = {"F0": self.F0, "L0": self.L0, "pennation": self.pennation}
        return {**own, "L_slack": slack, "L_ref": ref}


@checked
@dataclass(frozen=True, kw_only=True)
class Plant:
    """Muscles on a skeleton, with the paper that they come from.

    Arguments:
        name: As in `plants`.
        muscles: By name.
        joints: By name, from proximal to distal.
        skeleton: The bones that the joints join.
        angle: Where the joints are at the start, by default [rad].
        gravity: Whether gravity acts, by default.
        curves, activation: Names of its curves and activation dynamics, by default.
        variant: Of its curves; may be empty.
        v_max: Maximal shortening velocity, in optimal fibre lengths a second [1/s].
        tau_a, tau_d: Time constants of activation and deactivation [s].
        tau_e: Time constant from spikes to excitation [s].
        damping: Force of the damper beside the fibre at one maximal velocity, in F0 [1].
        source: Paper, table, DOI, and in what the plant differs from it: the docstring of the
            plant's file.
    """

    name: str
    muscles: Mapping[str, Muscle]
    joints: Mapping[str, Joint]
    skeleton: Skeleton
    angle: tuple[float, ...]
    gravity: bool = False
    curves: str = "degroote"
    variant: str = ""
    activation: str = "degroote"
    v_max: float = 10.0
    tau_a: float = 0.015
    tau_d: float = 0.060
    tau_e: float = 0.030
    damping: float = 0.0
    source: str

    def build(
        self,
        batch: int = 1,
        *,
        name: str = "",
        excitation: str = "spikes",
        tendon: str = "rigid",
        curves: str | Curves | None = None,
        activation: str | Activation | None = None,
        damping: float | None = None,
        gravity: bool | None = None,
        order: str = "semi-implicit",
        angle: Any = None,
        velocity: Any = None,
        load: Any = None,
        hand: bool = False,
        dt: Quantity | None = None,
    ) -> Body:
        """Make the Brian2 objects of one arm, or of several: `Network(*arm.objects)`.

        Arguments:
            batch: Number of arms in the groups. A mirror has a batch axis of its own.
            name: Prefix of the names of the objects, for several bodies in one network.
            excitation: "spikes" (a spike adds to `u`: `on_pre="u_post += w"`) or "input" (the
                variable `excitation`, between 0 and 1, is yours to set).
            tendon: "rigid" or "compliant" (with De Groote's curves).
            curves, activation: A name, or a model of your own; by default the plant's.
            damping: Of the damper beside the fibre [1]; by default the plant's, and 0.1 with a
                compliant tendon.
            gravity: Whether gravity acts in the plane of movement; by default as the plant says.
            order: "semi-implicit" (the angle follows the new velocity) or "explicit".
            angle: At the start [rad], one for each joint, or "batch joint".
            velocity: At the start [rad/s], likewise; by default 0.
            load: External torque [N m], likewise, or a TimedArray of time, or of time and joint;
                by default 0. The variable `load` of the joints can be set later.
            hand: Whether to have a group `hand` with its place, and forces and fields on it (of a
                two-joint arm).
            dt: Time step; by default that of Brian2's clock.

        Returns:
            The body, at rest, with its values set.

        Raises:
            UnknownName: There is no such excitation, tendon, order, curve or activation.
            UnitError: A value has another unit.
            ShapeError: An array has another shape.
            DomainError: A value is not finite or out of range, a joint is beyond its range, a
                muscle's path is shorter than its tendon, or the time step is too large.

        Example:
            >>> from brian2 import Network, ms
            >>> from mirrorneuron.muscle import plants
            >>> arm = plants["elbow_pair"].build(excitation="input", dt=1 * ms)
            >>> arm.muscles.excitation = [0.5, 0.1]
            >>> Network(*arm.objects).run(100 * ms)
        """
        asked = f"plants[{self.name!r}].build({batch if batch != 1 else ''})"
        known_excitation = _one_of(asked, "excitation", excitation, EXCITATIONS)
        known_tendon: Tendon = _one_of(asked, "tendon", tendon, ("rigid", "compliant"))
        known_order: Order = _one_of(asked, "order", order, ORDERS)
        shape = (_size(asked, batch), len(self.joints))
        design = Design(
            skeleton=self.skeleton,
            curves=self._curves(curves),
            activation=_chosen(activation, self.activation, activations.__getitem__, Activation),
            excitation=EXCITATIONS[known_excitation],
            tendon=known_tendon,
            gravity=self.gravity if gravity is None else gravity,
            order=known_order,
            load=load if isinstance(load, TimedArray) else None,
            hand=self._hand(asked, hand),
            muscle_names=tuple(self.muscles),
            joint_names=tuple(self.joints),
            prefix=name,
        )
        self._require_compliance(asked, design)
        given = {
            "angle": (_or(angle, self.angle), PURE),
            "velocity": (_or(velocity, quantity(0.0, RATE)), RATE),
        }
        if design.load is None:
            given["load"] = (_or(load, quantity(0.0, TORQUE)), TORQUE)
        else:
            _check.require_unit(f"{asked}: load", design.load, TORQUE)
        joints = {n: _check.array(asked, n, x, unit, shape) for n, (x, unit) in given.items()}
        beta = float(_check.array(asked, "damping", self._damping(damping, known_tendon), PURE, ()))
        numbers = self.numbers(shape[0], known_tendon, beta, joints, spikes=excitation == "spikes")
        _check.require_sound(asked, numbers, design.muscle_names, design.joint_names)
        step = float(si(defaultclock.dt if dt is None else dt, SECOND, f"{asked}: dt"))
        largest = largest_step(
            numbers, design.muscle_names, self.skeleton, design.curves, design.tendon
        )
        _check.require_stable(asked, step, largest)
        start = (
            numbers.fiber_length(numbers.joints["angle"])
            if tendon == "rigid"
            else fiber_length(asked, numbers, design.muscle_names, design.curves)
        )
        return assemble(design, numbers, start, dt)

    def numbers(
        self,
        batch: int,
        tendon: Tendon,
        damping: float,
        joints: Mapping[str, Any],
        spikes: bool,
    ) -> Numbers:
        """Parameters and states of the plant's elements, in SI floats."""
        shared = {
            "v_max": self.v_max,
            "tau_a": self.tau_a,
            "tau_d": self.tau_d,
            "beta": damping,
            "activation": REST,
        } | ({"tau_e": self.tau_e} if spikes else {})
        own = [muscle.values(tendon) | shared for muscle in self.muscles.values()]
        ranges = [asdict(joint) for joint in self.joints.values()]
        bones = {k: np.tile(np.array(v), (batch, 1)) for k, v in self.skeleton.values().items()}
        powers = max(len(c) for m in self.muscles.values() for c in m.arms.values())
        arms = np.zeros((batch, len(self.muscles), len(self.joints), powers))
        for n, muscle in enumerate(self.muscles.values()):
            for joint, coefficients in muscle.arms.items():
                arms[:, n, list(self.joints).index(joint), : len(coefficients)] = coefficients
        return Numbers(
            muscles=_columns(own, batch), joints=_columns(ranges, batch) | bones | dict(joints),
            arms=arms,
        )  # fmt: skip

    def _curves(self, given: str | Curves | None) -> Curves:
        if given is None and self.variant:
            return all_curves[self.curves].variant(self.variant)
        return _chosen(given, self.curves, all_curves.__getitem__, Curves)

    def _damping(self, given: float | None, tendon: Tendon) -> float:
        if given is not None:
            return given
        return max(self.damping, MILLARD_DAMPING) if tendon == "compliant" else self.damping

    def _hand(self, asked: str, hand: bool) -> TwoJoints | None:
        if hand and not isinstance(self.skeleton, TwoJoints):
            raise DomainError(
                f"{asked}: hand=True, but the plant has one joint. The hand is the end of a"
                " two-joint arm; what acts on one joint is a torque. Write load=..., or take"
                " 'arm26_nijhof'."
            )
        return self.skeleton if hand and isinstance(self.skeleton, TwoJoints) else None

    def _require_compliance(self, asked: str, design: Design) -> None:
        without = [n for n, m in self.muscles.items() if m.values(design.tendon)["L_slack"] == 0]
        if design.tendon == "compliant" and without:
            raise DomainError(
                f"{asked}: tendon='compliant', but {', '.join(map(repr, without))} have no tendon:"
                " L_slack is 0. What has no length cannot stretch. Write tendon='rigid'."
            )
        if design.tendon == "compliant" and not design.curves.slope:
            raise DomainError(
                f"{asked}: tendon='compliant' with curves that have no slope. The velocity of a"
                " fibre on a compliant tendon is solved for, by Newton's method. Write"
                " curves='degroote',"
                " or tendon='rigid'."
            )


def _columns(rows: list[dict[str, float]], batch: int) -> dict[str, np.ndarray]:
    """Rows of one arm as arrays "batch element"."""
    return {name: np.tile([row[name] for row in rows], (batch, 1)) for name in rows[0]}


def _or(given: Any, default: Any) -> Any:
    return default if given is None else given


def _chosen(given: Any, default: str, find: Callable[[str], T], kind: type[T]) -> T:
    return given if isinstance(given, kind) else find(default if given is None else given)


def _one_of(asked: str, what: str, given: str, known: Iterable[str]) -> Any:
    if given not in known:
        raise UnknownName.among(f"{asked}: {what}={given!r}", given, known)
    return given


def _size(asked: str, batch: int) -> int:
    if batch < 1:
        raise DomainError(f"{asked}: {batch} arms. There has to be at least one. Write build(1).")
    return batch
