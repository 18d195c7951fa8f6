"""Gradients by default arguments have direction and size of what the network itself does.

`python benchmarks/gradients.py` prints the whole table, at every step, length and loss.
"""

import pytest
from gradient_networks import networks
from gradients import cases, measure, outside

AT_ONCE = ("theta", "layers", "conductance_lif", "exponential")


def law(name: str, trials: int) -> None:
    case = next(cases(name, quick=True))
    check, rates = measure(case, trials)
    assert not outside(networks[name], rates), rates
    assert check.verdict in ("trusted", "cannot be told"), f"{case}\n{check}"


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_gradient_by_default_arguments_is_trusted(name: str) -> None:
    law(name, trials=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in networks if name not in AT_ONCE])
def test_the_gradient_of_every_network_is_trusted(name: str) -> None:
    law(name, trials=8)


def test_the_networks_differ_in_steps_lengths_and_losses() -> None:
    assert len(networks) >= 14
    rows = [case for name in networks for case in cases(name)]
    assert {case.dt for case in rows} >= {0.1, 1.0}
    assert {case.length for case in rows} >= {100.0, 300.0}
    kinds = {case.loss.split()[0] for case in rows}
    assert kinds == {"rate", "filtered"}
    assert any(len(networks[case.name].rates) > 1 and case.loss.startswith("rate") for case in rows)
