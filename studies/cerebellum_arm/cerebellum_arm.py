r"""A cerebellum of spiking cells learns to correct an arm that is pushed by a force field.

A forearm with two Hill-type muscles follows a sine. Its controller knows the arm without the field.
From one trial on a field slows the movement, and after many trials it is switched off again. The
projecting nuclear cells of two microzones of the cerebellum add to the torque. Mossy fibres carry
the plan, and climbing fibres the error of the movement, as a rate near 1 Hz. Only the weights of
parallel fibres on Purkinje cells change. Arm, controller and cerebellum are one Brian2 Network (see
`_loop`), compiled: no Python runs between steps.

Judged are: the RMS error over the last `judged` trials of the field relative to that of the same
network without plasticity, which should be halved; the first `after` trials without the field,
where the error should be on the other side; and the rate of the olive. The side of an error is its
projection on the effect of the field without plasticity (mean error of trials with the field minus
that of trials before), in units of the RMS of that effect. Controls: no plasticity, and plasticity
with the output of the cerebellum cut. Their trials repeat, so that fewer of them are run.

Protocol: force fields that come and go, and after-effects: Shadmehr & Mussa-Ivaldi 1994,
doi:10.1523/JNEUROSCI.14-05-03208.1994. Circuit: De Schepper et al. 2022,
doi:10.1038/s42003-022-04213-y. Two microzones that pull to opposite sides, and the plasticity:
Geminiani et al. 2024, doi:10.1371/journal.pcbi.1011277. None of them has this loop: plan, field,
controller, gains and targets are ours.

How the settings were found: on network 101, and the gain of the output on network 0 too. What
limited learning was, in turn: broadly tuned mossy fibres without a map, from which granule cells
could hardly tell the phase of a movement; an olive that errors drove to several times its
spontaneous rate, so that all weights decreased together; nuclear cells, which follow slow changes
of their Purkinje cells by only a quarter, and with a lead, so that the filter of their rate has to
be slow; and random fluctuations of the climbing fibres, which change the mean rates of zones from
trial to trial, so that only deviations from the usual rate may command. The field lasts 120 trials:
with 50 and with 80 trials, at a gain a third larger, the mean error of networks 1 to 5 was just
halved and still decreasing, in two of them by less than half. Most of the remaining error is noise:
of few nuclear cells, multiplied by the gain, and of weights, which fluctuate more when they learn
faster (twice the rate left more error on networks 101 and 0).
"""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brian2 import second

from mirrorneuron import Simulation, simulate

from .._contracts import Result, Study
from .._kit.file import cached, working_folder
from ._loop import Loop
from ._report import CUT, LEARNT, NAMES, STILL, Findings, Run, report

SAMPLE = 5e-3
RECORDED = ("joints.angle", "nuclei.rate")
SPIKES = ("errors", "purkinje", "dcn_p", "dcn_i", "olive")


@dataclass(frozen=True)
class CerebellumArm(Study):
    """See the module's docstring.

    Arguments:
        seeds: Number of networks, from `seed` + 1 on: 0 served to find the settings.
        loop: The network; its own seed is not used.
        trials: With plasticity.
        control: Trials with the field in the controls.
        judged: Trials at the end of the field that count.
        after: First trials after the field that count.
        backend: Of `simulate`.
    """

    title = "a spiking cerebellum learns to correct an arm in a force field"
    seeds: int = 5
    loop: Loop = field(default_factory=Loop)
    trials: int = 128
    control: int = 5
    judged: int = 5
    after: int = 2
    backend: str = "cpp"

    def quick(self) -> "CerebellumArm":
        """One network, smaller than small, that learns fast: all of it runs."""
        loop = replace(self.loop, scale=0.02, start=2, stop=8, rate=4 * self.loop.rate)
        return replace(self, seeds=1, loop=loop, trials=10, control=3, judged=2)

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Run each network with plasticity and as a control; those done before are read.

        What is compiled for one run is used by the next.
        """
        folder, seeds = working_folder(out / "runs", resume), range(1, 1 + self.seeds)
        runs = {
            name: [self.one(name, self.seed + k, folder, progress) for k in seeds] for name in NAMES
        }
        shutil.rmtree(folder / "build", ignore_errors=True)
        return report(out, Findings(runs=runs, judged=self.judged, after=self.after), str(__doc__))

    def one(self, name: str, seed: int, folder: Path, progress: bool) -> Run:
        """A run, read where it was done with the same settings."""
        loop = self.variant(name, seed)
        trials = self.trials - self.loop.stop + loop.stop

        def run() -> Simulation:
            if progress:
                print(f"{name}, network {seed}: {trials} trials")
            return simulate(
                loop.network, trials * loop.period * second, self.backend, record=RECORDED,
                spikes=SPIKES, interval=SAMPLE * second, directory=folder / "build", seed=seed,
                namespace={}, report="auto" if progress else None,
            )  # fmt: skip

        path = folder / f"{name.replace(' ', '-')}-{seed}.npz"
        settings = f"{loop!r}, {trials} trials, {self.backend}\n"
        return Run(name=name, loop=loop, simulation=cached(path, run, Simulation.load, settings))

    def variant(self, name: str, seed: int) -> Loop:
        """The network of a run."""
        loop, short = replace(self.loop, seed=seed), self.loop.start + self.control
        changes: dict[str, dict[str, Any]] = {
            LEARNT: {},
            STILL: {"rate": 0.0, "stop": short},
            CUT: {"gain": 0.0, "stop": short},
        }
        return replace(loop, **changes[name])
