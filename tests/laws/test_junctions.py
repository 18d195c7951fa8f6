"""Laws of the electrical synapses: each holds for every file in `bio/junctions/`."""

import re

import numpy as np
import pytest
from brian2 import Network, ms, nS, pA

from mirrorneuron.bio import JunctionModel, junctions, neurons, synapses
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

EVERY = pytest.mark.parametrize("junction", junctions.values(), ids=junctions)


@EVERY
def test_no_current_flows_between_equal_cells_and_a_deflection_is_shared(
    junction: JunctionModel,
) -> None:
    """Two cells of leak g_L share at the ratio g/(g + g_L), in either direction."""
    for driven in (0, 1):
        cells = neurons["lif"].group(4, receptors={"gap": junction})
        coupled = junction.couple(cells, "gap", [0], [1], g=2 * nS)
        network = Network(cells, coupled)
        network.run(20 * ms)
        assert np.allclose(cells.I_gap / pA, 0)
        rest = np.asarray(cells.v)
        cells.I[driven] = -50 * pA
        network.run(300 * ms)
        moved = np.asarray(cells.v) - rest
        leak = float(1 / cells.R[0] / nS)
        assert moved[1 - driven] / moved[driven] == pytest.approx(2 / (2 + leak), rel=1e-3)
        assert np.allclose(moved[2:], 0)


@EVERY
def test_pairs_are_joined_both_ways_with_one_conductance_or_one_each(
    junction: JunctionModel,
) -> None:
    cells = neurons["lif"].group(3, receptors={"gap": junction})
    made = junction.couple(cells, "gap", [0, 1], [1, 2], g=[1, 2] * nS, name="j")
    assert (list(made.i), list(made.j)) == ([0, 1, 1, 2], [1, 2, 0, 1])
    assert np.allclose(made.g / nS, [1, 2, 1, 2])
    assert len(junction.couple(cells, "gap", [0], [1])) == 2


@EVERY
def test_junctions_without_meaning_are_refused(junction: JunctionModel) -> None:
    cells = neurons["lif"].group(3, name="cells", receptors={"gap": junction})
    other = neurons["lif"].group(3, receptors={"gap": synapses["alpha_current"]})
    with pytest.raises(UnknownName, match="has no receptor 'gap' of this kind"):
        junction.couple(other, "gap", [0], [1])
    with pytest.raises(DomainError, match="cell 1 is paired with itself"):
        junction.couple(cells, "gap", [0, 1], [1, 1])
    with pytest.raises(ShapeError, match=r"i has shape \(2,\) and j \(1,\)"):
        junction.couple(cells, "gap", [0, 1], [1])
    with pytest.raises(ShapeError, match="one value of g for each of 1"):
        junction.couple(cells, "gap", [0], [1], g=[1, 2] * nS)
    with pytest.raises(DomainError, match="g has to be >= 0"):
        junction.couple(cells, "gap", [0], [1], g=-1 * nS)
    with pytest.raises(UnitError, match="need g in siemens"):
        junction.couple(cells, "gap", [0], [1], g=1 * pA)


@EVERY
def test_the_source_is_told(junction: JunctionModel) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", junction.source, re.DOTALL)
    assert "Differs from it:" in junction.source
