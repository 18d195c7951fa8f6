r"""The cerebellum against published numbers: cells, wiring, activity, and plasticity.

The cells are those of the study `cerebellum_cells`. Circuits from several seeds give: numbers of
cells and of presynaptic cells; rates at rest in both conditions, with 4 Hz on each mossy fibre; the
response to a step of the mossy fibres; and the pause of Purkinje cells after one or five
climbing-fibre spikes, as published and with an increment of their adaptation current at each. The
rules of plasticity with an instructive signal are tested alone: the change of a weight by a single
pair of spikes at each lag beside the closed form, and the rate of climbing fibres at which weights
under Poisson trains do not drift, beside the derived one.

Source: De Schepper et al. 2022, doi:10.1038/s42003-022-04213-y, with the rates in the documentation
of the repository dbbs-lab/cerebellar-models, version 0.13.0; Geminiani et al. 2024,
doi:10.1371/journal.pcbi.1011277 (plasticity). Increments of adaptation: 0.22 and 1 nA, of the
repository eliasmateo95/CerebellarLoop, there for cells with a quarter of the capacitance.
Differs from it: circuits start at rest and settle for `settle` before rates are taken.
"""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from .._contracts import Result
from .._kit.file import working_folder
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
