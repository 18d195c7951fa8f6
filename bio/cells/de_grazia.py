r"""The E-GLIF cells of the circuit with AMPA, NMDA and GABA kernels (De Grazia et al.), membranes.

The threshold is deterministic, $v > V_{th}$; the cells of the source start anywhere between $E_L$
and $V_{th}$, here at $E_L$.

Source: De Grazia et al. 2026, table 2, doi:10.64898/2026.05.12.724100, as in the repository
dbbs-lab/cerebellar-models, version 0.13.0.
Differs from it: membranes alone; its receptors, two cascades each, are not here. The leak has the
sign of the published implementation, +1: see `neurons["eglif"]`. Its rates are claimed for windows
soon after the start, in which the cells still settle.
"""

from ..neurons.eglif import eglif
from ._contracts import Cell, Family

# fmt: off
_COLUMNS = (
    ("C_m", "*pF"), ("tau_m", "*ms"), ("E_L", "*mV"), ("V_th", "*mV"), ("V_r", "*mV"),
    ("t_ref", "*ms"), ("I_e", "*pA"), ("k_adap", "*nS/ms"), ("k_1", "/ms"), ("k_2", "/ms"),
    ("A_1", "*pA"), ("A_2", "*pA"), ("V_min", "*mV"),
)
_TABLE = {
    "granule": (7, 24.15, -62, -41, -70, 1.5, 4.91440429,
                0.0674649911, 0.160414416, 0.0414078675, 20.7431115, 4.19514902, -150),
    "golgi": (145, 44, -62, -55, -75, 2, 24.4852142,
              0.109735328, 0.0683128131, 0.0227272727, 345.470597, 94.1994892, -150),
    "purkinje": (334, 47, -59, -43, -69, 0.5, 158.593058,
                 0.48076993, 0.28824918, 0.0349556981, 1945.21048, 4.96267424, -350),
    "basket": (14.6, 9.125, -68, -53, -78, 1.59, 5.23364848,
               0.175351132, 0.160933867, 0.114145752, 192.424895, 128.46231, -150),
    "stellate": (14.6, 9.125, -68, -53, -78, 1.59, 11.1483395,
                 0.175342466, 0.157277744, 0.112298188, 209.486707, 163.997824, -150),
}
# fmt: on


def _cell(row: tuple[float | int, ...]) -> Cell:
    pairs = zip(_COLUMNS, row, strict=True)
    values = {column: f"{x}{unit}" for (column, unit), x in pairs}
    return Cell(model=eglif.with_threshold("deterministic"), values={**values, "v": values["E_L"]})


de_grazia = Family(cells={name: _cell(row) for name, row in _TABLE.items()}, source=str(__doc__))
