"""One joint, a flexor and an extensor of the elbow: the plant to learn with.

The forearm of `arm26_nijhof` on a fixed upper arm, with the strength, fibre and tendon lengths of
its brachioradialis and lateral triceps, at constant moment arms of 2.5 cm. At 0 rad the forearm
stands upright, so that gravity makes it fall; both fibres are then 0.90 optimal lengths long
(at 1.0 the passive tissue alone would carry the arm, 2.45 against 2.31 N m/rad).

Source: Nijhof & Kouwenhoven 2000, chapter 29 in Winters & Crago, doi:10.1007/978-1-4612-2104-3_29;
activation De Groote et al. 2016, doi:10.1007/s10439-016-1591-9.
Differs from it: constant moment arms, neutral length, range and viscosity are ours.
"""

from ..plant import Muscle, Plant
from ..skeleton import Joint, OneJoint

NEUTRAL = 0.90

elbow_pair = Plant(
    name="elbow_pair",
    muscles={
        "flexor": Muscle(
            F0=1422.0, L0=0.092, L_slack=0.172, L_ref=0.172 + NEUTRAL * 0.092,
            arms={"elbow": (0.025,)},
        ),
        "extensor": Muscle(
            F0=1549.0, L0=0.093, L_slack=0.187, L_ref=0.187 + NEUTRAL * 0.093,
            arms={"elbow": (-0.025,)},
        ),
    },
    joints={"elbow": Joint(lower=-1.2, upper=1.2)},
    skeleton=OneJoint(inertia=0.09593, weight=2.31, upright=0.0),
    angle=(0.0,),
    gravity=True,
    source=str(__doc__),
)  # fmt: skip
