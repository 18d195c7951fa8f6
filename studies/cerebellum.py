r"""The cerebellum against published numbers: cells, wiring, activity, and what its weights learn.

Cells are those of the study `cerebellum_cells`. Then, for circuits from several seeds: numbers of
cells and of sources of a target; rates at rest in both conditions, with 4 Hz on each mossy fibre; a
step of the mossy fibres; and the pause of the Purkinje cells after climbing-fibre spikes, one or
five, as published and with a step of their adaptation current at each. At last the rules of
plasticity with a teacher: the change of a weight at each lag of a single pair beside the closed
form, and the rate of climbing fibres at which weights under Poisson trains do not drift, beside the
derived one.

Source: De Schepper et al. 2022, doi:10.1038/s42003-022-04213-y, with the rates in the documentation
of the repository dbbs-lab/cerebellar-models, version 0.13.0; Geminiani et al. 2024,
doi:10.1371/journal.pcbi.1011277 (plasticity). Steps of adaptation: 0.22 and 1 nA, of the repository
eliasmateo95/CerebellarLoop, there to cells of a quarter of the capacitance.
Differs from it: circuits start at rest and settle for `settle` before rates are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    defaultclock,
    ms,
    nA,
    nS,
    second,
)
from jaxtyping import Float
from tqdm import tqdm

from mirrorneuron.bio import PlasticityRule, cerebellum, neurons, plasticity, synapses
from mirrorneuron.bio.circuits import (
    Activity,
    Circuit,
    climbing_fibre_pause,
    mossy_fibre_step,
    resting_state,
)
from mirrorneuron.bio.circuits.activity import activity
from mirrorneuron.bio.circuits.anatomy import BASAL, POPULATIONS
from mirrorneuron.bio.circuits.protocols import Pause, Response
from mirrorneuron.bio.recording import Simulation
from mirrorneuron.bio.simulate import simulate
from mirrorneuron.studies._circuit_report import report_on
from mirrorneuron.studies._contracts import Result, Study
from mirrorneuron.studies.cerebellum_cells import CerebellumCells

RECEPTOR = synapses["alpha_conductance"]
LAGS = np.arange(-50, 251, 2)  # of a climbing-fibre spike after that of the parallel fibre [ms]
SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the neutral rate
FREE: dict[str, Any] = {
    "w": 0 * nS, "unit": nS, "w_min": -1e6 * nS, "w_max": 1e6 * nS, "name": "learning",
}  # fmt: skip
STEP = 0.5e-3  # of the networks of single rules [s]


@dataclass(frozen=True)
class Cerebellum(Study):
    """Settings: the size of the circuits, how many, and how long they run.

    Arguments:
        scale: Size of a circuit, as a multiple of the reference.
        circuits: Number of seeds, each for another wiring and another input.
        rest: Time in which rates at rest are taken [s].
        settle: Time before [s].
        drift: Time of Poisson trains for the neutral rate [s].
        synapses: Synapses for each of the rates of the climbing fibres.
        pauses: Spikes of a burst that excites the olive, and what a climbing fibre's spike adds to
            a Purkinje cell's adaptation [nA]; the cells are to pause where it is not 0.
        cells: Settings of the single cells.
    """

    scale: float = 1.0
    circuits: int = 2
    rest: float = 5.0
    settle: float = 0.5
    drift: float = 100.0
    synapses: int = 400
    pauses: tuple[tuple[int, float], ...] = ((1, 0.0), (1, 1.0), (5, 0.0), (5, 0.22))
    cells: CerebellumCells = field(default_factory=CerebellumCells)

    @property
    def title(self) -> str:
        """One line for lists."""
        return "A cerebellum against published numbers: cells, wiring, rates, kernels"

    def quick(self) -> "Cerebellum":
        """A small circuit, for a short time."""
        return Cerebellum(
            scale=0.05, circuits=1, rest=0.4, settle=0.1, drift=10.0, synapses=100,
            pauses=((1, 1.0),), cells=CerebellumCells(seed=self.seed).quick(), seed=self.seed,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run cells, circuits and rules.

        Arguments:
            out: Folder of the results, which exists.
            progress: Whether to show progress.
            resume: Whether to take the simulations of circuits that an interrupted run left.
        """
        inner = out / "cells"
        inner.mkdir(exist_ok=True)
        cells = self.cells.run(inner, progress)
        found = Found(self, cells, out / "runs", resume)
        found.directory.mkdir(exist_ok=True)
        for _ in tqdm(found.everything(), total=2 * self.circuits + 6, disable=not progress):
            pass
        return report_on(out, found)


@dataclass(frozen=True, eq=False)
class Found:
    """What was found; simulations are run when they are asked for, and kept as files.

    Arguments:
        study: The settings.
        cells: Result of the single cells.
        directory: Of the simulations.
        resume: Whether to read what is there.
    """

    study: Cerebellum
    cells: Result
    directory: Path
    resume: bool

    def everything(self) -> Any:
        """Run one thing after another."""
        for condition in BASAL:
            for seed in range(self.study.circuits):
                yield self.rest(condition, seed)
        yield self.step
        yield self.pauses
        yield self.kernels
        yield self.drifts

    def circuit(self, condition: str, seed: int) -> Circuit:
        """A circuit; the same wiring in both conditions."""
        return cerebellum(
            scale=self.study.scale, seed=self.study.seed + seed, condition=condition
        )  # fmt: skip

    @property
    def how(self) -> dict[str, Any]:
        """How circuits are run: what one compiled that another needs too is kept."""
        return {"directory": self.directory / "build", "report": None}

    @cached_property
    def awake(self) -> Circuit:
        """The first one."""
        return self.circuit("awake", 0)

    # ---- circuits

    def rest(self, condition: str, seed: int) -> Simulation:
        """Of a circuit at rest."""
        study = self.study
        return self._kept(
            f"rest {condition} {seed}",
            lambda: resting_state(
                self.circuit(condition, seed), study.rest * second, settle=study.settle * second,
                seed=study.seed + seed, **self.how,
            ).simulation,
        )  # fmt: skip

    def _kept(self, name: str, run: Callable[[], Simulation]) -> Simulation:
        path = self.directory / f"{name.replace(' ', '_')}.npz"
        if not (self.resume and path.exists()):
            run().save(path)
        return Simulation.load(path)

    def rates(self, condition: str) -> dict[str, list[Activity]]:
        """Of each group, for each circuit."""
        window = (self.study.settle, self.study.settle + self.study.rest)
        runs = [self.rest(condition, seed) for seed in range(self.study.circuits)]
        return {name: [activity(r.spikes[name], window) for r in runs] for name in POPULATIONS}

    @cached_property
    def step(self) -> Response:
        """Answer of the circuit to a step of the mossy fibres."""
        return mossy_fibre_step(self.awake, seed=self.study.seed, **self.how)

    @cached_property
    def pauses(self) -> dict[tuple[int, float], Pause]:
        """By number of spikes given to the olive, and the step of adaptation [nA]."""
        return {
            (number, step): climbing_fibre_pause(
                self.awake, number=number, complex_spike=step * nA if step else None,
                seed=self.study.seed, **self.how,
            )
            for number, step in self.study.pauses
        }  # fmt: skip

    # ---- rules

    @cached_property
    def kernels(self) -> dict[str, tuple[Float[np.ndarray, " lag"], Float[np.ndarray, " lag"]]]:
        """Change of a weight at each lag, found and in closed form, by rule."""
        rules = {name: rule for name, rule in plasticity.items() if rule.teaching}
        return {name: kernel_of(rule) for name, rule in rules.items()}

    @cached_property
    def drifts(self) -> dict[str, "Drift"]:
        """Drift of weights by the rate of climbing fibres, of the rules of parallel fibres."""
        rules = {name: plasticity[name] for name in ("pf_pc_sinexp", "pf_mli", "pf_pc_flagged")}
        return {name: drift_of(rule, self.study) for name, rule in rules.items()}


@dataclass(frozen=True)
class Drift:
    """Drift of weights under Poisson trains.

    Arguments:
        rates: Of the climbing fibres [Hz].
        found: Mean change a second, in units of the rule.
        error: Standard error of it.
        derived: The same in closed form.
        neutral: Derived rate without drift [Hz].
    """

    rates: Float[np.ndarray, " rate"]
    found: Float[np.ndarray, " rate"]
    error: Float[np.ndarray, " rate"]
    derived: Float[np.ndarray, " rate"]
    neutral: float

    @property
    def crossing(self) -> float:
        """Rate without drift, of a line through what was found [Hz]."""
        steep, level = np.polyfit(self.rates, self.found, 1, w=1 / self.error)
        return float(-level / steep)


def taught(rule: PlasticityRule, N: int) -> NeuronGroup:
    """Cells that do not fire by themselves, with what a rule needs."""
    model = rule.taught(neurons["lif"])
    return model.group(N, name="cells", receptors={"pf": RECEPTOR}, method="exponential_euler")


def kernel_of(rule: PlasticityRule) -> tuple[Any, Any]:
    """Change of a weight by one pair of spikes at each of `LAGS`, and what the rule derives."""
    each, first = np.arange(len(LAGS)), 100

    def build() -> Network:
        source = SpikeGeneratorGroup(len(LAGS), each, np.full(len(LAGS), first) * ms, name="fibres")
        teacher = SpikeGeneratorGroup(len(LAGS), each, (first + LAGS) * ms, name="teacher")
        cells = taught(rule, len(LAGS))
        lesson = rule.teach(teacher, cells, i=each, j=each, name="lesson")
        learning = rule.connect(source, cells, RECEPTOR, "pf", i=each, j=each, **FREE)
        return Network(source, teacher, cells, lesson, learning)

    duration = first * 1e-3 + LAGS[-1] * 1e-3 + 0.25
    run = simulate(build, duration * second, "runtime", target="numpy", namespace={}, report=None)
    late = (
        1e-4 if rule.teaching and rule.teaching.threshold else 0.0
    )  # its spike comes a step later
    derived = [
        rule.change(np.zeros(1), np.array([lag * 1e-3 + late]), rule.values()) for lag in LAGS
    ]
    return run.final["learning.w"] * 1e9, np.array(derived)


def drift_of(rule: PlasticityRule, study: Cerebellum) -> Drift:
    """Weights under Poisson trains of 5 Hz, with climbing fibres around the neutral rate."""
    neutral, number = float(rule.neutral_rate() / Hz), len(SHARES) * study.synapses
    rates = np.repeat(SHARES, study.synapses) * neutral

    def build() -> Network:
        defaultclock.dt = STEP * second
        each = np.arange(number)
        source = PoissonGroup(number, 5 * Hz, name="fibres")
        teacher = PoissonGroup(number, rates * Hz, name="teacher")
        cells = taught(rule, number)
        lesson = rule.teach(teacher, cells, i=each, j=each, name="lesson")
        learning = rule.connect(source, cells, RECEPTOR, "pf", i=each, j=each, **FREE)
        return Network(source, teacher, cells, lesson, learning)

    run = simulate(
        build, study.drift * second, "cpp", seed=study.seed, spikes=[], namespace={}, report=None
    )  # fmt: skip
    changed = (run.final["learning.w"] * 1e9 / study.drift).reshape(len(SHARES), -1)
    given, p = np.array(SHARES) * neutral, rule.values()
    return Drift(
        rates=given,
        found=changed.mean(1),
        error=changed.std(1) / np.sqrt(study.synapses),
        derived=np.array([rule.drift(5.0, float(rate), p) for rate in given]),
        neutral=neutral,
    )
