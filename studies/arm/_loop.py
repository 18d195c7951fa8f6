r"""The closed loop of both studies: an arm, neurons that sense it, neurons that move it.

Input neurons are leaky integrate-and-fire cells whose drive is a tuning curve of one joint,
$b + g (k_\theta (\theta - \theta^*) + k_\omega \omega - p_i)$: half of them code how far the angle
is from the one to be held, half the velocity, with preferred values $p_i$ on both sides. They
excite a recurrent hidden layer, which excites a pool of motor neurons for each muscle. Each spike
of a pool adds to the excitation of its muscle. The potential $v$ is in units of the distance from
rest to threshold.

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

from mirrorneuron.muscle import Body, Plant, plants

TRAINED = ("afferent.w", "recurrent.w", "efferent.w", "hidden.bias", "motor.bias")
LAYERS = ("sense", "hidden", "motor")
AIM = "aim : 1\n"
SENSE = f"""
dv/dt = (drive - v)/tau_m : 1 (unless refractory)
drive = base + gain*(along_angle*(angle - aim) + along_velocity*velocity*second - preferred) : 1
along_angle : 1 (constant)
along_velocity : 1 (constant)
preferred : 1 (constant)
{AIM}angle : 1 (linked)
velocity : 1/second (linked)
"""
CELLS = """
dv/dt = (current + bias - v)/tau_m : 1 (unless refractory)
dcurrent/dt = -current/tau_s : 1
bias : 1 (constant)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """How the arm differs from that in training; numbers without a unit are factors.

    Arguments:
        inertia: Of all segments.
        weight: Of a forearm that gravity acts on.
        strength: Of each muscle, or of all.
        delay: Of the afferents, in addition to that of training [s].
        load: External torque on each joint at each time step [N m].
        push: Force on the hand at each time step, along x and y [N].
        numb: Whether the input neurons are silenced.
    """

    inertia: float = 1.0
    weight: float = 1.0
    strength: tuple[float, ...] = (1.0,)
    delay: float = 0.0
    load: tuple[tuple[float, ...], ...] = ()
    push: tuple[tuple[float, ...], ...] = ()
    numb: bool = False

    def build(self, plant: Plant, dt: float, batch: int = 1, **settings: Any) -> Body:
        """The arm in this world; `settings` are those of `Plant.build`."""
        clock: Any = dt * second
        load = TimedArray(np.array(self.load) * newton * metre, dt=clock) if self.load else None
        body = plant.build(batch, dt=clock, load=load, hand=bool(self.push), **settings)
        factors = {"weight": self.weight} | dict.fromkeys(("inertia", "A", "B", "D"), self.inertia)
        for name, factor in factors.items():
            if hasattr(body.joints, name):
                setattr(body.joints, name, getattr(body.joints, name) * factor)
        strength = np.broadcast_to(np.array(self.strength), len(plant.muscles))
        body.muscles.F0 = body.muscles.F0 * np.tile(strength, batch)
        body.check()
        if body.hand:
            hand: Any = body.hand
            hand.namespace["push"] = TimedArray(np.array(self.push) * newton, dt=clock)
            code = "force_x = push(t, 0)\nforce_y = push(t, 1)"
            hand.run_regularly(code, when="groups", order=1, name="push")
        return body


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Sizes and constants of the network; by default those of a small one for `elbow_pair`.

    Arguments:
        plant: Name of the arm in `mirrorneuron.muscle.plants`.
        sense, hidden, motor: Number of neurons.
        dt: Time step [s].
        delay: Of the afferents, in training too [s].
        seed: Of weights and initial potentials.
        posture: Angle of each joint that is to be held [rad].
        base, gain: Of the tuning curves.
        velocity_weight: How much 1 rad/s counts, against 1 rad.
        preferred: First and last preferred value [rad].
        dense_at_zero: Whether preferred values are closest to each other at 0, not equally spaced.
        bias: Of hidden and motor neurons at the start.
        scale: Standard deviation of the weights at the start, times the square root of their
            number at each neuron, by the name of the synapses.
        drive: Drive of a muscle when each neuron of its pool fires 100 spikes a second.
        order: Of the plant's step, "semi-implicit" or "explicit".
    """

    plant: str = "elbow_pair"
    sense: int = 40
    hidden: int = 60
    motor: int = 20
    dt: float = 2e-3
    delay: float = 0.01
    seed: int = 0
    posture: tuple[float, ...] = (0.0,)
    base: float = 1.0
    gain: float = 4.0
    velocity_weight: float = 0.2
    preferred: tuple[float, float] = (-0.3, 0.8)
    dense_at_zero: bool = False
    bias: float = 0.8
    scale: Mapping[str, float] = field(
        default_factory=lambda: {"afferent": 1.0, "recurrent": 0.5, "efferent": 0.35}
    )
    drive: float = 0.5
    order: str = "semi-implicit"

    @property
    def arm(self) -> Plant:
        """The arm."""
        return plants[self.plant]

    @property
    def clock(self) -> Any:
        """The time step, for Brian2."""
        return self.dt * second

    @property
    def joint(self) -> Any:
        """The joint that each input neuron senses."""
        return np.arange(self.sense) // 4 % len(self.arm.joints)

    def aimed(self, aims: Float[np.ndarray, "trial joint"], steps: int) -> dict[str, Any]:
        """Target angles of each trial, as an input to the neurons that sense the joints."""
        each = aims[:, self.joint]
        return {"sense.aim": np.broadcast_to(each, (steps, *each.shape))}

    def network(
        self, angle: Any = None, world: World | None = None, posture: Any = None
    ) -> Network:
        """The Brian2 network of neurons and arm.

        Arguments:
            angle: Angles at the start, where the arm is at rest [rad]; by default the posture.
            world: By default that of training.
            posture: Angles that are to be held [rad], if not those of the loop.
        """
        rng, world = np.random.default_rng(self.seed), world or World()
        aim = self.posture if posture is None else posture
        body = world.build(
            self.arm, self.dt, angle=aim if angle is None else angle, order=self.order
        )
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
        muscles = len(self.arm.muscles)
        pools.connect(i=np.arange(self.motor), j=np.arange(self.motor) % muscles)
        pools.w = muscles * self.drive / (self.motor * 100 * self.arm.tau_e)
        return Network(sense, hidden, motor, afferent, recurrent, efferent, pools, *body.objects)

    def _sense(self, body: Body, aim: Any, world: World) -> NeuronGroup:
        n, heard = self.sense, 0.0 if world.numb else 1.0
        names = {"tau_m": 0.01 * second, "base": heard * self.base, "gain": heard * self.gain}
        aimed = any(self.posture)  # an arm that is held at 0 needs no variable for it
        model = SENSE if aimed else SENSE.replace("(angle - aim)", "angle").replace(AIM, "")
        group = self._group("sense", n, model, 0.004, names)
        for name in ("angle", "velocity"):
            setattr(group, name, linked_var(body.joints, name, index=self.joint))
        kind, sign = np.arange(n) % 4 // 2, np.where(np.arange(n) % 2, 1.0, -1.0)
        group.along_angle = np.where(kind == 0, sign, 0.0)
        group.along_velocity = np.where(kind == 1, sign * self.velocity_weight, 0.0)
        alike = 4 * len(self.arm.joints)
        group.preferred = self._preferred(-(-n // alike))[np.arange(n) // alike]
        if aimed:
            group.aim = np.array(aim)[self.joint]
        return group

    def _preferred(self, number: int) -> Float[np.ndarray, " _"]:
        if not self.dense_at_zero:
            return np.linspace(*self.preferred, number)
        first, last = np.sign(self.preferred) * np.sqrt(np.abs(self.preferred))
        roots = np.linspace(first, last, number)
        return roots * np.abs(roots)

    def _cells(self, name: str, n: int) -> NeuronGroup:
        names = {"tau_m": 0.02 * second, "tau_s": 0.01 * second}
        group = self._group(name, n, CELLS, 0.002, names)
        group.bias = self.bias
        return group

    def _group(self, name: str, n: int, model: str, pause: Any, names: Mapping[str, Any]) -> Any:
        return NeuronGroup(
            n, model, threshold="v > 1", reset="v -= 1", refractory=pause * second,
            method="exponential_euler", name=name, namespace=dict(names), dt=self.clock,
        )  # fmt: skip

    def _synapses(
        self, pre: Any, post: Any, name: str, rng: np.random.Generator, delay: float = 0.0
    ) -> Synapses:
        whole = np.floor(delay / self.dt + 0.5) * self.dt  # as Brian2 rounds it
        synapses: Any = Synapses(
            pre, post, "w : 1", on_pre="current_post += w", delay=whole * second, name=name,
            dt=self.clock,
        )  # fmt: skip
        synapses.connect()
        synapses.w = rng.normal(0, self.scale[name] / np.sqrt(len(pre)), len(synapses))
        return synapses
