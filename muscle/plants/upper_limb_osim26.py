"""Elbow with six muscles: OpenSim's arm26 with its shoulder at rest.

Three heads of the triceps, two of the biceps, and the brachialis. Their moment arms are polynomials
of the angle, fitted to OpenSim's over 0 to 130 degrees (within 0.7 mm; paths within 0.14 mm). The
arm hangs down: at 0 rad the forearm does too. Heads with an angle of pennation are the triceps'.

Source: model arm26.osim of OpenSim 4, after Holzbaur, Murray & Delp 2005, table 1,
doi:10.1007/s10439-005-3320-7; curves Thelen 2003, doi:10.1115/1.1531112.
Differs from it: the shoulder stays at 0, where its paths wrap without jumps; tendons are rigid by
default; viscosity and the softness of the limits are ours.
"""

from numpy import pi

from ..plant import Muscle, Plant
from ..skeleton import Joint, OneJoint

TRICEPS = (-0.0197, -0.028069, 0.050713, -0.029927, 0.0057643)
BICEPS = (0.0092996, 0.035777, -0.0067096, 0.0028999, -0.0018645)
BRACHIALIS = (0.015338, 0.0049922, -0.054768, 0.088896, -0.047196, 0.0081593)


def muscle(
    F0: float, L0: float, L_slack: float, L_ref: float, r: tuple[float, ...], degrees: float = 0.0
) -> Muscle:
    """A muscle of the elbow; the angle of pennation in degrees."""
    return Muscle(
        F0=F0, L0=L0, L_slack=L_slack, L_ref=L_ref, arms={"elbow": r},
        pennation=degrees * pi / 180,
    )  # fmt: skip


upper_limb_osim26 = Plant(
    name="upper_limb_osim26",
    muscles={
        "triceps_long": muscle(798.52, 0.134, 0.143, 0.277629, TRICEPS, 12.0),
        "triceps_lateral": muscle(624.3, 0.1138, 0.098, 0.166630, TRICEPS, 9.0),
        "triceps_medial": muscle(624.3, 0.1138, 0.0908, 0.154258, TRICEPS, 9.0),
        "biceps_long": muscle(624.3, 0.1157, 0.2723, 0.424579, BICEPS),
        "biceps_short": muscle(435.56, 0.1321, 0.1923, 0.341691, BICEPS),
        "brachialis": muscle(987.26, 0.0858, 0.0535, 0.147369, BRACHIALIS),
    },
    joints={"elbow": Joint(lower=0.0, upper=130 * pi / 180)},
    skeleton=OneJoint(inertia=0.0706, weight=2.731, upright=pi),
    angle=(pi / 2,),
    gravity=True,
    curves="thelen",
    variant="arm26",
    tau_a=0.010,
    tau_d=0.040,
    damping=0.05,
    source=str(__doc__),
)
