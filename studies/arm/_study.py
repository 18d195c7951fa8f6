"""What both studies share: settings, training, tests in mirror and Brian2, baselines."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Network, second
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam

import mirrorneuron as mn
from mirrorneuron import Mirror, Recording, Simulation, Trial
from mirrorneuron.analysis import statistics

from .._contracts import Study
from ._controller import Controller
from ._loop import LAYERS, TRAINED, Loop, World
from ._report import HOME, Baseline, Learnt, Test, key

RECORDED = ("joints.angle", "joints.velocity", "muscles.activation")
SURROGATE = mn.Triangle(width=0.5, factor=0.1)
JUDGED = 0.2  # end of a trial that counts [s]
Angles = Float[np.ndarray, "trial joint"]
Movement = Float[np.ndarray, "time trial joint"]
Activations = Float[np.ndarray, "*time muscle"]


class Fading(Adam):
    """Adam whose steps decrease linearly to zero over `total` updates.

    A `schedule` of `fit` advances once per trial, but FPTT updates the parameters several times per
    trial. So the optimiser counts its own updates, in its parameter groups, which checkpoints hold.
    """

    def step(self, closure: Any = None) -> Any:
        """One update."""
        for group in self.param_groups:
            group["lr"] = group["first"] * max(0.0, 1 - group["taken"] / group["total"])
            group["taken"] += 1
        return super().step(closure)

    @staticmethod
    def of(model: Mirror, lr: float, total: int) -> "Fading":
        """The optimiser of a model, with steps of a fraction `lr` of each parameter's size."""
        groups = model.parameter_groups(lr)
        extra = [{"first": group["lr"], "taken": 0, "total": total} for group in groups]
        return Fading([a | b for a, b in zip(groups, extra, strict=True)], betas=(0.9, 0.99))


@dataclass(frozen=True)
class Method:
    """A learning rule with its settings.

    Arguments:
        name: In tables.
        window: Length of a window [s]; None is BPTT.
        lr: Steps of Adam, as a fraction of each parameter's size.
        steps: Number of training steps.
        alpha: Strength of the regulariser of FPTT.
        ahead: How far a window looks ahead [s].
        spread: Largest distance of a target from the posture [rad]; 0 holds the posture.
    """

    name: str
    window: float | None
    lr: float
    steps: int
    alpha: float = 0.0
    ahead: float = 0.0
    spread: float = 0.0

    @property
    def rule(self) -> mn.Rule[Any]:
        """The rule."""
        if self.window is None:
            return mn.BPTT()
        ahead = self.ahead * second if self.ahead else None
        return mn.FPTT(window=self.window * second, alpha=self.alpha, look_ahead=ahead)

    def optimizer(self, model: Mirror, duration: float) -> Fading:
        """The optimiser for trials of a duration [s], with one update in each window."""
        windows = 1 if self.window is None else int(np.ceil(duration / self.window - 1e-9))
        return Fading.of(model, self.lr, self.steps * windows)

    @property
    def key(self) -> str:
        """Name of its folder and its metrics."""
        return key(self.name)


@dataclass(frozen=True)
class ArmStudy(Study):
    """Settings that both studies have, and their training, tests and baselines.

    Arguments:
        seeds: Number of networks for each rule, from `seed` on.
        sense, hidden, motor: Number of neurons in each layer.
        dt: Time step [s].
        duration: Of a trial in training [s].
        batch: Trials in a training step.
        steps, steps_forward: Training steps, for BPTT and for rules that learn in each window,
            which update the parameters several times per step.
        lr, lr_forward: Steps of Adam, for BPTT and for rules that learn in each window.
        windows: Lengths of the windows of FPTT [s].
        alpha: Strength of the regulariser of FPTT.
        clip: Largest norm of a gradient.
        start: Largest distance of an angle at the start from the posture [rad].
        look, effort, rate: Weights in the loss [s, 1, 1].
        held_out: Number of starts in tests.
        test: Duration of a test [s].
        disturbances: Number of worlds in tests that training did not know.
        brian: Starts that Brian2 repeats for each network, where the arm is as in training; one
            for each trained network in each of the other worlds.
    """

    seeds: int = 5
    sense: int = 40
    hidden: int = 60
    motor: int = 20
    dt: float = 2e-3
    duration: float = 0.5
    batch: int = 16
    steps: int = 60
    steps_forward: int = 40
    lr: float = 0.012
    lr_forward: float = 0.01
    windows: tuple[float, ...] = (0.05, 0.1, 0.2)
    alpha: float = 0.01
    clip: float = 1.0
    start: float = 0.7
    look: float = 0.2
    effort: float = 0.3
    rate: float = 0.02
    held_out: int = 16
    test: float = 1.0
    disturbances: int = 10
    brian: int = 4

    # ---- what differs

    @abstractmethod
    def loop(self, seed: int) -> Loop:
        """The network of a seed."""

    @property
    @abstractmethod
    def methods(self) -> list[Method]:
        """The rules, BPTT first."""

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, seed: int, spread: float
    ) -> tuple[Angles, Angles, dict[str, Any]]:
        """Draw angles at the start of each trial of a training step, target angles, and inputs."""

    @abstractmethod
    def missed(self, recording: Recording, trial: Trial, steps: int) -> Float[Tensor, " time"]:
        """The term of the loss for the distance of the arm from its target, at each time step."""

    @property
    @abstractmethod
    def trials(self) -> tuple[Angles, Angles]:
        """Held-out starts, and targets for networks that learn to reach [rad]."""

    @abstractmethod
    def all_worlds(self) -> dict[str, World]:
        """What the arm is like in tests, that of training first."""

    @abstractmethod
    def rms(self, angle: Movement, aims: Any) -> float:
        """RMS error over all trials and the last 200 ms."""

    @abstractmethod
    def deviation(self, one: Any, other: Any) -> float:
        """Largest difference between two movements."""

    @abstractmethod
    def cocontraction(self, activation: Activations) -> float:
        """How much antagonists are active at the same time, between 0 and 1."""

    @abstractmethod
    def controlled(
        self, controllers: Sequence[Controller], angles: Angles, world: World
    ) -> Network:
        """Network of an arm for each pair of controller and start."""

    # ---- training

    def model(self, seed: int, **changes: Any) -> Mirror:
        """Mirror of the network of a seed, with changes of its loop."""
        network = replace(self.loop(seed), **changes).network()
        return mn.mirror(network, train=TRAINED, surrogate=SURROGATE, namespace={})

    def train(
        self, method: Method, seed: int, folder: Path, progress: bool
    ) -> tuple[Mirror, list[float]]:
        """Train a network; returns it with the loss of each step."""
        model = self.model(seed)
        if progress:
            print(f"{method.name}, network {seed}")
        done = mn.fit(
            model,
            self.task(model, seed, spread=method.spread),
            method.rule,
            method.optimizer(model, self.duration),
            steps=method.steps,
            clip=self.clip,
            checkpoint=folder / f"{method.key}-{seed}",
            report="text" if progress else None,
            seed=seed,
        )
        return model, done.losses

    def task(
        self, model: Mirror, seed: int, duration: float | None = None, spread: float = 0.0
    ) -> mn.Task:
        """The task: hold the arm or reach a target, from random starts and membrane potentials."""
        seconds = duration or self.duration
        steps = round(seconds / self.dt)

        def trial(step: int) -> Trial:
            rng = np.random.default_rng([seed, step])
            angles, aims, inputs = self.draw(rng, seed, spread)
            state = start(model, angles)
            for name in LAYERS:
                phase = rng.uniform(0, 0.9, tuple(state[f"{name}.v"].shape))
                state[f"{name}.v"] = torch.as_tensor(phase, dtype=model.dtype)
            target = torch.as_tensor(aims, dtype=model.dtype)
            return Trial(inputs=inputs, target=target, batch_size=self.batch, state=state)

        def loss(recording: Recording, trial: Trial) -> Tensor:
            activation = recording["muscles.activation"]
            value = self.missed(recording, trial, steps)
            value = value + self.effort * activation.square().mean((1, 2))
            for name in ("hidden", "motor"):
                rate = recording.spikes[name].mean((1, 2)) / self.dt
                value = value + self.rate * (rate / 100).square()
            return value.sum() / steps

        return mn.Task(seconds * second, loss, trial, RECORDED, additive=True)

    # ---- tests

    @property
    def worlds(self) -> dict[str, World]:
        """What the arm is like in tests, that of training first."""
        return dict(list(self.all_worlds().items())[: self.disturbances + 1])

    @property
    def pulse_start(self) -> float:
        """When pushes and torque pulses come in a test [s]."""
        return 0.4 * self.test

    def pulse(self, *values: float) -> tuple[tuple[float, ...], ...]:
        """A pulse of 50 ms, at each time step of a test."""
        t = np.arange(round(self.test / self.dt)) * self.dt
        on = (t >= self.pulse_start) & (t < self.pulse_start + 0.05)
        return tuple(tuple(value * float(x) for value in values) for x in on)

    def judge(
        self,
        name: str,
        seed: int,
        model: Mirror,
        losses: list[float],
        everywhere: bool,
        reaching: bool = False,
    ) -> Learnt:
        """Test a network as in training or in all worlds."""
        runs = {label: int(name != "untrained") for label in self.worlds} | {HOME: self.brian}
        tests = {
            label: self.tested(seed, model, world, runs[label], reaching)
            for label, world in self.worlds.items()
            if label == HOME or everywhere
        }
        return Learnt(name=name, seed=seed, losses=losses, tests=tests)

    def tested(self, seed: int, model: Mirror, world: World, brian: int, reaching: bool) -> Test:
        """Test a network in one world: all starts in the mirror, the first `brian` in Brian2."""
        loop, (angles, targets) = self.loop(seed), self.trials
        aims = targets if reaching else np.tile(loop.posture, (len(angles), 1))

        def build(trial: int) -> Network:
            network = loop.network(angles[trial], world, tuple(aims[trial]))
            model.write_back(network)
            return network

        twin = mn.mirror(build(0), dtype=torch.float64, namespace={})
        with torch.no_grad():
            recording = twin.run(
                self.test * second, state=start(twin, angles), record=RECORDED,
                inputs=loop.aimed(aims, round(self.test / self.dt)) if reaching else {},
                batch_size=len(angles),
            )  # fmt: skip
        runs = [self.simulated(lambda k=k: build(k)) for k in range(min(brian, len(angles)))]
        angle = recording["joints.angle"].numpy()
        activation = recording["muscles.activation"].numpy()
        rasters = {name: recording.spikes[name].bool().numpy() for name in LAYERS}
        return Test(
            angle=angle,
            aims=aims,
            activation=activation.mean((0, 1)),
            cocontraction=self.cocontraction(activation),
            rates=recording.rates(),
            cv={name: irregularity(raster, self.dt) for name, raster in rasters.items()},
            brian=runs,
            identical=all(same_spikes(recording, run, k) for k, run in enumerate(runs)),
            deviation=max(
                (self.deviation(run["joints.angle"], angle[:, k]) for k, run in enumerate(runs)),
                default=0.0,
            ),
            rms=self.rms(angle, aims),
        )

    def simulated(self, build: Callable[[], Network]) -> Simulation:
        """Run a test in Brian2."""
        return mn.simulate(
            build, self.test * second, record=RECORDED, target="numpy", namespace={}, report=None
        )

    # ---- baselines

    def compared(
        self,
        starts: Angles,
        rest: Controller,
        families: Mapping[str, Sequence[Controller]],
        regulator: Controller,
    ) -> list[Baseline]:
        """Test controllers without neurons in Brian2.

        Arguments:
            starts: Starts from which the best controller of each family is chosen.
            rest: Controller that leaves the muscles at rest.
            families: Controllers by the name of their family.
            regulator: The linear-quadratic regulator.
        """
        posture, chosen = np.array(self.loop(0).posture), {"muscles at rest": rest}
        every = [controller for family in families.values() for controller in family]
        angle, _ = self.hold(every, starts, World())
        scores = iter([self.rms(each, posture) for each in angle.swapaxes(0, 1)])
        for name, family in families.items():
            chosen[name] = family[int(np.argmin(list(islice(scores, len(family)))))]
        chosen["LQR"] = regulator
        held = {
            label: self.hold(list(chosen.values()), self.trials[0], world)
            for label, world in self.worlds.items()
            if not world.delay and not world.numb
        }
        angle, activation = held[HOME]
        return [
            Baseline(
                name=name,
                rms={label: self.rms(run[0][:, k], posture) for label, run in held.items()},
                activation=float(activation[:, k].mean()),
                cocontraction=self.cocontraction(activation[:, k]),
                angle=angle[:, k],
            )
            for k, name in enumerate(chosen)
        ]

    def hold(
        self, controllers: Sequence[Controller], angles: Angles, world: World
    ) -> tuple[
        Float[np.ndarray, "time controller trial joint"],
        Float[np.ndarray, "time controller trial muscle"],
    ]:
        """Angles and activations of the arms of all controllers, in Brian2."""
        run = self.simulated(lambda: self.controlled(controllers, angles, world))
        shape = (len(run.t), len(controllers), len(angles), -1)
        return run["joints.angle"].reshape(shape), run["muscles.activation"].reshape(shape)


def start(model: Mirror, angles: Angles) -> dict[str, Any]:
    """State with the arm at rest at each of the angles."""
    state = dict(model.initial_state(len(angles)))
    state["joints.angle"] = torch.as_tensor(angles, dtype=model.dtype)
    return state


def rms_at_end(values: Float[np.ndarray, "time trial"], dt: float) -> float:
    """Root mean square over all trials and the last 200 ms."""
    return float(np.sqrt(np.square(values[-round(JUDGED / dt) :]).mean()))


def irregularity(raster: Any, dt: float) -> float:
    """Mean CV of the inter-spike intervals over the neurons and trials that have one."""
    values = np.concatenate([statistics["cv"](trial, dt) for trial in raster.swapaxes(0, 1)])
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def same_spikes(recording: Recording, run: Simulation, batch: int) -> bool:
    """Whether Brian2 and a trial of the mirror have the same spikes in all layers."""
    return all(
        np.array_equal(
            recording.events(name, batch), (run.spikes[name].step, run.spikes[name].index)
        )
        for name in LAYERS
    )
