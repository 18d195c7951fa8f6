r"""Constants of an E-GLIF cell from its rate and its curve, by the gradient of its mirror.

A firing rate has no gradient in a cell that does not spike. So each cell is *teacher-forced* with
its own spikes: it runs freely, without gradients, and then again from the same state with the
spikes that it had imposed on it, up to the one that counts and no further. After that spike its
membrane potential is smooth, and the mirror gives the derivative of the hazard $\lambda$ with
respect to every constant. With $H_j$, the sum of $\lambda \, dt$ over the first $j$ steps after the
spike, the expected interval is

$E = dt \sum_{j<W} e^{-H_j} + e^{-H_W} \, W dt / H_W$,

where the last term extrapolates beyond the window of $W$ steps with the mean hazard within it. The
logarithm of the interval has a gradient even in a silent cell, where it is that of
$(V_{th} - v)/\tau_V$. The interval averages over the random time of the next spike, as escape rates
do; only the spikes before are drawn. The gradient is exact for given earlier spikes: that these
would move with the constants is neglected, and every training step draws them anew.

The rate of a group of copies is the inverse of their mean interval: at rest of the interval after
the last spike, in a step of current of that after the first. Three measures keep the fit stable:

* before the part that counts, copies are forced to fire at the claimed rate, so that they have
  adapted to it;
* copies that have never fired have to start within two intervals: otherwise a cell could meet its
  rate in which each spike triggers the next, but which stays at rest from where its source starts;
* at first, the next spike is also pulled to its place (`misplaced`): a depolarisation after a spike
  makes the next one come early or not at all, and the interval alone does not tell which constants
  would let the membrane rise slowly.

Source: escape rates: Gerstner, Kistler, Naud & Paninski 2014, "Neuronal Dynamics", section 9.1,
doi:10.1017/CBO9781107447615.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from brian2 import Network, NeuronGroup, second, volt
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from mirrorneuron import BPTT, Mirror, Positive, Recording, Sign, Task, Trial, fit, mirror
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells import Cell, Claim

from .._kit.file import whole

OWN = ("I_e", "k_adap", "k_1", "k_2", "A_1", "A_2")
STATE = ("I_e", "lambda_0", "tau_V")
UNITS: Mapping[str, str] = {
    "I_e": "*pA", "k_adap": "*nS/ms", "k_1": "/ms", "k_2": "/ms", "A_1": "*pA", "A_2": "*pA",
    "lambda_0": "/ms", "tau_V": "*mV",
}  # fmt: skip
SHORT, LONG = 0.1e-3, 0.2e-3  # time steps [s]: of the fast cells, and of those slower than
SLOW = 20.0  # this rate [Hz]
SILENT = 0.01  # rate below which a cell is taken for silent [Hz]
FRESH = 1  # index of the condition of cells that have never fired, after rest, before the steps
START, EDGE = 0.1, 4.0  # error of the time to the first spike that counts as one, and its weight
STEEPEST = 20.0  # where the exponent of the hazard ends, as in the model
SHAPE, SOFTNESS = 3.0, 0.5e-3  # weight of `misplaced`, and the least tau_V in it [V]
PART = 5  # training steps between two looks
ENOUGH, MET = 1.0, 0.5  # mean loss that is enough with large steps, and with small ones
PLACED = 1.0  # value of `misplaced` that is enough
BETAS = (0.7, 0.9)  # of Adam


@dataclass(frozen=True)
class Settings:
    """Settings of the fit of a cell.

    Arguments:
        copies: Cells at rest, and in each step of current.
        wide, narrow: Training steps, first with large steps, then with small ones.
        wide_step, narrow_step: Their size, as a share of each constant.
        rate, slope: Error that counts as one in the loss, as a fraction of the target.
        pull: Weight of the squared logarithm of each constant over where it starts.
        seed: Of the free runs.
    """

    copies: int = 16
    wide: int = 30
    narrow: int = 20
    wide_step: float = 0.03
    narrow_step: float = 0.004
    rate: float = 0.02
    slope: float = 0.05
    pull: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """Result of the fit of a cell.

    Arguments:
        values: Text of the constants that were trained.
        losses: Loss of each training step; empty if there was nothing to fit.
    """

    values: Mapping[str, str]
    losses: tuple[float, ...]

    def save(self, path: Path) -> None:
        """Write to a file."""
        with whole(path) as file:
            file.write(json.dumps({"values": dict(self.values), "losses": self.losses}) + "\n")

    @staticmethod
    def load(path: Path) -> "Fitted":
        """Read what `save` wrote."""
        kept = json.loads(path.read_text())
        return Fitted(kept["values"], tuple(kept["losses"]))


class Lead(NamedTuple):
    """A free run, whose spikes are imposed in the teacher-forced run.

    Arguments:
        spikes: Imposed spikes.
        last: Step of the last imposed spike of each cell.
        state: State from which the teacher-forced run starts.
    """

    spikes: Float[Tensor, "time batch neuron"]
    last: Int[np.ndarray, " neuron"]
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """Copies of a cell at rest and in steps of current, and their distance from what is claimed.

    Arguments:
        name: Name of the Brian2 group.
        cell: The cell with its initial constants.
        claim: Rate and slope that it should have.
        train: Names of the trained constants.
        settings: Settings of the fit.
        dt: Time step of the training [s].
        method: Integrator of the training.
    """

    name: str
    cell: Cell
    claim: Claim
    train: tuple[str, ...]
    settings: Settings
    dt: float = SHORT
    method: str = "rk2"

    # ---- copies and times

    @cached_property
    def currents(self) -> Float[np.ndarray, " condition"]:
        """Current at rest, of cells that have never fired, and in each step [A]."""
        return np.array([0.0, 0.0, *(float(evaluate(text)) for text in self.claim.currents)])

    @cached_property
    def given(self) -> Float[np.ndarray, " neuron"]:
        """Current of each copy [A]."""
        return np.repeat(self.currents, self.settings.copies)

    @cached_property
    def period(self) -> float:
        """Interval at rest, where one is claimed [s]."""
        return 1 / self.claim.rate if self.claim.rate else 30e-3

    @property
    def settle(self) -> int:
        """Steps of the free run before the part that counts."""
        return round(max(3 * self.period, 100e-3) / self.dt)

    @property
    def before(self) -> int:
        """Steps of the teacher-forced run before the current is switched on."""
        return round(1.2 * self.period / self.dt)

    @property
    def after(self) -> int:
        """Steps of the teacher-forced run from there."""
        return round(max(2 * self.period, 60e-3) / self.dt)

    # ---- the network and its mirror

    def group(self, **values: Any) -> NeuronGroup:
        """All copies, which share their constants, and start at different potentials."""
        rng = np.random.default_rng(self.settings.seed)
        low, high = (float(evaluate(self.cell.parameters[n])) for n in ("V_r", "V_th"))
        v = low + 0.9 * (high - low) * rng.random(len(self.given))
        dt: Any = self.dt * second
        return self.cell.group(
            len(self.given), name=self.name, receptors=[], method=self.method, dt=dt,
            v=v * volt, **values,
        )  # fmt: skip

    @cached_property
    def network(self) -> Network:
        """The copies alone: currents are given to the mirror."""
        return Network(self.group())

    @cached_property
    def model(self) -> Mirror:
        """Mirror of the network, in which the constants are trained."""
        limits = {
            f"{self.name}.{n}": Positive() if evaluate(self.cell.parameters[n]) > 0 else Sign()
            for n in self.train
        }
        return mirror(self.network, train=limits, dtype=torch.float64, namespace={})

    def constant(self, name: str) -> Any:
        """A constant of the cell, trained or not, in SI units."""
        if name in self.train:
            return self.model.parameter(f"{self.name}.{name}")
        return float(evaluate(self.cell.parameters[name]))

    # ---- the free run

    def lead(self, seed: int) -> Lead:
        """Run freely with the present constants, and keep the spikes up to the one that counts.

        Before, the copies are forced to fire at the claimed rate, so that they have adapted to it.
        """
        still = {**self.drive(-self.settle, 0), self.name: self.regular}
        stop = self.before + self.after // 2
        with torch.no_grad():
            settled = self.model.run_steps(self.settle, still, seed=seed)
            state = self._fresh(settled.state)
            run = self.model.run_steps(stop, self.drive(0, stop), state=state)
        fired = run.spikes[self.name][:, 0].numpy() > 0
        last = np.array([self._last(column, k) for k, column in enumerate(fired.T)])
        spikes = np.zeros((self.before + self.after, 1, len(last)))
        for k, step in enumerate(last):
            spikes[: step + 1, 0, k] = fired[: step + 1, k]
            if step >= 0 and (self.claim.rate or self.condition(k) > FRESH):
                spikes[step, 0, k] = 1
        return Lead(torch.from_numpy(spikes), last, state)

    def condition(self, copy: int) -> int:
        """Number of the condition of a copy."""
        return copy // self.settings.copies

    def _fresh(self, settled: Mapping[str, Any]) -> dict[str, Any]:
        """The state, with the copies that have never fired reset to their initial state."""
        state, start = dict(settled), self.model.initial_state()
        start[f"{self.name}.v"].fill_(float(evaluate(self.cell.parameters["v"])))
        mine = slice(FRESH * self.settings.copies, (FRESH + 1) * self.settings.copies)
        for key, value in start.items():
            if isinstance(value, Tensor) and key in state:
                state[key] = state[key].clone()
                state[key][:, mine] = value[:, mine]
        return state

    @cached_property
    def regular(self) -> Float[Tensor, "time batch neuron"]:
        """Spikes at the claimed rate, every copy in a phase of its own; none of a silent cell."""
        spikes = np.zeros((self.settle, 1, len(self.given)))
        if self.claim.rate:
            period = round(self.period / self.dt)
            for k in range(len(self.given)):
                phase = k % self.settings.copies * period // self.settings.copies
                spikes[phase::period, 0, k] = 1
        return torch.from_numpy(spikes)

    def _last(self, fired: Bool[np.ndarray, " time"], copy: int) -> int:
        """Step of the last spike at rest, or of the first in a step of current; the end if none.

        For a copy that has never fired it is the step before the first.
        """
        if self.condition(copy) == FRESH:
            return -1
        if self.condition(copy) < FRESH:
            found = np.flatnonzero(fired[: self.before])
            return int(found[-1]) if found.size else self.before - 1
        found = np.flatnonzero(fired[self.before :])
        return self.before + int(found[0]) if found.size else len(fired) - 1

    def drive(self, start: int, stop: int) -> dict[str, Tensor]:
        """Currents of steps counted from the start of the teacher-forced run."""
        on = np.arange(start, stop) >= self.before
        currents = on[:, None, None] * self.given
        return {f"{self.name}.I": torch.from_numpy(currents)}

    def led(self, lead: Lead) -> dict[str, Tensor]:
        """Inputs of a teacher-forced run."""
        return {**self.drive(0, self.before + self.after), self.name: lead.spikes}

    def trial(self, step: int) -> Trial:
        """The teacher-forced run of a training step."""
        seeds = np.random.SeedSequence([self.settings.seed, step])
        lead = self.lead(int(seeds.generate_state(1)[0]))
        return Trial(self.led(lead), target=lead, state=lead.state)

    # ---- the loss

    def hazards(self, recording: Recording, lead: Lead) -> Float[Tensor, "age neuron"]:
        """Logarithm of the hazard in each step after the spike that counts, times the step [1].

        It is not bounded here, so that a spike that comes too early still has a gradient.
        """
        v = recording[f"{self.name}.v"][:, 0]
        ages = np.arange(1, len(v))[:, None]
        place = lead.last + 1 + ages  # v at the start of a step is that of the step before
        held = round(float(evaluate(self.cell.parameters["t_ref"])) / self.dt)
        counted = torch.from_numpy((place < len(v)) & (ages > held))
        at = torch.from_numpy(np.minimum(place, len(v) - 1))
        exponent = (v.gather(0, at) - self.constant("V_th")) / self.constant("tau_V")
        return torch.where(counted, exponent + self._scale(), -torch.inf)

    def _scale(self) -> Float[Tensor, ""]:
        """Logarithm of the hazard at threshold, times the step [1]."""
        return torch.log(torch.as_tensor(self.constant("lambda_0") * self.dt, dtype=torch.float64))

    def log_rates(
        self, hazards: Float[Tensor, "age neuron"], lead: Lead
    ) -> Float[Tensor, " condition"]:
        """Logarithm of the rate at rest and in each step of current [Hz]."""
        passed = torch.cumsum(hazards.clamp(max=STEEPEST).exp(), 0)
        window = torch.from_numpy(len(hazards) - lead.last - 1)
        inside = torch.arange(1, len(hazards) + 1)[:, None] <= window
        survived = (torch.where(inside, torch.exp(-passed), 0).sum(0) + 1) * self.dt
        beyond = torch.log(window * self.dt) - torch.logsumexp(hazards, 0) - passed[-1]
        log_interval = torch.logaddexp(torch.log(survived), beyond)
        groups = log_interval.reshape(len(self.currents), -1)
        return np.log(self.settings.copies) - torch.logsumexp(groups, 1)

    def misplaced(self, hazards: Float[Tensor, "age neuron"]) -> Float[Tensor, ""]:
        """Distance of the next spike at rest from the claimed interval.

        Minus the logarithm of the chance that it comes within 15 % of it, in two parts, that it
        does not come before and that it comes then, each by its logarithm. A threshold that is
        sharper than `SOFTNESS` is softened, so that the membrane rises to it slowly: otherwise the
        cell would stand on the edge where one constant a little smaller makes it silent.
        """
        start, stop = (round(x * self.period / self.dt) for x in (0.85, 1.15))
        soft = max(SOFTNESS / float(evaluate(self.cell.parameters["tau_V"])), 1.0)
        scale = self._scale()
        mine = (hazards[:, : self.settings.copies] - scale) / soft + scale
        early = softplus(torch.logsumexp(mine[:start], 0))
        then = torch.logsumexp(mine[start:stop], 0)
        late = torch.where(then < -20, -then, -torch.log(-torch.expm1(-then.clamp(-20, 20).exp())))
        return (torch.log1p(early) + torch.log1p(late)).mean()

    def errors(self, log_rates: Float[Tensor, " condition"]) -> dict[str, Tensor]:
        """Errors of what is claimed.

        Logarithm of the rate, and of the time to a first spike beyond two intervals: without the
        second, a cell fires on at its rate that would never begin. Of a slope, its share less one.
        """
        found: dict[str, Tensor] = {}
        if self.claim.rate:
            found["rate"] = log_rates[0] - np.log(self.claim.rate)
            found["start"] = torch.relu(-log_rates[FRESH] - np.log(2 * self.period))
        elif self.claim.rate is not None:
            found["rate"] = torch.relu(log_rates[: FRESH + 1].max() - np.log(SILENT))
        if self.claim.slope is not None:
            currents, rates = self.currents[FRESH + 2 :], log_rates[FRESH + 2 :].exp()
            x = torch.from_numpy(currents - currents.mean())
            found["slope"] = (x @ rates) / (x @ x) / self.claim.slope - 1
        return found

    def loss(self, recording: Recording, trial: Trial, shape: float = 0.0) -> Tensor:
        """Sum of the errors, and the pull to the constants at the start.

        Far from the target an error counts by its logarithm: the gradients of a silent cell, of
        which the expected interval is astronomical, would drown all others.

        Arguments:
            recording, trial: A teacher-forced run.
            shape: Weight of the place of the spike, `misplaced`.
        """
        hazards = self.hazards(recording, trial.target)
        errors = self.errors(self.log_rates(hazards, trial.target))
        sizes = {"rate": self.settings.rate, "slope": self.settings.slope, "start": START}
        weights = {"start": EDGE}
        missed = sum(
            weights.get(n, 1.0) * torch.log1p((e / sizes[n]).square()) for n, e in errors.items()
        )
        if shape and self.claim.rate:
            missed = missed + shape * self.misplaced(hazards)
        return missed + self.settings.pull * self.distance()

    def distance(self) -> Tensor:
        """Squared distance of the constants from those at the start."""
        total = torch.zeros((), dtype=torch.float64)
        for name in self.train:
            ratio = self.constant(name) / float(evaluate(self.cell.parameters[name]))
            total = total + (torch.log(ratio) if ratio > 0 else ratio - 1).square().sum()
        return total

    def idle(self) -> bool:
        """Whether there is nothing to fit: a cell that only has to be silent, and is."""
        if self.claim.rate or self.claim.slope:
            return False
        return all(float(error) == 0.0 for error in self.missed(0).values())

    def missed(self, seed: int) -> dict[str, Tensor]:
        """Errors with the present constants, without gradients."""
        lead = self.lead(seed)
        with torch.no_grad():
            run = self.model.run_steps(
                self.before + self.after, self.led(lead), state=lead.state,
                record=[f"{self.name}.v"],
            )  # fmt: skip
            return self.errors(self.log_rates(self.hazards(run, lead), lead))

    def fit(
        self, folder: Path, steps: int, size: float, shape: float, enough: float, progress: bool
    ) -> Fitted:
        """Train in parts of a few steps until all is met or all are done, and write back.

        Arguments:
            folder: For checkpoints; training goes on from one that is there.
            steps: Most of them.
            size: Of a step, as a share of each constant.
            shape: Weight of the place of the spike, `misplaced`.
            enough: Mean loss of the last steps at which training ends.
            progress: Whether to show progress.
        """
        length = (self.before + self.after) * self.dt * second
        task = Task(length, partial(self.loss, shape=shape), self.trial, [f"{self.name}.v"])
        optimizer = torch.optim.Adam(self.model.parameters(), size, BETAS)
        losses: list[float] = []
        while len(losses) < steps and not _below(losses, enough):
            done = fit(
                self.model,
                task,
                BPTT(),
                optimizer,
                steps=min(len(losses) + PART, steps),
                checkpoint=folder,
                clip=1.0,  # one steep gradient would be remembered for long
                report="text" if progress else None,
                seed=self.settings.seed,
            )
            losses = done.losses
        self.model.write_back()
        return Fitted(self.written(), tuple(losses))

    def written(self) -> dict[str, str]:
        """The trained constants as they are in the Brian2 group, as text."""
        group = self.network[self.name]
        return {name: text_of(name, float(getattr(group, name)[:])) for name in self.train}


def refit(objective: Objective, folder: Path, progress: bool) -> Fitted:
    """Fit with large steps, then with small ones; a slow cell roughly, then as Brian2 will judge.

    Roughly is with twice the time step, and with two stages of the integrator instead of four.

    Arguments:
        objective: With the constants to start from.
        folder: For checkpoints.
        progress: Whether to show progress.
    """
    settings, cell, rate = objective.settings, objective.cell, objective.claim.rate
    if objective.idle():
        return Fitted({n: cell.parameters[n] for n in objective.train}, ())
    slow = bool(rate) and objective.period > 1 / SLOW
    enough = ENOUGH + (SHAPE * PLACED if rate else 0.0)
    coarse = replace(objective, dt=LONG if slow else SHORT)
    wide = coarse.fit(folder / "wide", settings.wide, settings.wide_step, SHAPE, enough, progress)
    near = replace(
        objective,
        cell=replace(cell, values={**cell.values, **wide.values}),
        method="rk4" if slow else objective.method,
    )
    found = near.fit(folder / "narrow", settings.narrow, settings.narrow_step, 0.0, MET, progress)
    return Fitted(found.values, wide.losses + found.losses)


def _below(losses: list[float], enough: float) -> bool:
    """Whether the last losses are, on average."""
    return len(losses) >= PART and float(np.mean(losses[-PART:])) < enough


def text_of(name: str, value: float) -> str:
    """A constant with the unit of the published tables, to five digits."""
    unit = UNITS[name]
    return f"{value / float(evaluate('1' + unit)):.5g}{unit}"
