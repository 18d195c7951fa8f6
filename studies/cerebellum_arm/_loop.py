r"""The closed loop of `cerebellum_arm`: a forearm, its controller, and a cerebellum.

The forearm follows the plan $\theta^* = A \sin(2 \pi t/T)$. A controller knows the arm as it is
without the field, but for its delays: ahead by a `lead`, it gives the torque
$I \ddot\theta^* + B \dot\theta^* + E \theta^*$; to this it adds
$K (\theta^* - \theta) + D (\dot\theta^* - \dot\theta) + G (r_f - r_e)$. Each muscle takes half of
the torque, around a common excitation. The last term is the cerebellum's, of two microzones, one
for the flexor and one for the extensor: $r$ is by how much the rate of their projecting nuclear
cells, filtered with the time constant $\tau$, differs from the usual one of some trials.

A mossy fibre has a preferred direction in the plane of planned angle and planned velocity, and
fires regularly at $b + p [\cos(\phi - \phi_i) - c]_+/(1 - c)$. Neighbours across the parallel
fibres prefer neighbouring directions. The stimuli of an olivary cell come at random with the rate
$s \pm g (\theta^* - \theta)$, between 0 and 10 Hz: more where the arm is not flexed enough, in the
zone of the flexor, and less in that of the extensor. What it teaches, the synapses of the parallel
fibres on Purkinje cells, neither grows nor fades at the rate $s$.

The field is a torque against the movement, $-F \dot\theta$, in the trials from `start` to `stop`.

Source: two microzones that pull to opposite sides, with the plasticity of their parallel fibres:
Geminiani et al. 2024, doi:10.1371/journal.pcbi.1011277; a cerebellum that adds to
what a crude controller commands, and is taught by its errors: Kawato & Gomi 1992,
doi:10.1007/BF00201431; arms in velocity-dependent force fields: Shadmehr & Mussa-Ivaldi 1994,
doi:10.1523/JNEUROSCI.14-05-03208.1994.
Differs from them: plan, controller, tuning curves and all gains are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, Synapses, linked_var, nS, second
from brian2.units.allunits import metre, newton

from mirrorneuron.bio.circuits import Circuit, Plastic, cerebellum
from mirrorneuron.bio.circuits.anatomy import BASAL
from mirrorneuron.bio.plasticity import plasticity
from mirrorneuron.muscle import Body, plants

PLANT = plants["elbow_pair"]
RULE = plasticity["pf_pc_sinexp"]
LEARNING = "parallel_purkinje"
PLAN = """
aim = amplitude*sin(turn*t) : 1
speed = amplitude*turn*cos(turn*t) : 1/second
"""
SPIKING = """
dx/dt = rate : 1
limit : 1
"""
MOSSY = """
rate = base + peak*clip((cos(turn*t - preferred) - cut)/(1 - cut), 0, 1) : Hz
preferred : 1 (constant)
"""
ERRORS = """
rate = clip(spontaneous + slope*side*(aim - angle), 0*Hz, 10*Hz) : Hz
side : 1 (constant)
angle : 1 (linked)
"""
NUCLEI = """
drate/dt = -rate/tau : Hz
dusual/dt = (rate - usual)/slow : Hz
share : 1 (constant)
"""
CONTROLLER = """
command = clip(tone + side*torque/(2*strength), 0, 1) : 1 (constant over dt)
torque = known + stiffness*(aim - angle)
         + damping*(speed - velocity) + pull : newton*metre
pull = gain*(flexor - usual_flexor - extensor + usual_extensor) : newton*metre
gain : newton*metre*second (constant)
known = amplitude*friction*turn*cos(turn*(t + lead))
        + amplitude*(elasticity - mass*turn**2)*sin(turn*(t + lead)) : newton*metre
strength : newton*metre (constant)
side : 1 (constant)
angle : 1 (linked)
velocity : 1/second (linked)
flexor : Hz (linked)
extensor : Hz (linked)
usual_flexor : Hz (linked)
usual_extensor : Hz (linked)
"""
NM = newton * metre


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Sizes and constants of the network.

    Arguments:
        scale: Of the cerebellum.
        seed: Of the cerebellum and of all that is drawn.
        dt: Time step [s].
        amplitude: Of the movement [rad].
        period: Of the movement, a trial [s].
        field: Of the force field [N m s/rad].
        start: Trial in which the field begins, from 0.
        stop: Trial in which it is off again.
        tone: Excitation of both muscles at rest.
        friction: Of the arm, as the controller knows it [N m s/rad].
        elasticity: The same [N m/rad].
        lead: By how much the controller is ahead of its muscles with what it knows [s].
        stiffness: Of the controller [N m/rad].
        damping: Of the controller [N m s/rad].
        gain: Torque of the cerebellum [N m/Hz]; 0 cuts its output.
        tau: Of the filter of the nuclear rate [s].
        slow: In which that rate becomes the usual one [s].
        base, peak: Rate of a mossy fibre away from its preferred direction, and what that adds
            [Hz].
        cut: Of its tuning curve.
        spontaneous: Rate of stimuli to the olive without an error [Hz].
        slope: What an error adds to it [Hz/rad].
        rate: How fast weights grow, $A_+$ [nS]; 0 for no plasticity.
        drawn: Whether stimuli and cells draw their spikes; otherwise they fire at thresholds, as
            mossy fibres do.
    """

    scale: float = 0.2
    seed: int = 0
    dt: float = 2.5e-4
    amplitude: float = 0.3
    period: float = 1.0
    field: float = 1.2
    start: int = 5
    stop: int = 125
    tone: float = 0.06
    friction: float = 0.3
    elasticity: float = 3.0
    lead: float = 0.04
    stiffness: float = 15.0
    damping: float = 1.5
    gain: float = 0.15
    tau: float = 0.1
    slow: float = 3.0
    base: float = 0.5
    peak: float = 110.0
    cut: float = 0.75
    spontaneous: float = 1.2
    slope: float = 20.0
    rate: float = 6e-4
    drawn: bool = True

    @property
    def clock(self) -> Any:
        """The time step, for Brian2."""
        return self.dt * second

    @cached_property
    def circuit(self) -> Circuit:
        """The cerebellum, with a zone for the flexor and one for the extensor."""
        return cerebellum(self.scale, seed=self.seed, dt=self.clock, zones=2)

    @property
    def names(self) -> Mapping[str, Any]:
        """What the equations of all groups name."""
        viscous: Any = NM * second
        return {
            "amplitude": self.amplitude, "turn": 2 * np.pi / (self.period * second),
            "base": self.base * Hz, "peak": self.peak * Hz, "cut": self.cut,
            "spontaneous": self.spontaneous * Hz, "slope": self.slope * Hz,
            "tau": self.tau * second, "slow": self.slow * second, "tone": self.tone,
            "mass": INERTIA * viscous * second, "friction": self.friction * viscous,
            "elasticity": self.elasticity * NM, "lead": self.lead * second,
            "stiffness": self.stiffness * NM, "damping": self.damping * viscous,
            "field": self.field * viscous, "start": self.start * self.period * second,
            "stop": self.stop * self.period * second,
        }  # fmt: skip

    @property
    def plastic(self) -> Plastic:
        """The rule of the parallel fibres, in balance at the spontaneous rate."""
        values = RULE.values()
        ratio = float(RULE.neutral_rate() / Hz) * values["A_minus"] / values["A_plus"]
        up: Any = self.rate * nS
        return Plastic(rule=RULE, values={"A_plus": up, "A_minus": up * ratio / self.spontaneous})

    def network(self) -> Network:
        """Arm, controller and cerebellum."""
        rng = np.random.default_rng([self.seed, 1])
        circuit, body = self.circuit, self.arm()
        mossy = self._spiking("mossy", circuit.counts["mossy"], MOSSY, rng, False)
        place = np.argsort(np.argsort(circuit.positions["mossy"][:, 1]))
        mossy.preferred = 2 * np.pi * (place + rng.random()) / len(mossy)
        errors = self._spiking("errors", circuit.counts["olive"], PLAN + ERRORS, rng, self.drawn)
        errors.side = np.where(circuit.zone["olive"] == 0, 1.0, -1.0)
        errors.angle = linked_var(body.joints, "angle", index=np.zeros(len(errors), int))
        net = circuit.network(
            mossy=mossy, olive=errors, threshold="" if self.drawn else "deterministic",
            plastic={LEARNING: self.plastic},
        )  # fmt: skip
        nuclei = self._nuclei(net["dcn_p"])
        net.add(errors, *nuclei, *self.controller(body, nuclei[0]), *body.objects)
        return net

    def arm(self) -> Body:
        """The forearm in the field."""
        body = PLANT.build(
            excitation="input", gravity=False, angle=(0.0,), dt=self.clock,
            velocity=[self.amplitude * 2 * np.pi / self.period] / second,
        )  # fmt: skip
        body.joints.namespace.update(self.names)
        body.joints.run_regularly(
            "load = -field*velocity*int(t >= start)*int(t < stop)", when="groups", order=2,
            name="field",
        )  # fmt: skip
        return body

    def _spiking(
        self, name: str, number: int, rate: str, rng: np.random.Generator, drawn: bool
    ) -> Any:
        """Cells that fire where the integral of their rate is a whole number, or at random."""
        group: Any = NeuronGroup(
            number, SPIKING + rate, threshold="x > limit", method="euler", name=name,
            reset="x = 0\nlimit = -log(1 - rand())" if drawn else "x -= 1",
            namespace=self.names, dt=self.clock,
        )  # fmt: skip
        group.x = 0 if drawn else rng.random(number)
        group.limit = rng.exponential(size=number) if drawn else 1
        return group

    def _nuclei(self, cells: Any) -> tuple[Any, Any]:
        """Filtered rates of the projecting nuclear cells of both zones."""
        zone = self.circuit.zone["dcn_p"]
        nuclei: Any = NeuronGroup(
            2, NUCLEI, method="exact", name="nuclei", namespace=self.names, dt=self.clock
        )
        nuclei.share = 1 / np.bincount(zone)
        nuclei.rate = nuclei.usual = BASAL["awake"]["dcn_p"][0] * Hz
        readout = Synapses(
            cells, nuclei, on_pre="rate_post += share_post/tau", name="readout",
            namespace=self.names, dt=self.clock,
        )  # fmt: skip
        readout.connect(i=np.arange(len(zone)), j=zone)
        return nuclei, readout

    def controller(self, body: Body, nuclei: Any) -> tuple[Any, Any]:
        """The controller, and what it does to the muscles."""
        controller: Any = NeuronGroup(
            2, PLAN + CONTROLLER, name="controller", namespace=self.names, dt=self.clock
        )
        controller.side = [1.0, -1.0]
        controller.gain = self.gain * NM * second
        controller.strength = [m.F0 * abs(m.arms["elbow"][0]) for m in MUSCLES] * NM
        for name in ("angle", "velocity"):
            setattr(controller, name, linked_var(body.joints, name, index=np.zeros(2, int)))
        for zone, name in enumerate(("flexor", "extensor")):
            of = np.full(2, zone)
            setattr(controller, name, linked_var(nuclei, "rate", index=of))
            setattr(controller, f"usual_{name}", linked_var(nuclei, "usual", index=of))
        wires = Synapses(
            controller, body.muscles, "excitation_post = command_pre : 1 (summed)", name="wires",
            dt=self.clock, order=-1,
        )  # fmt: skip
        wires.connect(j="i")
        return controller, wires


MUSCLES = [*PLANT.muscles.values()]
INERTIA = float(PLANT.skeleton.values()["inertia"][0])
