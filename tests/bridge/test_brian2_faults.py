"""What Brian2 finds wrong with a network: an error of ours, of its type too, with a remedy."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from brian2 import DimensionMismatchError, Network, NeuronGroup, Synapses, mV
from brian2.stateupdaters.base import UnsupportedEquationsException

import mirrorneuron as mn
from mirrorneuron.check import check_script
from mirrorneuron.errors import MirrorNeuronError, NetworkError, UnitError


def cells(equations: str, **settings: Any) -> Network:
    return Network(NeuronGroup(1, equations, name="cells", **settings))


def synapses(on_pre: str, connected: bool = True) -> Network:
    group = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    made = Synapses(group, group, "w : volt", on_pre=on_pre, name="syn")
    if connected:
        made.connect()
    return Network(group, made)


FAULTS: dict[str, tuple[Callable[[], Network], type[Exception], str]] = {
    "threshold": (
        lambda: cells("dv/dt = -v/(10*ms) : volt", threshold="v > 1", reset="v = 0*mV",
                      method="exact"),
        DimensionMismatchError,
        r"'cells_spike_thresholder', made in line \d+ of .*test_brian2_faults.py.*'v' has unit"
        r".*v > -50\*mV",
    ),
    "synapse": (lambda: synapses("v += w"), DimensionMismatchError, "'syn_pre'.*inconsistent unit"),
    "unknown name": (
        lambda: cells("dv/dt = -v/tau_mem : 1", method="euler", namespace={"tau_men": 10 * mV}),
        KeyError, r"'cells'.*\"tau_mem\" could not be resolved. Did you mean 'tau_men'\? Define",
    ),
    "unknown function": (
        lambda: cells("dv/dt = -foo(v)/ms : 1", method="euler"), KeyError, '"foo" could not be',
    ),
    "method": (
        lambda: cells("dv/dt = -v**2/ms : 1", method="exact"), UnsupportedEquationsException,
        "could not be separated into linear.*method='exponential_euler'",
    ),
    "name of a method": (
        lambda: cells("dv/dt = -v/ms : 1", method="foo"), ValueError, "one of Brian2's methods",
    ),
    "no synapses": (
        lambda: synapses("v += 1", connected=False), TypeError, r"Write syn\.connect\(\)",
    ),
    "no condition": (
        lambda: cells("v : 1", threshold="v + 1"), TypeError, "not a boolean.*a comparison",
    ),
    "arity": (
        lambda: cells("dv/dt = exp(v, v)/ms : 1", method="euler"), SyntaxError, "1 argument",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_brian2_finds_is_told_with_object_line_and_remedy(name: str) -> None:
    build, also, message = FAULTS[name]
    try:
        network = build()
    except also:
        return  # Brian2 says it when the object is made
    with pytest.raises(NetworkError, match=message) as caught:
        mn.mirror(network)
    error = caught.value
    assert isinstance(error, also) and isinstance(error, MirrorNeuronError)
    assert isinstance(error, UnitError) is (also is DimensionMismatchError)
    assert "See above" not in str(error)
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error) and str(arrived) == str(error)


def test_a_fault_that_brian2_finds_is_the_scripts(tmp_path: Any) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from brian2 import *\n"
        "G = NeuronGroup(4, 'dv/dt = (1.3 + boost - v)/(8*ms) : 1\\nhot = v > 0.7 : boolean\\n"
        "boost = 0.3*hot : 1', threshold='v > 1', reset='v = 0', method='euler')\nrun(50*ms)"
    )
    finding = check_script(script)
    assert (finding.status, finding.exit_code) == ("script_failed", 2)
    assert "Brian2 cannot prepare" in finding.reason and "int(...)" in finding.reason
