"""A spiking network that learns to hold a hand in place: a two-joint arm with six muscles.

The arm is `arm26_nijhof` of `mirrorneuron.muscle`: shoulder and elbow in the horizontal plane,
moved by six Hill-type muscles, two of which cross both joints. Nothing holds it anywhere: from a
random start the network has to bring the hand to its place, brake, and keep it there. The network
has three layers: input neurons with a population code of angle and velocity of each joint, a
recurrent hidden layer, a pool of motor neurons for each muscle. Its weights at the start are random
numbers, and know nothing of arm and muscles. All of it is one Brian2 Network; its mirror is trained
through neurons, muscles and joints; then the weights are written back and Brian2 runs the loop.

The plant is that of Nijhof & Kouwenhoven 2000, doi:10.1007/978-1-4612-2104-3_29. The set-up is that
of the study `arm_stabilisation`, with another arm; every constant, loss and target here is ours.

Loss of a trial, the mean over its steps of
`2 t/T |error + look*velocity|^2 + effort*activation^2 + rate*(spikes/100 Hz)^2`, with the time `t`
in a trial of length `T`, the error of both angles [rad] and the spikes of the hidden and motor
layers. Starts are drawn anew in each step.
Surrogate, optimiser and rules are those of `arm_stabilisation`.

Reaching is an extra, for the first network: it is trained on targets drawn anew in each trial; the
input neurons see each angle's distance from its target.

Baselines on the same plant set excitation directly and see the arm's state exactly: the best
constant activations that balance the arm in its posture, the best proportional-derivative feedback
of a grid, and the linear-quadratic regulator of the plant, linearised by the mirror's derivatives.

How the settings were found: gain, bias and drive of the network, the loss, steps of Adam and their
number on networks 0 and 1, by the RMS distance from other starts than those of the tests. With the
bias below threshold and a steep cost of effort the muscles hardly pulled, and the hand stayed 10 cm
off; later, what remained was an offset that all starts share, which took more steps, larger batches
and weight on the end of the trial to learn.

What is judged: the RMS distance of the hand from its place, over all held-out starts and the last
200 ms of trials that are longer than those of training; and the same under pushes on the hand,
torque pulses, other inertia and muscle strength, and delayed or silent afferents, none of which
training knew.
"""

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import second
from jaxtyping import Float
from torch import Tensor

from mirrorneuron import Mirror, Recording, Task, Trial, fit, mirror, simulate

from ._contracts import Result, Study
from ._posture_control import Controller, controlled, feedback, regulator
from ._posture_loop import BONES, LAYERS, PLANT, TRAINED, Loop, World
from ._posture_report import (
    HOME,
    PAIRS,
    REACHING,
    Baseline,
    Findings,
    Learnt,
    Test,
    distance,
    report,
    rms,
)
from .arm_stabilisation import SURROGATE, Fading, Method, irregularity, same_spikes

RECORDED = ("joints.angle", "joints.velocity", "muscles.activation")
BALANCE = 0.05  # activation about which the regulator is designed
Angles = Float[np.ndarray, "trial joint"]


@dataclass(frozen=True)
class ArmPosture(Study):
    """See the module's docstring.

    Arguments:
        seeds: Number of networks for each rule, from `seed` on.
        sense, hidden, motor: Number of neurons in each layer.
        dt: Time step [s].
        posture: Angles of shoulder and elbow to hold [rad].
        duration: Of a trial in training [s].
        batch: Trials in a step.
        steps, steps_forward, steps_reaching: Training steps, for BPTT, for FPTT, and for BPTT on
            targets, which only the first network learns (0: no reaching).
        lr, lr_forward: Steps of Adam, for BPTT and for FPTT.
        windows: Of FPTT [s].
        alpha: Of FPTT.
        clip: Largest norm of a gradient.
        start, spread: Largest distance from the posture of an angle at the start, and of one of a
            target in reaching [rad].
        look, effort, rate: Of the loss [s, 1, 1].
        held_out: Number of starts in tests.
        test: Duration of a test [s].
        disturbances: Number of worlds in tests that training did not know.
        brian: Starts that Brian2 repeats for each network, where the arm is as in training; one
            in each of the other worlds.
        target: RMS distance of the hand to reach [cm].
    """

    seeds: int = 5
    sense: int = 80
    hidden: int = 100
    motor: int = 60
    dt: float = 2e-3
    posture: tuple[float, float] = (0.9, 1.5)
    duration: float = 0.5
    batch: int = 32
    steps: int = 60
    steps_forward: int = 30
    steps_reaching: int = 60
    lr: float = 0.015
    lr_forward: float = 0.008
    windows: tuple[float, ...] = (0.1,)
    alpha: float = 0.01
    clip: float = 1.0
    start: float = 0.5
    spread: float = 0.3
    look: float = 0.1
    effort: float = 0.05
    rate: float = 0.002
    held_out: int = 16
    test: float = 1.0
    disturbances: int = 13
    brian: int = 6
    target: float = 2.0

    @property
    def title(self) -> str:
        """One line for lists."""
        return "a spiking network learns to hold the hand of a six-muscle arm, also in Brian2"

    def quick(self) -> "ArmPosture":
        """One small network for BPTT and one for FPTT, trained for seconds: all of it runs."""
        return replace(
            self, seeds=1, sense=48, hidden=48, motor=36, duration=0.35, batch=8, steps=8,
            steps_forward=6, steps_reaching=0, lr=0.03, lr_forward=0.02, held_out=4, test=0.5,
            disturbances=1, brian=2, target=12.0,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Train each network by each rule, test in mirror and Brian2, compare with baselines."""
        folder = out / "trained"
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        learnt: list[Learnt] = []
        for seed in range(self.seed, self.seed + self.seeds):
            learnt.append(self.judge("untrained", seed, self.model(seed), []))
            for method in self.methods:
                if method.name != REACHING or seed == self.seed:
                    model, losses = self.train(method, seed, folder, progress)
                    learnt.append(self.judge(method.name, seed, model, losses))
        found = Findings(
            learnt=learnt, baselines=self.baselines(), dt=self.dt, posture=self.posture,
            target=self.target, pulse=self.pulse_start,
        )  # fmt: skip
        return report(out, found, str(__doc__))

    # ---- the network and its training

    @property
    def methods(self) -> list[Method]:
        """BPTT, FPTT in each window, and BPTT on targets."""
        found = [Method("BPTT", None, self.lr, self.steps)]
        found += [
            Method(f"FPTT {1e3 * w:g} ms", w, self.lr_forward, self.steps_forward, self.alpha)
            for w in self.windows
        ]
        if self.steps_reaching:
            found.append(Method(REACHING, None, self.lr, self.steps_reaching))
        return found

    def loop(self, seed: int) -> Loop:
        """The network of a seed."""
        return Loop(
            sense=self.sense, hidden=self.hidden, motor=self.motor, dt=self.dt, seed=seed,
            posture=self.posture,
        )  # fmt: skip

    def model(self, seed: int) -> Mirror:
        """Its mirror."""
        return mirror(self.loop(seed).network(), train=TRAINED, surrogate=SURROGATE, namespace={})

    def train(
        self, method: Method, seed: int, folder: Path, progress: bool
    ) -> tuple[Mirror, list[float]]:
        """A network that has learnt, and the loss of each step."""
        model = self.model(seed)
        if progress:
            print(f"{method.name}, network {seed}")
        updates = method.steps * method.updates(self.duration)
        done = fit(
            model,
            self.task(model, seed, self.spread if method.name == REACHING else 0.0),
            method.rule,
            Fading.of(model, method.lr, updates),
            steps=method.steps,
            clip=self.clip,
            checkpoint=folder / f"{method.key.replace(',', '')}-{seed}",
            report="text" if progress else None,
            seed=seed,
        )
        return model, done.losses

    def task(self, model: Mirror, seed: int, spread: float = 0.0) -> Task:
        """Hold the arm in its posture, or one at a distance, from any start and in any phase."""
        steps = round(self.duration / self.dt)

        def trial(step: int) -> Trial:
            rng = np.random.default_rng([seed, step])
            angles, aims = self.draw(rng, self.batch, spread)
            state = start(model, angles)
            for name in LAYERS:
                phase = rng.uniform(0, 0.9, tuple(state[f"{name}.v"].shape))
                state[f"{name}.v"] = torch.as_tensor(phase, dtype=model.dtype)
            inputs = self.aimed(seed, aims, steps) if spread else {}
            target = torch.as_tensor(aims, dtype=model.dtype)
            return Trial(inputs=inputs, target=target, batch_size=self.batch, state=state)

        def loss(recording: Recording, trial: Trial) -> Tensor:
            angle, velocity, activation = (recording[key] for key in RECORDED)
            ahead = angle - trial.target + self.look * velocity
            since = (recording.first + torch.arange(len(ahead)) + 0.5) / steps
            value = 2 * since * ahead.square().sum(2).mean(1)
            value = value + self.effort * activation.square().mean((1, 2))
            for name in ("hidden", "motor"):
                rate = recording.spikes[name].mean((1, 2)) / self.dt
                value = value + self.rate * (rate / 100).square()
            return value.sum() / steps

        return Task(self.duration * second, loss, trial, RECORDED, additive=True)

    def draw(
        self, rng: np.random.Generator, trials: int, spread: float = 0.0
    ) -> tuple[Angles, Angles]:
        """Angles at the start, and those to be held."""
        posture = np.array(self.posture)
        angles = posture + rng.uniform(-self.start, self.start, (trials, 2))
        return angles, posture + rng.uniform(-spread, spread, (trials, 2))

    def aimed(self, seed: int, aims: Angles, steps: int) -> dict[str, Any]:
        """The aims as an input to the neurons that sense the joints."""
        each = aims[:, self.loop(seed).joint]
        return {"sense.aim": np.broadcast_to(each, (steps, *each.shape))}

    # ---- tests

    @cached_property
    def trials(self) -> tuple[Angles, Angles]:
        """Held-out starts and targets, the same for all networks [rad]."""
        return self.draw(np.random.default_rng(5678), self.held_out, self.spread)

    @property
    def pulse_start(self) -> float:
        """When pushes and torque pulses come in a test [s]."""
        return 0.4 * self.test

    @property
    def worlds(self) -> dict[str, World]:
        """What the arm is like in tests."""
        weak = {name: np.ones(len(PLANT.muscles)) for name in ("deltoid", "triceps_long")}
        for name, factors in weak.items():
            factors[list(PLANT.muscles).index(name)] = 0.8
        known = {
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
        return dict(list(known.items())[: self.disturbances + 1])

    def pulse(self, first: float, second: float) -> tuple[tuple[float, float], ...]:
        """A pulse of 50 ms."""
        t = np.arange(round(self.test / self.dt)) * self.dt
        on = (t >= self.pulse_start) & (t < self.pulse_start + 0.05)
        return tuple((first * float(x), second * float(x)) for x in on)

    def judge(self, name: str, seed: int, model: Mirror, losses: list[float]) -> Learnt:
        """Test a network: all starts in the mirror, some in Brian2; after BPTT in all worlds."""
        worlds = self.worlds if name == "BPTT" else {HOME: World()}
        tests = {k: self.tested(seed, model, w, name == REACHING) for k, w in worlds.items()}
        return Learnt(name=name, seed=seed, losses=losses, tests=tests)

    def tested(self, seed: int, model: Mirror, world: World, reaching: bool = False) -> Test:
        """One world."""
        loop, (angles, targets) = self.loop(seed), self.trials
        aims = targets if reaching else np.tile(self.posture, (len(angles), 1))

        def build(trial: int) -> Any:
            network = loop.network(angles[trial], world, tuple(aims[trial]))
            model.write_back(network)
            return network

        twin = mirror(build(0), dtype=torch.float64, namespace={})
        steps = round(self.test / self.dt)
        with torch.no_grad():
            recording = twin.run(
                self.test * second, state=start(twin, angles), record=RECORDED,
                inputs=self.aimed(seed, aims, steps) if reaching else {}, batch_size=len(angles),
            )  # fmt: skip
        runs = [
            simulate(
                lambda k=k: build(k), self.test * second, record=RECORDED, target="numpy",
                namespace={}, report=None,
            )
            for k in range(min(self.brian if world == World() else 1, len(angles)))
        ]  # fmt: skip
        angle = recording["joints.angle"].numpy()
        activation = recording["muscles.activation"].numpy()
        rasters = {name: recording.spikes[name].bool().numpy() for name in LAYERS}
        hand = BONES.hand(angle)
        return Test(
            angle=angle,
            aims=aims,
            activation=activation.mean((0, 1)),
            cocontraction=cocontraction(activation),
            rates=recording.rates(),
            cv={name: irregularity(raster, self.dt) for name, raster in rasters.items()},
            brian=runs,
            identical=all(same_spikes(recording, run, k) for k, run in enumerate(runs)),
            deviation=max(
                float(np.abs(BONES.hand(run["joints.angle"]) - hand[:, k]).max())
                for k, run in enumerate(runs)
            ),
            rms=rms(distance(angle, aims), self.dt),
        )

    # ---- baselines

    def baselines(self) -> list[Baseline]:
        """Controllers without neurons, in Brian2; gains are chosen on starts of their own."""
        tuning, _ = self.draw(np.random.default_rng(4321), 6)
        levels = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
        grid = product((0.02, 0.05, 0.1, 0.2), (0.2, 0.5, 1.0, 2.0, 4.0), (0.05, 0.1, 0.2, 0.4))
        constant = [feedback(self.posture, self.dt, level) for level in levels]
        linear = [feedback(self.posture, self.dt, *gains) for gains in grid]
        angle, _ = self.hold([*constant, *linear], tuning, World())
        scores = [self.score(each) for each in angle.swapaxes(0, 1)]
        chosen = {
            "muscles at rest": feedback(self.posture, self.dt, 0.01),
            "best constant": constant[int(np.argmin(scores[: len(constant)]))],
            "best PD": linear[int(np.argmin(scores[len(constant) :]))],
            "LQR": regulator(self.posture, self.dt, self.look, self.effort, BALANCE),
        }
        held = {
            label: self.hold(list(chosen.values()), self.trials[0], world)
            for label, world in self.worlds.items()
            if not world.delay and not world.numb
        }
        angle, activation = held[HOME]
        effort = activation.mean((0, 2, 3))
        return [
            Baseline(
                name=name,
                rms={label: self.score(run[0][:, k]) for label, run in held.items()},
                activation=float(effort[k]),
                cocontraction=cocontraction(activation[:, k]),
                angle=angle[:, k],
            )
            for k, name in enumerate(chosen)
        ]

    def score(self, angle: Float[np.ndarray, "time trial joint"]) -> float:
        """RMS distance of the hand [cm]."""
        return rms(distance(angle, np.array(self.posture)), self.dt)

    def hold(
        self, controllers: list[Controller], angles: Angles, world: World
    ) -> tuple[
        Float[np.ndarray, "time controller trial joint"],
        Float[np.ndarray, "time controller trial muscle"],
    ]:
        """Angles and activations of all arms, in Brian2."""
        run = simulate(
            lambda: controlled(controllers, angles, self.posture, self.dt, world),
            self.test * second, record=["joints.angle", "muscles.activation"], target="numpy",
            namespace={}, report=None,
        )  # fmt: skip
        shape = (-1, len(controllers), len(angles))
        angle = run["joints.angle"].reshape(*shape, len(PLANT.joints))
        return angle, run["muscles.activation"].reshape(*shape, len(PLANT.muscles))


def start(model: Mirror, angles: Angles) -> dict[str, Any]:
    """State with the arm at rest at each of the angles."""
    state = dict(model.initial_state(len(angles)))
    state["joints.angle"] = torch.as_tensor(angles, dtype=model.dtype)
    return state


def cocontraction(activation: Float[np.ndarray, "*time muscle"]) -> float:
    """Activation of the weaker muscle of each pair of antagonists, as a share of their mean."""
    names = list(PLANT.muscles)
    sides = np.stack([activation[..., [names.index(n) for n in pair]] for pair in PAIRS], axis=-2)
    return float(np.mean(2 * sides.min(-1) / sides.sum(-1)))
