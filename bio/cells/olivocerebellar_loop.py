"""Cells of an olivo-cerebellar loop: AdEx Purkinje and nuclear cells, olive in three compartments.

A complex spike is a step of the adaptation current, `climbing_fibre.connect(olive, purkinje, "cf",
delay=2*ms)`, after which the Purkinje cell pauses: to an E-GLIF cell the same happens with
`climbing_fibre_eglif`. The intrinsic current is the constant `I` of these cells; on it comes the
drive of parallel fibres. The time step of the source is 0.025 ms.

Source: Brette & Gerstner 2005 (equations and the nuclear cell's membrane),
doi:10.1152/jn.00686.2005; De Gruijl et al. 2012 (olive), doi:10.1371/journal.pcbi.1002814; zones of
Zhou et al. 2014, doi:10.7554/eLife.02536; the values of the repositories
eliasmateo95/CerebellarLoop and mablin7/cerebellum-jax.
Differs from it: the current of the nuclear cell is the first repository's; the second has 1.2 nA.
"""

from dataclasses import replace

from ..neurons.adex import adex
from ..neurons.inferior_olive import inferior_olive, nuclear_inhibition
from ..synapses._contracts import SynapseModel
from ._contracts import Cell, Family

climbing_fibre = SynapseModel(
    equations="",
    current="0*amp",
    on_pre="w_ad_post += w",
    parameters={},
    methods=adex.methods,
    weight="0.22*nA",
    source=str(__doc__),
)
climbing_fibre_eglif = replace(climbing_fibre, on_pre="I_adap_post += w")

_STEP = "0.025*ms"
_QUIET = {"I": "0*amp"}

olivocerebellar_loop = Family(
    cells={
        "purkinje": Cell(
            model=adex,
            values={**adex.variants["purkinje"], "I": "0.2*nA"},
            receptors={"cf": climbing_fibre},
            inputs={"climbing_fibre": "cf"},
            states={"z_plus": {"I": "0.05*nA"}, "z_minus": {"I": "0.35*nA"}},
            dt=_STEP,
        ),
        "nuclear": Cell(
            model=adex,
            values={**adex.variants["nuclear"], "I": "1.75*nA"},
            states={"jax": {"I": "1.2*nA"}},
            dt=_STEP,
        ),
        "olive": Cell(
            model=inferior_olive,
            values=_QUIET,
            receptors={"inh": nuclear_inhibition},
            inputs={"nuclear": "inh"},
            states=inferior_olive.variants,
            dt=_STEP,
        ),
    },
    source=str(__doc__),
)
