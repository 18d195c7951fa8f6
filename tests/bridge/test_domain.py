"""Domain: values that cannot be are refused; values that are hardly meant are said once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    Synapses,
    TimedArray,
    ms,
    mV,
    nA,
    nS,
    pF,
)

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, DomainWarning

MEMBRANE = """dv/dt = (gL*(E - v) + gL*D*exp((v - E)/D) + I)/C : volt
              gL : siemens (constant)
              E : volt (constant)
              D : volt (constant)
              C : farad (constant)
              I : amp"""


def membrane(**values: Any) -> Network:
    group = NeuronGroup(2, MEMBRANE, method="euler", name="cells")
    right = {"gL": 10 * nS, "E": -60 * mV, "D": 2 * mV, "C": 200 * pF, "I": 0 * nA}
    for name, value in {**right, **values}.items():
        setattr(group, name, value)
    group.v = "E"
    return Network(group)


def refractory(text: str, **values: Any) -> Network:
    group = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : 1 (unless refractory)\nr : second", threshold="v > 1",
        reset="v = 0", refractory=text, method="euler", name="cells",
        namespace={"least": -1 * ms},
    )  # fmt: skip
    for name, value in values.items():
        setattr(group, name, value)
    return Network(group)


def fed(rate: Any) -> Network:
    group = NeuronGroup(2, "v : 1", name="cells")
    return Network(group, PoissonInput(group, "v", 10, rate, weight=0.1))


def played(values: Any) -> Network:
    wave = TimedArray(values, dt=1 * ms, name="wave")
    return Network(PoissonGroup(2, "wave(t)", name="noise", namespace={"wave": wave}))


REFUSED: dict[str, tuple[Callable[[], Network], str]] = {
    "capacitance": (lambda: membrane(C=[200, -200] * pF), r"cells\.C is -2e-10 at element 1 F"),
    "capacitance never set": (lambda: membrane(C=0 * pF), r"cells\.C is 0.*never set is 0"),
    "slope factor": (lambda: membrane(D=[2, 0] * mV), r"cells\.D is 0 at element 1, and equations"),
    "refractory period": (lambda: refractory("r", r=-2 * ms), r"cells\.r is -0.002 at element 0 s"),
    "refractory constant": (lambda: refractory("least"), r"cells\.least is -0.001 s"),
    "rate": (lambda: Network(PoissonGroup(3, -10 * Hz, name="noise")), r"noise\.rates is -10"),
    "rate of an input": (lambda: fed(-5 * Hz), r"poissoninput\w*\.rate is -5 Hz"),
    "probability of an input": (lambda: fed(20000 * Hz), "between 0 and 10000 Hz"),
    "rate in a table": (lambda: played([10, -10] * Hz), "TimedArray 'wave' is -10 at element 1"),
    "NaN in a table": (lambda: played([10, np.nan] * Hz), "TimedArray 'wave' is nan at index 1"),
    "an infinite term": (
        lambda: Network(
            NeuronGroup(2, "dv/dt = (E - v)/(9*ms) : 1", method="euler", name="cells",
                        namespace={"E": np.inf})
        ),
        r"cells\.E is inf, and the equations of 'cells' add or multiply it",
    ),
    "infinity in a table": (lambda: played([10, np.inf] * Hz), "'wave' is inf at index 1"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of Brian2, which goes on
@pytest.mark.parametrize("case", REFUSED)
def test_a_value_that_cannot_be_is_refused_by_name(case: str) -> None:
    build, message = REFUSED[case]
    with pytest.raises(DomainError, match=message):
        mn.mirror(build())


def delayed(delay: Any) -> Network:
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    synapses = Synapses(group, group, on_pre="v += 0.1", name="syn")
    synapses.connect()
    synapses.delay = delay
    return Network(group, synapses)


SAID: dict[str, tuple[Callable[[], Network], str]] = {
    "probability": (
        lambda: Network(PoissonGroup(3, 50000 * Hz, name="noise")),
        r"noise\.rates is 50000 at element 0 Hz.*at most once a step of 0.1 ms",
    ),
    "conductance": (lambda: membrane(gL=-10 * nS), r"cells\.gL is -1e-08 at element 0 S"),
    "delay": (
        lambda: delayed(0.17 * ms),
        r"'syn_pre' is 0.17 ms, which is 1.7 steps.*rounds it to 0.2 ms.*multiple of dt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_a_value_that_is_hardly_meant_is_said_once(case: str) -> None:
    build, message = SAID[case]
    with pytest.warns(DomainWarning, match=message) as caught:
        model = mn.mirror(build())
    (only,) = (w for w in caught if issubclass(w.category, DomainWarning))
    assert only.filename == __file__
    model.run(1 * ms)


def test_delays_that_are_on_the_grid_or_drawn_are_not_remarked_on() -> None:
    mn.mirror(delayed(0.3 * ms))
    mn.mirror(delayed(np.linspace(0, 1, 9) * ms))
    mn.mirror(membrane())


def test_infinity_is_no_fault_where_it_has_a_meaning() -> None:
    cells = NeuronGroup(
        2, "dv/dt = clip(1 - v, -3, most)/(9*ms) - v/slow : 1", threshold="v > high",
        reset="v = 0", method="euler", name="cells",
        namespace={"most": np.inf, "high": np.inf, "slow": np.inf * ms},
    )  # fmt: skip
    assert mn.mirror(Network(cells)).run(1 * ms).state["cells.v"].isfinite().all()
