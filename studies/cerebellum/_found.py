"""The simulations of `cerebellum`, which are run when they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import nA, second
from jaxtyping import Float

from mirrorneuron.bio import cerebellum, plasticity
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

from .._contracts import Result, Study
from .._kit.file import cached
from ._rule import Drift, drift_of, kernel_of
from .cerebellum_cells import CerebellumCells


@dataclass(frozen=True)
class CircuitStudy(Study):
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


@dataclass(frozen=True, eq=False)
class Found:
    """What was found; simulations of circuits at rest are kept as files.

    Arguments:
        study: The settings.
        cells: Result of the single cells.
        directory: Of the simulations.
    """

    study: CircuitStudy
    cells: Result
    directory: Path

    def everything(self) -> Iterator[Any]:
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
        study = self.study
        return cerebellum(scale=study.scale, seed=study.seed + seed, condition=condition)

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
        return cached(
            self.directory / f"rest_{condition.replace(' ', '_')}_{seed}.npz",
            lambda: resting_state(
                self.circuit(condition, seed), study.rest * second, settle=study.settle * second,
                seed=study.seed + seed, **self.how,
            ).simulation,
            Simulation.load,
        )  # fmt: skip

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
    def drifts(self) -> dict[str, Drift]:
        """Drift of weights by the rate of climbing fibres, of the rules of parallel fibres."""
        how = (self.study.drift, self.study.synapses, self.study.seed)
        rules = ("pf_pc_sinexp", "pf_mli", "pf_pc_flagged")
        return {name: drift_of(plasticity[name], *how) for name in rules}
