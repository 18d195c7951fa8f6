"""Bodies and runs that the tests of muscle/ share."""

from dataclasses import replace

import numpy as np
from brian2 import Network, ms
from brian2.units.allunits import newton

from mirrorneuron.muscle import Body, Plant


def one_muscle(plant: Plant, **settings: object) -> Body:
    """The plant with `excitation` as input, at steps of 1 ms (0.25 ms with a compliant tendon)."""
    dt = (0.25 if settings.get("tendon") == "compliant" else 1.0) * ms
    return plant.build(**{"excitation": "input", "dt": dt, **settings})


def without_friction(plant: Plant) -> Plant:
    """The plant with joints that turn freely, however far."""
    joints = {n: replace(j, viscosity=0.0) for n, j in plant.joints.items()}
    return replace(plant, joints=joints)


def run_free(plant: Plant, dt: float, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    """Angle and velocity after 300 ms without muscles, friction and limits."""
    body = one_muscle(without_friction(plant), dt=dt * ms, **settings)
    body.muscles.F0 = 0 * newton
    body.joints.lower, body.joints.upper = -100, 100
    Network(*body.objects).run(300 * ms)
    return np.array(body.joints.angle[:]), np.array(body.joints.velocity_[:])
