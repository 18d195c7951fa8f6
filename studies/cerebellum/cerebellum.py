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

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from mirrorneuron.studies._contracts import Result
from mirrorneuron.studies._kit.file import working_folder

from ._circuit_report import report_on
from ._found import CircuitStudy, Found
from .cerebellum_cells import CerebellumCells


@dataclass(frozen=True)
class Cerebellum(CircuitStudy):
    """See the module's docstring; the settings are those of `CircuitStudy`."""

    title = "A cerebellum against published numbers: cells, wiring, rates, kernels"

    def quick(self) -> "Cerebellum":
        """A small circuit, for a short time."""
        return Cerebellum(
            scale=0.05, circuits=1, rest=0.4, settle=0.1, drift=10.0, synapses=100,
            pauses=((1, 1.0),), cells=CerebellumCells(seed=self.seed).quick(), seed=self.seed,
        )  # fmt: skip

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run cells, circuits and rules; a resumed run keeps the circuits that are done."""
        cells = self.cells.run(working_folder(out / "cells", True), progress)
        found = Found(self, cells, working_folder(out / "runs", resume))
        for _ in tqdm(found.everything(), total=2 * self.circuits + 6, disable=not progress):
            pass
        return report_on(out, found, str(__doc__))
