"""Stability: the largest safe time step, against the one at which Brian2's own runs blow up."""

import warnings
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, ms, mV, nA, nF, prefs, second, uS

import mirrorneuron as mn
from mirrorneuron.bridge.read import read
from mirrorneuron.bridge.stability import limits
from mirrorneuron.errors import DomainWarning


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


LINEAR = "dv/dt = -v/(1*ms) : 1"
OSCILLATOR = "dv/dt = (-0.2*v - 3*w)/ms : 1\ndw/dt = (3*v - 0.2*w)/ms : 1"
STIFF = "dv/dt = (w - v)/(20*ms) : 1\ndw/dt = -w/(0.3*ms) : 1"
CABLE = """dv/dt = (-v + 4*(w - v))/(2*ms) : 1
           dw/dt = (-w + 4*(v - w) + 4*(u - w))/(2*ms) : 1
           du/dt = (-u + 4*(w - u))/(2*ms) : 1"""
NONLINEAR = "dv/dt = -sinh(3*v)/(1*ms) : 1"
MEMBRANE = "dv/dt = (0.02*uS*(-60*mV - v) + 0.4*uS*(-v))/(0.2*nF) : volt"
MODELS: dict[str, tuple[str, str]] = {
    "linear, euler": (LINEAR, "euler"),
    "linear, rk2": (LINEAR, "rk2"),
    "linear, rk4": (LINEAR, "rk4"),
    "linear, heun": (LINEAR, "heun"),
    "oscillator, euler": (OSCILLATOR, "euler"),
    "oscillator, rk2": (OSCILLATOR, "rk2"),
    "oscillator, rk4": (OSCILLATOR, "rk4"),
    "two time scales, euler": (STIFF, "euler"),
    "three compartments, euler": (CABLE, "euler"),
    "three compartments, rk4": (CABLE, "rk4"),
    "nonlinear, euler": (NONLINEAR, "euler"),
    "membrane, euler": (MEMBRANE, "euler"),
    "chosen by Brian2": (NONLINEAR, ""),
}


def group(name: str, dt: float) -> Any:
    equations, method = MODELS[name]
    chosen = {"method": method} if method else {}
    names = {"mV": mV, "uS": uS, "nF": nF, "ms": ms}
    made = NeuronGroup(2, equations, dt=dt * second, name="g", namespace=names, **chosen)
    for variable in made.equations.diff_eq_names:
        setattr(made, variable, 1e-3 * (mV if "volt" in equations else 1))
    return made


def grows(name: str, dt: float) -> bool:
    """Whether a deviation grows in Brian2's own run, that of two copies from each other."""
    made = group(name, dt)
    for variable in made.equations.diff_eq_names:
        made.variables[variable].get_value()[1] *= 1 + 1e-3

    def apart() -> float:
        names = made.equations.diff_eq_names
        return float(np.linalg.norm([np.diff(made.variables[n].get_value()) for n in names]))

    first = apart()
    Network(made).run(400 * dt * second, namespace={})
    return not apart() < first


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("name", MODELS)
def test_the_largest_safe_step_is_that_of_brian2_within_a_fifth(name: str) -> None:
    (limit,) = limits(read(Network(group(name, 1e-5)), {})[0])
    assert 0 < limit.largest < np.inf
    assert not grows(name, limit.largest / 1.2)
    assert grows(name, limit.largest * 1.2)


def test_a_step_beyond_it_is_said_at_conversion_with_the_largest_safe_one() -> None:
    with pytest.warns(DomainWarning, match=r"'g' is integrated by 'euler' with dt = 2.1 ms.*"
                      r"largest stable dt is 2 ms.*exponential_euler"):  # fmt: skip
        mn.mirror(Network(group("linear, euler", 2.1e-3)))


@pytest.mark.parametrize("method", ["exact", "exponential_euler"])
def test_what_is_stable_at_any_step_is_not_remarked_on(method: str) -> None:
    cells = NeuronGroup(1, LINEAR, method=method, dt=5 * ms)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DomainWarning)
        mn.mirror(Network(cells))
        mn.mirror(Network(group("linear, euler", 1.9e-3)))


def test_what_grows_in_the_model_is_no_fault_of_the_step() -> None:
    cells = NeuronGroup(1, "dv/dt = v/(1*ms) + I/nA/ms : 1\nI : amp", method="euler", dt=1 * ms,
                        namespace={"nA": nA, "ms": ms})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", DomainWarning)
        mn.mirror(Network(cells))
