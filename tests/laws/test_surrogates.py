"""Laws of surrogates: every file in `bridge/surrogates/`."""

import dataclasses

import numpy as np
import pytest
import torch

import mirrorneuron as mn
from mirrorneuron.errors import DomainError

MARGIN = 1e-4 * torch.arange(-50, 51, dtype=torch.float64)[None]


@pytest.mark.parametrize("name", mn.surrogates)
def test_a_surrogate_is_a_bell_at_threshold_that_scales_with_its_width(name: str) -> None:
    h = mn.surrogates[name](width=1e-3)
    y = h(MARGIN, 1e-3)
    assert y.shape == MARGIN.shape
    assert y.dtype == MARGIN.dtype
    assert h(MARGIN.float(), 1e-3).dtype == torch.float32
    assert (y >= 0).all()
    assert y.max() == y[0, 50] == h.peak
    assert torch.allclose(y, y.flip(1))
    assert torch.allclose(h(7 * MARGIN, 7e-3), y)


@pytest.mark.parametrize("name", mn.surrogates)
def test_a_surrogate_has_unit_mass_so_that_a_spike_is_a_smeared_step(name: str) -> None:
    x = torch.linspace(-np.pi / 2, np.pi / 2, 200_001, dtype=torch.float64)[1:-1]
    tails = torch.cos(x) ** -2  # x = tan(...), so that heavy tails are integrated to their ends
    mass = torch.trapezoid(mn.surrogates[name]()(torch.tan(x), 1.0) * tails, x)
    assert float(mass) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", mn.surrogates)
def test_neurons_of_one_group_may_differ_in_width(name: str) -> None:
    h, widths = mn.surrogates[name](), torch.tensor([1e-3, 2e-3], dtype=torch.float64)
    margin = torch.full((3, 2), 4e-4, dtype=torch.float64)
    assert torch.equal(h(margin, widths)[:, 1], h(margin[:, 1], 2e-3))


@pytest.mark.parametrize("name", mn.surrogates)
def test_a_surrogate_is_finite_far_away(name: str) -> None:
    far = torch.tensor([[-1e6, 1e6, 1e30]])
    y = mn.surrogates[name](width=1.0)(far, 1.0)
    assert torch.isfinite(y).all()
    assert (y < 1e-5).all()


@pytest.mark.parametrize("name", mn.surrogates)
def test_a_surrogate_holds_its_own_width_and_names_its_source(name: str) -> None:
    surrogate = mn.surrogates[name](width=2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        surrogate.width = 3.0  # type: ignore[misc]
    module = __import__(type(surrogate).__module__, fromlist=["_"])
    texts = [module.__doc__, *(getattr(f, "__doc__", "") or "" for f in vars(module).values())]
    assert any("doi:10." in str(text) for text in texts)


@pytest.mark.parametrize("factor", [0.0, -0.3, float("nan"), float("inf")])
def test_a_dampening_factor_is_positive_and_scales_the_shape(factor: float) -> None:
    plain, low = mn.Triangle(width=1e-3), mn.Triangle(width=1e-3, factor=0.3)
    assert torch.equal(low(MARGIN, 1e-3), 0.3 * plain(MARGIN, 1e-3))
    with pytest.raises(DomainError, match=r"height of the triangle .* factor=0\.3"):
        mn.Triangle(width=1e-3, factor=factor)
