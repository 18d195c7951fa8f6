"""Checks of a body's numbers: all faults in one message, each with what to write instead."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from brian2 import TimedArray
from brian2.units.fundamentalunits import Quantity

from mirrorneuron._arrays import require_finite
from mirrorneuron.errors import DomainError, ShapeError, UnitError
from mirrorneuron.units import Dimensions, si

from ._stability import Step
from .geometry import Numbers, Values

POSITIVE = (
    "F0", "L0", "v_max", "tau_a", "tau_d", "tau_e",
    "inertia", "A", "D", "wall_stiffness", "wall_width",
)  # fmt: skip
NOT_NEGATIVE = ("L_slack", "L_ref", "beta", "viscosity", "pennation", "u")
ANGLE_TOLERANCE = 1e-9
TORN = 2.0
MOST_PENNATE = float(np.arccos(0.1))


def array(asked: str, name: str, value: Any, unit: Dimensions, shape: tuple[int, ...]) -> Any:
    """A value of a user as SI floats of a shape.

    Raises:
        UnitError: It is in another unit.
        ShapeError: It cannot be brought to the shape.
        DomainError: It is no number or not finite.
    """
    plain = si(value, unit, f"{asked}: {name}")
    if not np.all(np.isfinite(plain)):
        raise DomainError(
            f"{asked}: {name}={value!r} is not finite. It would spread through the body within a"
            f" step. Write {'numbers' if isinstance(value, Quantity) else 'finite numbers'}."
        )
    try:
        return np.broadcast_to(plain, shape).copy()
    except ValueError:
        raise ShapeError(
            f"{asked}: {name} has the shape {plain.shape}. There is one value for all, or one each:"
            f" the shape is {shape}. Write an array of that shape."
        ) from None


def require_unit(what: str, values: TimedArray, unit: Dimensions) -> None:
    """Refuse a TimedArray in another unit, or with values that are not finite.

    Raises:
        UnitError: It is in another unit.
        DomainError: It is not finite.
    """
    found = Dimensions.of(values)
    if found != unit:
        raise UnitError(
            f"{what} is a TimedArray in [{found}], but has to be in [{unit}]. Write"
            " TimedArray([...]*newton*metre, dt=...)."
        )
    require_finite(values.values, what)


def require_sound(
    asked: str, numbers: Numbers, muscles: Sequence[str], joints: Sequence[str]
) -> None:
    """Refuse numbers with which a body makes no sense.

    Raises:
        DomainError: Tells each fault by the name of its muscle or joint.
    """
    faults = [
        *_value_faults("muscle", muscles, numbers.muscles),
        *_value_faults("joint", joints, numbers.joints),
    ]
    if not faults:
        faults = [*_range_faults(joints, numbers.joints), *_path_faults(muscles, joints, numbers)]
    refuse(asked, faults)


def refuse(asked: str, faults: Sequence[str]) -> None:
    """One error that tells all faults; nothing if there are none.

    Raises:
        DomainError: There is a fault.
    """
    if faults:
        count = "1 value" if len(faults) == 1 else f"{len(faults)} values"
        told = "\n\n".join(f"  {fault}" for fault in faults)
        raise DomainError(f"{asked}: {count} cannot be used.\n\n{told}")


def require_stable(asked: str, dt: float, largest: Step) -> None:
    """Refuse a time step that is too large.

    Raises:
        DomainError: Names the largest safe step.
    """
    if not dt <= largest.dt:
        safe = np.floor(largest.dt * 1e6) * 1e-3
        raise DomainError(
            f"{asked}: the time step is {dt * 1e3:g} ms. The largest safe one is {safe:g} ms,"
            f" because of {largest.cause}: beyond it the equations are unstable. Write"
            f" defaultclock.dt = {safe:g}*ms or less before you build."
        )


def _value_faults(kind: str, names: Sequence[str], values: Values) -> Iterator[str]:
    for variable, value in values.items():
        for condition, why, instead in (
            (np.isfinite(value), "has to be a finite number", "Write a number."),
            (
                (value > 0) | (variable not in POSITIVE),
                "has to be > 0",
                "The equations divide by it. Write a positive number.",
            ),
            (
                (value >= 0) | (variable not in NOT_NEGATIVE),
                "has to be >= 0",
                "Write a number that is not negative.",
            ),
            (
                ((value >= 0) & (value <= 1)) | (variable not in ("excitation", "activation")),
                "has to be between 0 and 1",
                "It is a share of what the muscle can do. Write a number between 0 and 1.",
            ),
            (
                (value < MOST_PENNATE) | (variable != "pennation"),
                f"has to be below {MOST_PENNATE:.3g} rad",
                "The fibres would stand across the tendon. Write the angle in radians.",
            ),
        ):
            place = np.argwhere(~condition)
            if place.size:
                arm, n = (int(k) for k in place[0])
                shown = f"{kind} {names[n]!r}: {variable} is {value[arm, n]:g}"
                yield f"{shown}{_of(arm, value)}, and {why}.\n      {instead}"
                break


def _of(arm: int, value: Any) -> str:
    return f" in arm {arm}" if len(value) > 1 else ""


def _range_faults(names: Sequence[str], joints: Values) -> Iterator[str]:
    angle, lower, upper = joints["angle"], joints["lower"], joints["upper"]
    for n, name in enumerate(names):
        if np.any(lower[:, n] >= upper[:, n]):
            yield (
                f"joint {name!r}: its range is {lower[0, n]:g} to {upper[0, n]:g} rad.\n"
                "      A range has to rise. Write lower < upper."
            )
            continue
        out = (angle[:, n] < lower[:, n] - ANGLE_TOLERANCE) | (
            angle[:, n] > upper[:, n] + ANGLE_TOLERANCE
        )
        if out.any():
            arm = int(out.argmax())
            yield (
                f"joint {name!r}: angle is {angle[arm, n]:g} rad{_of(arm, angle)}, beyond its range"
                f" of {lower[arm, n]:g} to {upper[arm, n]:g}.\n"
                "      A soft limit would throw it back with a force without meaning.\n"
                "      Write an angle within the range, in radians (90*pi/180 for 90 degrees)."
            )


def _path_faults(muscles: Sequence[str], joints: Sequence[str], numbers: Numbers) -> Iterator[str]:
    """Fibres that would have no length, or be torn, somewhere in the range of the joints."""
    if np.any(numbers.joints["lower"] >= numbers.joints["upper"]):
        return
    angles = numbers.angles(9)
    paths, along = numbers.path_length(angles), numbers.along(angles)
    for n, name in enumerate(muscles):
        torn = along[..., n].max() > TORN
        extreme = along[..., n].argmax() if torn else along[..., n].argmin()
        grid, arm = (int(k) for k in np.unravel_index(extreme, along.shape[:2]))
        length = along[grid, arm, n]
        if 0 < length <= TORN:
            continue
        where = ", ".join(
            f"{joint} {angle:.3g} rad"
            for joint, angle in zip(joints, angles[grid, arm], strict=True)
        )
        why = (
            f"The fibre would be {length:.3g} optimal lengths long, and torn."
            if torn
            else "Nothing is left for the fibre: such a muscle is impossible."
        )
        yield (
            f"muscle {name!r}: its path is {paths[grid, arm, n]:.4g} m long at {where}, but its"
            f" tendon alone {numbers.muscles['L_slack'][arm, n]:.4g} m.\n      {why}\n"
            "      Write another L_ref or L_slack, smaller moment arms or a smaller range of the"
            " joints."
        )
