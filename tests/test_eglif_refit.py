"""The parts of the study `eglif_refit`: expected intervals, led runs, and their gradients."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mirrorneuron.studies.eglif._fit import FRESH, OWN, Lead, Objective, Settings, text_of
from mirrorneuron.studies.eglif.eglif_refit import (
    CLAIMS,
    KINDS,
    PUBLISHED,
    EglifRefit,
    physiological,
)

FEW = Settings(copies=4)


def objective(name: str = "purkinje", **changes: Any) -> Objective:
    start = physiological(PUBLISHED[name])
    made = Objective(name.replace(" ", "_"), start, CLAIMS[name], OWN, FEW)
    return replace(made, **changes)


def constant_hazard(made: Objective, hazard: float, steps: int = 2000) -> tuple[Any, Lead]:
    """Logarithms of one hazard in every step, all cells having spiked before the first."""
    log = torch.full((steps, len(made.given)), float(np.log(hazard * made.dt)), dtype=torch.float64)
    lead = Lead(torch.zeros(1, 1, 1), np.full(len(made.given), -1), {})
    return log.requires_grad_(), lead


@pytest.mark.parametrize("hazard", [1e-30, 1e-6, 1.0, 20.0, 400.0])
def test_of_a_constant_hazard_the_rate_is_that_hazard(hazard: float) -> None:
    """Also where the window ends long before the spike, and with a gradient of one there."""
    made = objective()
    log, lead = constant_hazard(made, hazard)
    rates = made.log_rates(log, lead)
    assert rates.exp().tolist() == pytest.approx(
        [(1 - np.exp(-hazard * made.dt)) / made.dt] * len(rates), rel=3e-3
    )
    rates[0].backward()
    assert float(log.grad.sum()) == pytest.approx(1.0, rel=0.05)


def test_a_spike_is_well_placed_where_the_hazard_rises_at_the_claimed_interval() -> None:
    made = objective()
    log, _ = constant_hazard(made, 1e-9)
    at = round(made.period / made.dt)

    def placed(step: int) -> float:
        risen = log.detach().clone()
        risen[step : step + 20] = 3.0
        return float(made.misplaced(risen))

    early, well, late = (placed(step) for step in (at // 2, at, 2 * at))
    assert well < 0.05
    assert early > 1
    assert late > 1


def test_a_led_run_has_the_potential_of_the_free_one_up_to_its_last_spike() -> None:
    made = objective()
    lead = made.lead(3)
    with torch.no_grad():
        steps = made.before
        free = made.model.run_steps(
            steps, made.drive(0, steps), state=lead.state, record=["purkinje.v"]
        )
        led = made.model.run_steps(
            made.before + made.after, made.led(lead), state=lead.state, record=["purkinje.v"]
        )
    for copy in range(2 * FEW.copies):
        stop = min(lead.last[copy] + 1, steps)
        assert torch.equal(free["purkinje.v"][:stop, 0, copy], led["purkinje.v"][:stop, 0, copy])
        assert lead.spikes[lead.last[copy] + 1 :, 0, copy].sum() == 0
    fresh = slice(FRESH * FEW.copies, (FRESH + 1) * FEW.copies)
    assert np.all(lead.last[fresh] == -1)
    assert led["purkinje.v"][0, 0, fresh].tolist() == pytest.approx([-59e-3] * FEW.copies)


def test_the_gradient_of_the_rates_is_that_of_central_differences() -> None:
    made = objective("nuclear")
    lead, key = made.lead(1), "nuclear.v"

    def rates() -> Any:
        run = made.model.run_steps(
            made.before + made.after, made.led(lead), state=lead.state, record=[key]
        )
        return made.log_rates(made.hazards(run, lead), lead)

    rates()[[0, -1]].sum().backward()
    for name in ("I_e", "k_2", "A_2"):
        parameter = made.model.parameter(f"nuclear.{name}")
        here = parameter.item()
        step = 1e-5 * here
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.fill_(here + sign * step)
                sides.append(float(rates()[[0, -1]].sum()))
                parameter.fill_(here)
        numeric = (sides[0] - sides[1]) / (2 * step)
        assert float(parameter.grad) == pytest.approx(numeric, rel=1e-5), name


def test_expected_rates_are_those_of_the_free_cells_in_brian2() -> None:
    """Of the published constants with the sign -1, which give 39.3 Hz."""
    made = objective(settings=Settings(copies=24))
    errors = made.missed(5)
    assert 45.6 * np.exp(float(errors["rate"])) == pytest.approx(39.3, rel=0.03)
    assert float(errors["start"]) == 0


def test_a_cell_that_only_has_to_be_silent_is_left_alone() -> None:
    assert objective("olive").idle()
    assert not objective().idle()
    driven = physiological(PUBLISHED["olive"])
    loud = replace(driven, values={**driven.values, "I_e": "2000*pA"})
    assert not objective("olive", cell=loud).idle()


def test_a_state_shares_with_its_cell_what_it_does_not_have_of_its_own() -> None:
    base = physiological(PUBLISHED["purkinje"])
    base = replace(base, values={**base.values, "k_1": "0.2/ms", "I_e": "1*pA"})
    awake = physiological(PUBLISHED["purkinje awake"], base)
    assert (awake.values["k_1"], awake.values["I_e"]) == ("0.2/ms", "700*pA")
    assert awake.values["tau_V"] == "3.5*mV"
    assert awake.values["leak_sign"] == "-1"


def test_what_is_written_is_what_brian2_holds() -> None:
    made = objective()
    with torch.no_grad():
        made.model.parameter("purkinje.k_1").fill_(123.456)
    made.model.write_back()
    assert made.written()["k_1"] == "0.12346/ms"
    assert made.written()["I_e"] == "590*pA"
    assert text_of("k_adap", 1.5e-6) == "1.5*nS/ms"


def test_every_kind_that_claims_something_is_fitted() -> None:
    alike = {"stellate"}  # to basket
    assert set(KINDS) == {n for n, cell in PUBLISHED.items() if cell.claims} - alike
    assert EglifRefit().kinds == KINDS
