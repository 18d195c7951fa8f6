"""Interrupt a training and go on from its checkpoint, bit for bit: python examples/resume.py."""

import sys
import tempfile

from brian2 import Hz, Network, NeuronGroup, ms, mV, prefs

import mirrorneuron as mn

prefs.codegen.target = "numpy"
HALF, WHOLE = (2, 4) if "--quick" in sys.argv else (10, 20)


def model() -> mn.Mirror:
    """A mirror of noisy neurons."""
    cells = NeuronGroup(
        5,
        """dv/dt = (-60*mV + drive - v)/(20*ms) + 3*mV*sqrt(1/(20*ms))*xi : volt
           drive : volt (constant)""",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        method="euler",
        name="cells",
    )
    cells.v, cells.drive = -60 * mV, 12 * mV
    return mn.mirror(Network(cells), train=["cells.drive"])


task = mn.Task(100 * ms, mn.losses.rate("cells", 40 * Hz))
with tempfile.TemporaryDirectory() as folder:
    mn.fit(model(), task, steps=HALF, checkpoint=folder)
    resumed = mn.fit(model(), task, steps=WHOLE, checkpoint=folder)
whole = mn.fit(model(), task, steps=WHOLE)
print("the same losses:", resumed.losses == whole.losses)
