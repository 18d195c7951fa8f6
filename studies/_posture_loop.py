r"""The closed loop of `arm_posture`: a two-joint arm, neurons that sense it, neurons that move it.

Input neurons are leaky integrate-and-fire cells whose drive is a tuning curve of one joint,
$b + g (k_\theta (\theta - \theta^*) + k_\omega \omega - p_i)$: how far the angle is from the one
to be held, or its velocity, with preferred values $p_i$ on both sides. They excite a recurrent
hidden layer, which excites a pool of motor neurons for each of the six muscles; each spike of a
pool adds to the drive of its muscle. The potential $v$ is in units of the distance from rest to
threshold.

Source: leaky integrate-and-fire with exponential synaptic currents, Gerstner et al. 2014, sections
1.3 and 3.1, doi:10.1017/CBO9781107447615; ramp-like tuning of proprioceptive afferents and cortical
cells, Prud'homme & Kalaska 1994, doi:10.1152/jn.1994.72.5.2280.
Differs from it: the numbers are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, TimedArray, linked_var, second
from brian2.units.allunits import metre, newton

from mirrorneuron.muscle import Body, TwoJoints, plants

TRAINED = ("afferent.w", "recurrent.w", "efferent.w", "hidden.bias", "motor.bias")
LAYERS = ("sense", "hidden", "motor")
PLANT = plants["arm26_nijhof"]
BONES = cast(TwoJoints, PLANT.skeleton)
MUSCLES, JOINTS = len(PLANT.muscles), len(PLANT.joints)
Posture = tuple[float, float]
SENSE = """
dv/dt = (drive - v)/tau_m : 1 (unless refractory)
drive = base + gain*(along_angle*(angle - aim) + along_velocity*velocity*second - preferred) : 1
along_angle : 1 (constant)
along_velocity : 1 (constant)
preferred : 1 (constant)
aim : 1
angle : 1 (linked)
velocity : 1/second (linked)
"""
CELLS = """
dv/dt = (current + bias - v)/tau_m : 1 (unless refractory)
dcurrent/dt = -current/tau_s : 1
bias : 1 (constant)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """What the arm is like, as factors of what it is in training.

    Arguments:
        inertia: Of both segments.
        strength: Of each muscle, or of all.
        delay: Of the afferents, in addition to that of training [s].
        load: External torque on each joint at each time step [N m].
        push: Force on the hand at each time step, along x and y [N].
        numb: Whether the input neurons are silent.
    """

    inertia: float = 1.0
    strength: tuple[float, ...] = (1.0,)
    delay: float = 0.0
    load: tuple[tuple[float, float], ...] = ()
    push: tuple[tuple[float, float], ...] = ()
    numb: bool = False

    def build(self, dt: float, batch: int = 1, **settings: Any) -> Body:
        """The arm, with all of this."""
        clock: Any = dt * second
        load = TimedArray(np.array(self.load) * newton * metre, dt=clock) if self.load else None
        body = PLANT.build(batch, dt=clock, load=load, hand=bool(self.push), **settings)
        for name in ("A", "B", "D"):
            setattr(body.joints, name, getattr(body.joints, name) * self.inertia)
        factors = np.broadcast_to(np.array(self.strength), MUSCLES)
        body.muscles.F0 = body.muscles.F0 * np.tile(factors, batch)
        body.check()
        if body.hand:
            hand: Any = body.hand
            hand.namespace["push"] = TimedArray(np.array(self.push) * newton, dt=clock)
            code = "force_x = push(t, 0)\nforce_y = push(t, 1)"
            hand.run_regularly(code, when="groups", order=1, name="push")
        return body


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Sizes and constants of the network.

    Arguments:
        sense, hidden, motor: Number of neurons.
        dt: Time step [s].
        delay: Of the afferents [s].
        seed: Of weights and initial potentials.
        posture: Angles to hold [rad].
        gravity: Whether the arm moves in a vertical plane.
        base, gain: Of the tuning curves.
        velocity_weight: How much 1 rad/s counts, against 1 rad.
        preferred: First and last preferred value [rad]; they are closest to each other at 0.
        bias: Of hidden and motor neurons at the start.
        scale: Standard deviation of the weights at the start, times the square root of their
            number at each neuron, by the name of the synapses.
        drive: Drive of a muscle when each neuron of its pool fires 100 spikes a second.
    """

    sense: int = 80
    hidden: int = 100
    motor: int = 60
    dt: float = 2e-3
    delay: float = 0.0
    seed: int = 0
    posture: Posture = (0.9, 1.5)
    gravity: bool = False
    base: float = 1.0
    gain: float = 10.0
    velocity_weight: float = 0.2
    preferred: tuple[float, float] = (-0.2, 0.5)
    bias: float = 1.1
    scale: Mapping[str, float] = field(
        default_factory=lambda: {"afferent": 1.0, "recurrent": 0.5, "efferent": 1.0}
    )
    drive: float = 1.0

    @property
    def clock(self) -> Any:
        """The time step, for Brian2."""
        return self.dt * second

    @property
    def joint(self) -> Any:
        """The joint that each input neuron senses."""
        return np.arange(self.sense) // 4 % JOINTS

    def network(
        self, angle: Any = None, world: World | None = None, posture: Posture | None = None
    ) -> Network:
        """Network and arm, at rest at an angle [rad], by default at the posture to hold."""
        rng, world = np.random.default_rng(self.seed), world or World()
        aim = self.posture if posture is None else posture
        body = world.build(self.dt, angle=aim if angle is None else angle, gravity=self.gravity)
        sense = self._sense(body, aim, world)
        hidden, motor = (self._cells(n, getattr(self, n)) for n in ("hidden", "motor"))
        for group in (sense, hidden, motor):
            group.v = rng.uniform(0, 0.9, len(group))
        afferent = self._synapses(sense, hidden, "afferent", rng, self.delay + world.delay)
        recurrent = self._synapses(hidden, hidden, "recurrent", rng)
        efferent = self._synapses(hidden, motor, "efferent", rng)
        pools = Synapses(
            motor, body.muscles, "w : 1", on_pre="u_post += w", name="neuromuscular",
            dt=self.clock,
        )  # fmt: skip
        pools.connect(i=np.arange(self.motor), j=np.arange(self.motor) % MUSCLES)
        pools.w = MUSCLES * self.drive / (self.motor * 100 * PLANT.tau_e)
        return Network(sense, hidden, motor, afferent, recurrent, efferent, pools, *body.objects)

    def _sense(self, body: Body, aim: Posture, world: World) -> NeuronGroup:
        n, heard = self.sense, 0.0 if world.numb else 1.0
        names = {"tau_m": 0.01 * second, "base": heard * self.base, "gain": heard * self.gain}
        pause: Any = 0.004 * second
        group: Any = NeuronGroup(
            n, SENSE, threshold="v > 1", reset="v -= 1", refractory=pause,
            method="exponential_euler", name="sense", namespace=names, dt=self.clock,
        )  # fmt: skip
        for name in ("angle", "velocity"):
            setattr(group, name, linked_var(body.joints, name, index=self.joint))
        kind, sign = np.arange(n) % 4 // 2, np.where(np.arange(n) % 2, 1.0, -1.0)
        group.along_angle = np.where(kind == 0, sign, 0.0)
        group.along_velocity = np.where(kind == 1, sign * self.velocity_weight, 0.0)
        first, last = np.sign(self.preferred) * np.sqrt(np.abs(self.preferred))
        roots = np.linspace(first, last, -(-n // 8))[np.arange(n) // 8]
        group.preferred = roots * np.abs(roots)
        group.aim = np.array(aim)[self.joint]
        return group

    def _cells(self, name: str, n: int) -> NeuronGroup:
        pause: Any = 0.002 * second
        group: Any = NeuronGroup(
            n, CELLS, threshold="v > 1", reset="v -= 1", refractory=pause,
            method="exponential_euler", name=name, dt=self.clock,
            namespace={"tau_m": 0.02 * second, "tau_s": 0.01 * second},
        )  # fmt: skip
        group.bias = self.bias
        return group

    def _synapses(
        self, pre: Any, post: Any, name: str, rng: np.random.Generator, delay: float = 0.0
    ) -> Synapses:
        synapses: Any = Synapses(
            pre, post, "w : 1", on_pre="current_post += w", delay=delay * second, name=name,
            dt=self.clock,
        )  # fmt: skip
        synapses.connect()
        synapses.w = rng.normal(0, self.scale[name] / np.sqrt(len(pre)), len(synapses))
        return synapses
