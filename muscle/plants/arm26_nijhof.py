"""Arm with two joints and six muscles, in the horizontal plane.

Two muscles of the shoulder, two of the elbow, two of both: pectoralis, deltoid, brachioradialis,
lateral triceps, biceps, long triceps. Paths are quadratic in the angle of the elbow. Fibres leave
physiological lengths at the ends of the range (0.31 to 1.30 optimal lengths); within 10 to 100 and
30 to 120 degrees they keep to 0.43 to 1.23.

Source: Nijhof & Kouwenhoven 2000, chapter 29 in Winters & Crago,
doi:10.1007/978-1-4612-2104-3_29; used by Kistemaker, van Soest & Bobbert 2006,
doi:10.1152/jn.00983.2005.
Differs from it: values as the arm26 model of MotorNet (Codol et al. 2023, doi:10.7554/eLife.88591)
carries them, not read in the table; soft limits, viscosity and De Groote's curves are ours.
"""

from numpy import pi

from ..plant import Muscle, Plant
from ..skeleton import Joint, TwoJoints


def muscle(
    F0: float, L0: float, L_slack: float, path: tuple[float, float, float, float],
    compliant: tuple[float, float] | None = None,
) -> Muscle:  # fmt: skip
    """A muscle whose path is a0 + a1s (q1 - pi/2) + a1e q2 + a2e q2^2."""
    a0, shoulder, elbow, square = path
    offset = -shoulder * pi / 2
    arms = {"shoulder": (-shoulder,), "elbow": (-elbow, -2 * square)}
    return Muscle(
        F0=F0, L0=L0, L_slack=L_slack, L_ref=a0 + offset,
        arms={joint: r for joint, r in arms.items() if any(r)},
        with_compliant=compliant and (compliant[0], compliant[1] + offset),
    )  # fmt: skip


arm26_nijhof = Plant(
    name="arm26_nijhof",
    muscles={
        "pectoralis": muscle(838.0, 0.134, 0.039, (0.151, -0.03, 0.0, 0.0), (0.070, 0.182)),
        "deltoid": muscle(1207.0, 0.140, 0.066, (0.2322, 0.03, 0.0, 0.0), (0.070, 0.2362)),
        "brachioradialis": muscle(1422.0, 0.092, 0.172, (0.2859, 0.0, -0.014, -0.004)),
        "triceps_lateral": muscle(1549.0, 0.093, 0.187, (0.2355, 0.0, 0.025, -0.0022)),
        "biceps": muscle(414.0, 0.137, 0.204, (0.3329, -0.03, -0.016, -0.0057)),
        "triceps_long": muscle(603.0, 0.127, 0.217, (0.2989, 0.03, 0.03, -0.0032)),
    },
    joints={
        "shoulder": Joint(lower=0.0, upper=120 * pi / 180),
        "elbow": Joint(lower=10 * pi / 180, upper=130 * pi / 180),
    },
    skeleton=TwoJoints(
        mass=(1.82, 1.43), length=(0.309, 0.333), centre=(0.135, 0.165), inertia=(0.051, 0.057)
    ),
    angle=(0.7, 1.2),
    source=str(__doc__),
)
