"""Weights as tables and matrices, there and back."""

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, Quantity, Synapses, mV, nS

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName


def model(twice: bool = False, single: bool = False) -> mn.Mirror:
    cells = NeuronGroup(3, "dv/dt = -v/(10*ms) : volt\nE : volt", threshold="v > 10*mV + E",
                        reset="v = 0*mV", method="exact", name="cells")  # fmt: skip
    more = NeuronGroup(4, "dv/dt = -v/(10*ms) : volt", method="exact", name="more")
    shared = " (shared)" if single else ""
    ee = Synapses(cells, more, f"w : volt{shared}", on_pre="v += w", name="ee")
    ee.connect(i=[2, 0, 1, 0], j=[3, 1, 0, 0])
    if twice:
        ee.connect(i=[2], j=[3])
    ee.w = 4 * mV if single else np.arange(1, len(ee) + 1) * mV
    return mn.mirror(Network(cells, more, ee), train={"ee.w": mn.Bounded(0 * mV, 20 * mV)},
                     dtype=torch.float64)  # fmt: skip


MATRIX = np.array([[4, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1]]) * mV


def test_weights_are_a_table_and_a_matrix_with_units() -> None:
    made = model()
    found = mn.weights(made, "ee.w")
    i, j, value = found
    assert list(i) == [2, 0, 1, 0] and list(j) == [3, 1, 0, 0] and len(found) == 4
    assert isinstance(value, Quantity) and np.array_equal(value / mV, [1, 2, 3, 4])
    assert np.array_equal(found.matrix() / mV, MATRIX / mV)
    assert np.isnan(found.matrix(np.nan) / mV).sum() == 8
    with torch.no_grad():
        made.parameter("ee.w").mul_(2)
    assert np.allclose(mn.weights(made, "ee.w").value / mV, [2, 4, 6, 8], rtol=1e-15)


def test_a_matrix_and_a_table_in_any_order_set_them(rng: np.random.Generator) -> None:
    made = model()
    mn.set_weights(made, "ee.w", 2 * MATRIX)
    assert np.allclose(mn.weights(made, "ee.w").matrix() / mV, 2 * MATRIX / mV, rtol=1e-15)
    i, j, value = mn.weights(made, "ee.w")
    order = rng.permutation(4)
    mn.set_weights(made, "ee.w", (i[order], j[order], 0.5 * value[order]))
    assert np.allclose(mn.weights(made, "ee.w").matrix() / mV, MATRIX / mV, rtol=1e-15)
    mn.set_weights(made, "ee.w", mn.weights(made, "ee.w"))
    mn.set_weights(made, "ee.w", 100 * MATRIX)
    assert np.allclose(mn.weights(made, "ee.w").value / mV, 20), "moved to the border"


def test_several_synapses_of_a_pair_have_a_table_and_no_matrix() -> None:
    made = model(twice=True)
    i, j, value = mn.weights(made, "ee.w")
    mn.set_weights(made, "ee.w", (i, j, value))
    assert np.allclose(mn.weights(made, "ee.w").value / mV, [1, 2, 3, 4, 5], rtol=1e-15)
    for ask in (lambda: mn.weights(made, "ee.w").matrix(),
                lambda: mn.set_weights(made, "ee.w", MATRIX)):  # fmt: skip
        with pytest.raises(ShapeError, match=r"ee\.w: from 2 to 3 there are 2 synapses"):
            ask()


def test_wrong_weights_are_refused_and_nothing_changes() -> None:
    made = model()
    i, j, value = mn.weights(made, "ee.w")
    more = np.array(MATRIX) * 1.0
    more[1, 1] = 1e-3
    nan = np.array(MATRIX) * np.nan
    wrong = [
        (
            np.zeros((2, 2)) * mV,
            ShapeError,
            r"the shape \(2, 2\), expected \(pre, post\) = \(3, 4\)",
        ),
        (Quantity(more, dim=mV.dim), ShapeError, r"from 1 to 1, where there is no synapse"),
        (Quantity(nan, dim=mV.dim), DomainError, r"from 2 to 3 is nan"),
        (
            np.zeros((3, 4)) * nS,
            UnitError,
            r"(?s)the matrix is .* in \[S\], but has to be in \[V\]",
        ),
        (np.zeros((3, 4)), UnitError, r"a plain number"),
        ((i[:3], j[:3], value[:3]), ShapeError, r"the table has 3 rows \(i, j\) and 3 values"),
        ((i, j[::-1], value), ShapeError, r"which are not the 4 synapses"),
        ((i, j), ShapeError, r"a table is three columns"),
    ]
    for given, kind, message in wrong:
        with pytest.raises(kind, match=message):
            mn.set_weights(made, "ee.w", given)
    assert np.array_equal(mn.weights(made, "ee.w").value / mV, [1, 2, 3, 4])


def test_what_has_no_edges_is_refused() -> None:
    made = model()
    with pytest.raises(DomainError, match=r"'cells' are no synapses, so that v has no \(i, j\)"):
        mn.weights(made, "cells.v")
    with pytest.raises(UnknownName, match=r"Did you mean 'ee\.w'"):
        mn.weights(made, "ee.ww")
    shared = model(single=True)
    assert np.allclose(mn.weights(shared, "ee.w").value / mV, 4)
    with pytest.raises(ShapeError, match=r"one value for all synapses"):
        mn.set_weights(shared, "ee.w", MATRIX)
