"""Units at the border: quantities in, SI floats inside, quantities out."""

import numpy as np
import pytest
from brian2 import Hz, amp, farad, ms, mV, nS, ohm, second, siemens, volt
from hypothesis import given
from hypothesis import strategies as st

from mirrorneuron.errors import DomainError, UnitError
from mirrorneuron.units import Dimensions, parse_time, quantity, si

VOLT = Dimensions.of(volt)
NAMED = {"V": volt, "S": siemens, "ohm": ohm, "F": farad, "A": amp, "s": second, "Hz": Hz, "1": 1.0}


@pytest.mark.parametrize("name", NAMED)
def test_common_units_have_their_names(name: str) -> None:
    assert str(Dimensions.of(NAMED[name])) == name


def test_other_units_are_spelled_out() -> None:
    assert str(Dimensions.of(volt / second)) == "m^2 kg s^-4 A^-1"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5))
def test_a_quantity_returns_as_it_was(values: list[float]) -> None:
    given_ = np.array(values) * mV
    floats = si(given_, VOLT, "x")
    assert type(floats) is np.ndarray
    back = quantity(floats, VOLT)
    assert back.dim is given_.dim
    assert np.array_equal(np.asarray(back), np.asarray(given_))


@pytest.mark.parametrize("wrong", [1 * ms, 1.0, 0, 1 * nS, np.zeros(3)])
def test_another_unit_or_a_plain_number_is_refused_zero_included(wrong: object) -> None:
    with pytest.raises(UnitError, match=r"the width is .*, but has to be in \[V\]. Write a quant"):
        si(wrong, VOLT, "the width")


def test_a_pure_number_must_not_have_a_unit() -> None:
    assert si(0.5, Dimensions(), "x") == 0.5
    with pytest.raises(UnitError, match=r"in \[V\], but has to be in \[1\]. Write a plain number"):
        si(1 * mV, Dimensions(), "x")


def test_a_list_of_quantities_keeps_its_units() -> None:
    assert np.array_equal(si([1 * mV, 2 * mV], VOLT, "x"), [1e-3, 2e-3])
    with pytest.raises(UnitError, match=r"in \[V\], but has to be in \[1\]"):
        si([1 * mV], Dimensions(), "x")
    with pytest.raises(UnitError, match=r"in \[s\], but has to be in \[V\]"):
        si([[1 * mV], [2 * ms]], VOLT, "x")


@pytest.mark.parametrize("wrong", ["1.5", None, 1j, {}])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    with pytest.raises(DomainError, match=r"the width is .*, which is no number. Write a quantity"):
        si(wrong, VOLT, "the width")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("100ms", 0.1), ("2*second", 2.0), ("0.5 s", 0.5), (" 1e3 us ", 1e-3), ("250 ns", 2.5e-7)],
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert float(parse_time(text)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["100", "ms", "-3 ms", "0 s", "1e400 s", "3 mV", "3 ms; x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DomainError, match=r"is not a duration\. Write a positive one: 100ms"):
        parse_time(text)
