"""Law: Brian2's compiled code gives the same spikes and weights as Brian2 in Python.

The stepper and GeNN are compared on the same networks, and more, in `test_genn_networks.py`.
"""

import numpy as np
import pytest
from networks import networks

import mirrorneuron as mn

NAMES = [name for name in networks if name.startswith(("rule_", "cerebellum_", "release"))]


@pytest.mark.slow
@pytest.mark.timeout(900)  # of the circuit, some sixty functions are compiled
@pytest.mark.parametrize("name", NAMES)
def test_circuits_and_rules_are_the_same_compiled(name: str) -> None:
    entry = networks[name]
    one, other = (
        mn.simulate(entry.build, entry.duration, backend, seed=entry.seed, report=None, **options)
        for backend, options in (("runtime", {"target": "numpy"}), ("cpp", {}))
    )
    assert sum(len(spikes.step) for spikes in one.spikes.values()) >= entry.spikes
    for group, spikes in one.spikes.items():
        np.testing.assert_array_equal(other.spikes[group].step, spikes.step, err_msg=group)
        np.testing.assert_array_equal(other.spikes[group].index, spikes.index, err_msg=group)
    weights = [key for key in one.final if key.endswith(".w")]
    assert weights
    for key in weights:
        scale = np.abs(one.final[key]).max()
        np.testing.assert_allclose(
            other.final[key], one.final[key], rtol=0, atol=1e-9 * scale, err_msg=key
        )
