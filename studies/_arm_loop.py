r"""The closed loop of `arm_stabilisation`: an arm, neurons that sense it, neurons that move it.

Input neurons are leaky integrate-and-fire cells whose drive is a tuning curve of the joint,
$b + g (k_\theta \theta + k_\omega \omega - p_i)$, with preferred values $p_i$ on both sides: half
of them code the angle, half the velocity. They excite a recurrent hidden layer, which excites two
pools of motor neurons; each spike of a pool adds to the drive of its muscle. The potential $v$ is
in units of the distance from rest to threshold.

Source: leaky integrate-and-fire with exponential synaptic currents, Gerstner et al. 2014, sections
1.3 and 3.1, doi:10.1017/CBO9781107447615; ramp-like tuning of proprioceptive afferents and cortical
cells, Prud'homme & Kalaska 1994, doi:10.1152/jn.1994.72.5.2280.
Differs from it: the numbers are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, TimedArray, linked_var, second
from brian2.units.allunits import metre, newton
from jaxtyping import Float

from mirrorneuron.muscle import Body, plants

TRAINED = ("afferent.w", "recurrent.w", "efferent.w", "hidden.bias", "motor.bias")
LAYERS = ("sense", "hidden", "motor")
PLANT = plants["elbow_pair"]
SENSE = """
dv/dt = (drive - v)/tau_m : 1 (unless refractory)
drive = base + gain*(along_angle*angle + along_velocity*velocity*second - preferred) : 1
along_angle : 1 (constant)
along_velocity : 1 (constant)
preferred : 1 (constant)
angle : 1 (linked)
velocity : 1/second (linked)
"""
CELLS = """
dv/dt = (current + bias - v)/tau_m : 1 (unless refractory)
dcurrent/dt = -current/tau_s : 1
bias : 1 (constant)
"""
CONTROLLER = """
command = clip(offset - k_angle*angle - k_velocity*velocity*second
               - k_flexor*flexor - k_extensor*extensor, 0, 1) : 1 (constant over dt)
offset : 1 (constant)
k_angle : 1 (constant)
k_velocity : 1 (constant)
k_flexor : 1 (constant)
k_extensor : 1 (constant)
angle : 1 (linked)
velocity : 1/second (linked)
flexor : 1 (linked)
extensor : 1 (linked)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """What the arm is like, as factors of what it is in training; all fields have their effect
    in `Loop.network`.

    Arguments:
        inertia, weight: Of the forearm.
        flexor, extensor: Strength of the muscles.
        delay: Of the afferents, in addition to that of training [s].
        load: External torque at each time step [N m].
    """

    inertia: float = 1.0
    weight: float = 1.0
    flexor: float = 1.0
    extensor: float = 1.0
    delay: float = 0.0
    load: tuple[float, ...] = ()

    def change(self, body: Body) -> None:
        """Give the body its factors."""
        body.joints.inertia = body.joints.inertia * self.inertia
        body.joints.weight = body.joints.weight * self.weight
        body.muscles.F0 = body.muscles.F0 * np.tile([self.flexor, self.extensor], body.batch)
        body.check()

    def torque(self, dt: float) -> Any:
        """The load, for `Plant.build`."""
        if not self.load:
            return None
        return TimedArray(np.array(self.load) * newton * metre, dt=dt * second)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Sizes and constants of the network.

    Arguments:
        sense, hidden, motor: Number of neurons.
        dt: Time step [s].
        delay: Of the afferents, in training too [s].
        seed: Of weights and initial potentials.
        base, gain: Of the tuning curves.
        velocity_weight: How much 1 rad/s counts, against 1 rad.
        preferred: First and last preferred value [rad].
        bias: Of hidden and motor neurons at the start.
        scale: Standard deviation of the weights at the start, times the square root of their
            number at each neuron, by the name of the synapses.
        drive: Drive of a muscle when each neuron of its pool fires 100 spikes a second.
        order: Of the plant's step, "semi-implicit" or "explicit".
    """

    sense: int = 40
    hidden: int = 60
    motor: int = 20
    dt: float = 2e-3
    delay: float = 0.01
    seed: int = 0
    base: float = 1.0
    gain: float = 4.0
    velocity_weight: float = 0.2
    preferred: tuple[float, float] = (-0.3, 0.8)
    bias: float = 0.8
    scale: Mapping[str, float] = field(
        default_factory=lambda: {"afferent": 1.0, "recurrent": 0.5, "efferent": 0.35}
    )
    drive: float = 0.5
    order: str = "semi-implicit"

    @property
    def clock(self) -> Any:
        """The time step, for Brian2."""
        return self.dt * second

    def network(self, angle: float = 0.0, world: World | None = None) -> Network:
        """Network and arm, at rest at an angle [rad]."""
        rng, world = np.random.default_rng(self.seed), world or World()
        body = PLANT.build(dt=self.clock, angle=angle, load=world.torque(self.dt), order=self.order)
        world.change(body)
        sense = self._sense(body)
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
        pools.connect(i=np.arange(self.motor), j=np.arange(self.motor) % 2)
        pools.w = 2 * self.drive / (self.motor * 100 * PLANT.tau_e)
        return Network(sense, hidden, motor, afferent, recurrent, efferent, pools, *body.objects)

    def _sense(self, body: Body) -> NeuronGroup:
        n = self.sense
        names = {"tau_m": 0.01 * second, "base": self.base, "gain": self.gain}
        pause: Any = 0.004 * second
        group: Any = NeuronGroup(
            n, SENSE, threshold="v > 1", reset="v -= 1", refractory=pause,
            method="exponential_euler", name="sense", namespace=names, dt=self.clock,
        )  # fmt: skip
        for name in ("angle", "velocity"):
            setattr(group, name, linked_var(body.joints, name, index=np.zeros(n, dtype=int)))
        kind, sign = np.arange(n) % 4 // 2, np.where(np.arange(n) % 2, 1.0, -1.0)
        group.along_angle = np.where(kind == 0, sign, 0.0)
        group.along_velocity = np.where(kind == 1, sign * self.velocity_weight, 0.0)
        group.preferred = np.linspace(*self.preferred, -(-n // 4))[np.arange(n) // 4]
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


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Linear feedback, straight to the excitation of each muscle (flexor, extensor): no network.

    Arguments:
        offset: Excitation at rest.
        angle, velocity: Gains [1/rad, s/rad].
        flexor, extensor: Gains on the muscles' activations.
    """

    offset: Float[np.ndarray, " muscle"]
    angle: Float[np.ndarray, " muscle"]
    velocity: Float[np.ndarray, " muscle"]
    flexor: Float[np.ndarray, " muscle"]
    extensor: Float[np.ndarray, " muscle"]

    @staticmethod
    def symmetric(offset: float, angle: float = 0.0, velocity: float = 0.0) -> "Controller":
        """Proportional and derivative gain of both muscles, which pull equally at rest."""
        sides, none = np.array([1.0, -1.0]), np.zeros(2)
        strength = np.array([muscle.F0 for muscle in PLANT.muscles.values()])
        return Controller(
            offset=offset * strength.min() / strength, angle=angle * sides,
            velocity=velocity * sides,
            flexor=none, extensor=none,
        )  # fmt: skip


def controlled(
    controllers: list[Controller],
    angles: Float[np.ndarray, " arm"],
    dt: float,
    world: World | None = None,
) -> Network:
    """As many arms as there are controllers times angles, each with its own feedback."""
    world = world or World()
    batch = len(controllers) * len(angles)
    clock: Any = dt * second
    body = PLANT.build(
        batch, excitation="input", dt=clock, load=world.torque(dt),
        angle=np.tile(angles, len(controllers))[:, None],
    )  # fmt: skip
    world.change(body)
    feedback: Any = NeuronGroup(2 * batch, CONTROLLER, name="feedback", dt=clock)
    arm = np.repeat(np.arange(batch), 2)
    for name in ("angle", "velocity"):
        setattr(feedback, name, linked_var(body.joints, name, index=arm))
    for k, name in enumerate(PLANT.muscles):
        setattr(feedback, name, linked_var(body.muscles, "activation", index=2 * arm + k))
    feedback.offset = _each(controllers, "offset", len(angles))
    for name in ("angle", "velocity", "flexor", "extensor"):
        setattr(feedback, f"k_{name}", _each(controllers, name, len(angles)))
    wires = Synapses(
        feedback, body.muscles, "excitation_post = command_pre : 1 (summed)", name="wires",
        dt=clock, order=-1,
    )  # fmt: skip
    wires.connect(j="i")
    return Network(feedback, wires, *body.objects)


def _each(controllers: list[Controller], name: str, arms: int) -> Float[np.ndarray, " _"]:
    """A gain for each muscle of each arm."""
    return np.concatenate([np.tile(getattr(c, name), arms) for c in controllers])
