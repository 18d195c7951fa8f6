"""A spiking network that learns to hold a hand in place: a two-joint arm with six muscles.

The arm is `arm26_nijhof` of `mirrorneuron.muscle`: shoulder and elbow in the horizontal plane,
moved by six Hill-type muscles, two of which cross both joints. Nothing holds it in place: from a
random start the network has to bring the hand to its place, brake, and keep it there. The network
has three layers: input neurons with a population code of the angle and velocity of each joint, a
recurrent hidden layer, and a pool of motor neurons for each muscle. Its initial weights are random
and contain no information on arm and muscles. All of it is one Brian2 Network. Its mirror is
trained through neurons, muscles and joints; then the weights are written back, and Brian2 runs the
loop.

The plant is that of Nijhof & Kouwenhoven 2000, doi:10.1007/978-1-4612-2104-3_29. The set-up is that
of the study `arm_stabilisation` with another arm; every constant, loss and target here is ours.

The loss of a trial is the mean over its steps of
`2 t/T |error + look*velocity|^2 + effort*activation^2 + rate*(spikes/100 Hz)^2`, with the time `t`
in a trial of length `T`, the error of both angles [rad] and the spikes of the hidden and motor
layers. Starts are drawn anew in each step. Surrogate, optimiser and rules are those of
`arm_stabilisation`.

In addition, the first network learns to reach: it is trained on targets drawn anew in each trial,
and its input neurons sense the distance of each angle from the target.

Baselines on the same plant set excitation directly and see the state of the arm exactly: the best
constant activations that balance the arm in its posture, the best proportional-derivative feedback
of a grid, and the linear-quadratic regulator of the plant, linearised by the mirror's derivatives.

How the settings were found: gain, bias and drive of the network, the loss, and size and number of
the steps of Adam on networks 0 and 1, by the RMS distance from other starts than those of the
tests. With a bias below threshold and a high cost of effort the muscles were hardly active, and the
hand stayed 10 cm off. Later, a common offset from all starts remained, which took more steps,
larger batches and more weight on the end of the trial to unlearn.

Judged is the RMS distance of the hand from its place, over all held-out starts and the last 200 ms
of trials that are longer than those of training; and the same under pushes on the hand and torque
pulses, with changed inertia and muscle strength, and with delayed or silent afferents, none of
which occurred in training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Network
from jaxtyping import Float
from torch import Tensor

from mirrorneuron import Recording, Trial

from .._contracts import Result
from .._kit.file import working_folder
from ._controller import BONES, PLANT, Controller, controlled, feedback, regulator
from ._loop import Loop, World
from ._posture_report import PAIRS, REACHING, Holding, distance, report
from ._report import HOME, Baseline, Learnt
from ._study import Activations, Angles, ArmStudy, Method, Movement, rms_at_end

BALANCE = 0.05  # activation about which the regulator is designed


@dataclass(frozen=True)
class ArmPosture(ArmStudy):
    """See the module's docstring; other settings are those of `ArmStudy`.

    Arguments:
        posture: Angles of shoulder and elbow to hold [rad].
        steps_reaching: Training steps of BPTT on targets, which only the first network learns (0:
            no reaching).
        spread: Largest distance of target angles from the posture in reaching [rad].
        target: RMS distance of the hand to reach [cm].
    """

    title = "a spiking network learns to hold the hand of a six-muscle arm, also in Brian2"
    sense: int = 80
    hidden: int = 100
    motor: int = 60
    posture: tuple[float, float] = (0.9, 1.5)
    batch: int = 32
    steps_forward: int = 30
    steps_reaching: int = 60
    lr: float = 0.015
    lr_forward: float = 0.008
    windows: tuple[float, ...] = (0.1,)
    start: float = 0.5
    spread: float = 0.3
    look: float = 0.1
    effort: float = 0.05
    rate: float = 0.002
    disturbances: int = 13
    brian: int = 6
    target: float = 2.0

    def quick(self) -> "ArmPosture":
        """One small network for BPTT and one for FPTT, trained for seconds."""
        return replace(
            self, seeds=1, sense=48, hidden=48, motor=36, duration=0.35, batch=8, steps=8,
            steps_forward=6, steps_reaching=0, lr=0.03, lr_forward=0.02, held_out=4, test=0.5,
            disturbances=1, brian=2, target=12.0,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Train each network by each rule, test in mirror and Brian2, compare with baselines."""
        folder = working_folder(out / "trained", resume)
        learnt: list[Learnt] = []
        for seed in range(self.seed, self.seed + self.seeds):
            learnt.append(self.judge("untrained", seed, self.model(seed), [], False))
            for method in self.methods:
                if not method.spread or seed == self.seed:
                    found = self.train(method, seed, folder, progress)
                    how = (method.name == "BPTT", method.spread > 0)
                    learnt.append(self.judge(method.name, seed, *found, *how))
        findings = Holding(
            learnt=learnt, baselines=self.baselines(), dt=self.dt, posture=self.posture,
            level=self.target, pulse=self.pulse_start,
        )  # fmt: skip
        return report(out, findings, str(__doc__))

    # ---- training

    @property
    def methods(self) -> list[Method]:
        """BPTT, FPTT in each window, and BPTT on targets."""
        found = [Method("BPTT", None, self.lr, self.steps)]
        found += [
            Method(f"FPTT {1e3 * w:g} ms", w, self.lr_forward, self.steps_forward, self.alpha)
            for w in self.windows
        ]
        if self.steps_reaching:
            reaching = Method(REACHING, None, self.lr, self.steps_reaching, spread=self.spread)
            found.append(reaching)
        return found

    def loop(self, seed: int) -> Loop:
        """The network of a seed."""
        return Loop(
            plant=PLANT.name, sense=self.sense, hidden=self.hidden, motor=self.motor, dt=self.dt,
            delay=0.0, seed=seed, posture=self.posture, gain=10.0, preferred=(-0.2, 0.5),
            dense_at_zero=True, bias=1.1, drive=1.0,
            scale={"afferent": 1.0, "recurrent": 0.5, "efferent": 1.0},
        )  # fmt: skip

    def draw(
        self, rng: np.random.Generator, seed: int, spread: float
    ) -> tuple[Angles, Angles, dict[str, Any]]:
        """Random angles at the start, and random targets if the network learns to reach."""
        angles, aims = self.places(rng, self.batch, spread)
        steps = round(self.duration / self.dt)
        inputs = self.loop(seed).aimed(aims, steps) if spread else {}
        return angles, aims, inputs

    def places(
        self, rng: np.random.Generator, trials: int, spread: float = 0.0
    ) -> tuple[Angles, Angles]:
        """Draw angles at the start, and target angles."""
        posture = np.array(self.posture)
        angles = posture + rng.uniform(-self.start, self.start, (trials, 2))
        return angles, posture + rng.uniform(-spread, spread, (trials, 2))

    def missed(self, recording: Recording, trial: Trial, steps: int) -> Float[Tensor, " time"]:
        """Mean squared error of where the arm is heading, with more weight towards the end."""
        angle, velocity = recording["joints.angle"], recording["joints.velocity"]
        ahead = angle - trial.target + self.look * velocity
        since = (recording.first + torch.arange(len(ahead)) + 0.5) / steps
        return 2 * since * ahead.square().sum(2).mean(1)

    # ---- tests

    @property
    def trials(self) -> tuple[Angles, Angles]:
        """Held-out starts and targets, the same for all networks [rad]."""
        return self.places(np.random.default_rng(5678), self.held_out, self.spread)

    def all_worlds(self) -> dict[str, World]:
        """What the arm is like in tests."""
        weak = {name: np.ones(len(PLANT.muscles)) for name in ("deltoid", "triceps_long")}
        for name, factors in weak.items():
            factors[list(PLANT.muscles).index(name)] = 0.8
        return {
            HOME: World(),
            "push 30 N along x, 50 ms": World(push=self.pulse(30.0, 0.0)),
            "push 30 N along y, 50 ms": World(push=self.pulse(0.0, 30.0)),
            "shoulder +5 N m, 50 ms": World(load=self.pulse(5.0, 0.0)),
            "elbow -3 N m, 50 ms": World(load=self.pulse(0.0, -3.0)),
            "inertia -20 %": World(inertia=0.8),
            "inertia +20 %": World(inertia=1.2),
            "all muscles -20 %": World(strength=(0.8,)),
            "all muscles +20 %": World(strength=(1.2,)),
            "deltoid -20 %": World(strength=tuple(weak["deltoid"])),
            "long triceps -20 %": World(strength=tuple(weak["triceps_long"])),
            "afferents 20 ms later": World(delay=0.02),
            "afferents 30 ms later": World(delay=0.03),
            "afferents silent": World(numb=True),
        }

    def rms(self, angle: Movement, aims: Any) -> float:
        """RMS distance of the hand from where it should be [cm]."""
        return rms_at_end(distance(angle, aims), self.dt)

    def deviation(self, one: Any, other: Any) -> float:
        """Largest difference of a coordinate of the hand [cm]."""
        return 100 * float(np.abs(BONES.hand(one) - BONES.hand(other)).max())

    def cocontraction(self, activation: Activations) -> float:
        """Activation of the weaker muscle of each pair of antagonists, as a share of their mean."""
        names = list(PLANT.muscles)
        columns = [[names.index(name) for name in pair] for pair in PAIRS]
        sides = np.stack([activation[..., pair] for pair in columns], axis=-2)
        return float(np.mean(2 * sides.min(-1) / sides.sum(-1)))

    # ---- baselines

    def baselines(self) -> list[Baseline]:
        """Controllers without neurons; gains are chosen on other starts than those of the tests."""
        starts, _ = self.places(np.random.default_rng(4321), 6)
        levels = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
        grid = product((0.02, 0.05, 0.1, 0.2), (0.2, 0.5, 1.0, 2.0, 4.0), (0.05, 0.1, 0.2, 0.4))
        families = {
            "best constant": [feedback(self.posture, self.dt, level) for level in levels],
            "best PD": [feedback(self.posture, self.dt, *gains) for gains in grid],
        }
        rest = feedback(self.posture, self.dt, 0.01)
        best = regulator(self.posture, self.dt, self.look, self.effort, BALANCE)
        return self.compared(starts, rest, families, best)

    def controlled(
        self, controllers: Sequence[Controller], angles: Angles, world: World
    ) -> Network:
        """As many arms as there are controllers times starts."""
        return controlled(controllers, angles, self.posture, self.dt, world)
