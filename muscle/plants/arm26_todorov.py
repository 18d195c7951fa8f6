"""Arm with two joints and six muscles at constant moment arms, in the horizontal plane.

Flexors and extensors of shoulder, elbow and both; tendons are not modelled.

Source: Li & Todorov 2004, section 2, doi:10.5220/0001143902220229.
Differs from it: values as feedbax carries them; time constants are ours; the ranges are those in
which all six fibres keep to 0.5 to 1.5 optimal lengths, if the zero angles are ours.
"""

from numpy import pi

from ..plant import Muscle, Plant
from ..skeleton import Joint, TwoJoints

DEGREE = pi / 180


def muscle(
    F0: float, L0: float, shoulder: tuple[float, float], elbow: tuple[float, float]
) -> Muscle:
    """A muscle with a moment arm, and the angle of optimal length [deg], for each joint."""
    joints = {"shoulder": shoulder, "elbow": elbow}
    path = L0 + sum(r * degrees * DEGREE for r, degrees in joints.values())
    arms = {name: (r,) for name, (r, _) in joints.items() if r}
    return Muscle(F0=F0, L0=L0, L_slack=0.0, L_ref=path, arms=arms)


arm26_todorov = Plant(
    name="arm26_todorov",
    muscles={
        "shoulder_flexor": muscle(700.0, 0.0732, (0.02, 15.0), (0.0, 0.0)),
        "shoulder_extensor": muscle(382.0, 0.0326, (-0.02, 4.88), (0.0, 0.0)),
        "elbow_flexor": muscle(572.0, 0.0640, (0.0, 0.0), (0.02, 80.86)),
        "elbow_extensor": muscle(445.0, 0.0426, (0.0, 0.0), (-0.02, 109.32)),
        "biarticular_flexor": muscle(159.0, 0.0595, (0.015, 4.5), (0.02, 92.96)),
        "biarticular_extensor": muscle(318.0, 0.0404, (-0.02, 2.12), (-0.015, 91.52)),
    },
    joints={
        "shoulder": Joint(lower=-35 * DEGREE, upper=15 * DEGREE),
        "elbow": Joint(lower=65 * DEGREE, upper=150 * DEGREE),
    },
    skeleton=TwoJoints(
        mass=(1.4, 1.0), length=(0.30, 0.33), centre=(0.11, 0.16),
        inertia=(0.025 - 1.4 * 0.11**2, 0.045 - 1.0 * 0.16**2), cross_viscosity=0.025,
    ),
    angle=(-10 * DEGREE, 90 * DEGREE),
    curves="brown",
    source=str(__doc__),
)  # fmt: skip
