r"""Anatomy of the mouse cerebellar cortex, its nuclei and the olive: layers, cells, pathways.

A column of 300 µm along the parallel fibres (x) by 200 µm across them (y): granular layer of
130 µm, Purkinje layer of 15, molecular layer of 50 (basket) and 100 µm (stellate cells). Nuclei,
200 µm deep, and olive lie below the same footprint.

Source: De Schepper et al. 2022 (circuit), doi:10.1038/s42003-022-04213-y, with densities,
affinities, weights and delays as in the repository dbbs-lab/cerebellar-models, version 0.13.0, and
pairs of a target counted in a reconstruction of its configuration; the weights go back to Geminiani
et al. 2019, doi:10.3389/fncom.2019.00068, and Geminiani et al. 2024,
doi:10.1371/journal.pcbi.1011277. Densities: glomeruli of Solinas et al. 2010,
doi:10.3389/fncel.2010.00012; mossy fibres of Billings et al. 2014,
doi:10.1016/j.neuron.2014.07.020; granule, Golgi, basket and stellate cells of Casali et al. 2019,
doi:10.3389/fninf.2019.00037; Purkinje cells of Keller et al. 2018, doi:10.3389/fnana.2018.00083;
nuclear cells of Erö et al. 2018, doi:10.3389/fninf.2018.00084.
Differs from it: pairs come from boxes and spheres, not from intersecting voxels of morphologies;
their p is the published affinity, and their extents are ours, chosen so that a target has the
published number of sources; the depth over which dendrites meet parallel fibres is that of the
repository's morphologies. A parallel fibre reaches 300 µm to both sides, which is all of the
column; in an animal it is millimetres. A glomerulus is no cell: it repeats its mossy fibre, and its
delays of 1 ms are added to those that follow. There are no unipolar brush cells and no gap
junctions.

A circuit can have several microzones, as the two of Geminiani et al. 2024: a Purkinje cell, its
climbing fibre and the nuclear cells that it inhibits are of one, and granular layer and
interneurons are common to all. Zones divide the Purkinje cells across the parallel fibres.
"""

from collections.abc import Mapping

import numpy as np

from ._contracts import Pathway, Population, Rule
from .pairs import (
    AnyPair,
    Bounds,
    Box,
    Claws,
    OneSource,
    Sphere,
    Spillover,
    Terminals,
    ThroughGlomeruli,
)

Number = float | int
UM, MS, NS = 1e-6, 1e-3, 1e-9
CONDITIONS = ("awake", "in vitro")

FOOTPRINT = (300 * UM, 200 * UM)

LAYERS: Mapping[str, tuple[float, float]] = {  # from, to [m]; the floor of the granular layer is 0
    "granular": (0.0, 130 * UM),
    "purkinje": (130 * UM, 145 * UM),
    "basket": (145 * UM, 195 * UM),
    "stellate": (195 * UM, 295 * UM),
    "nuclei": (-300 * UM, -100 * UM),
    "olive": (-500 * UM, -400 * UM),
}

ASCENDING = 142.6 * UM
"""From a granule cell up to its parallel fibre [m], the same for all, as in the repository's one
morphology: deep cells have deep fibres."""
GLOMERULI = 3e-4 / UM**3
"""Glomeruli in the granular layer [1/m³] (Solinas et al. 2010)."""
TERMINALS = (60 * UM, 20 * UM)
"""How far a glomerulus may lie from its mossy fibre along x and y [m] (Sultan 2001)."""
NEARNESS = 2.0
"""A glomerulus takes the k-th nearest of n fibres with a probability that falls as exp(-2 k/n)."""

_CASALI = "Casali et al. 2019, doi:10.3389/fninf.2019.00037"
_ERO = "Erö et al. 2018, doi:10.3389/fninf.2018.00084; Baumel et al. 2009"

POPULATIONS: Mapping[str, Population] = {
    "mossy": Population(
        density=0.05, per="glomerulus", layer="granular", reference=118, least=4,
        source="Billings et al. 2014, doi:10.1016/j.neuron.2014.07.020"),
    "granule": Population(
        density=3.9e-3 / UM**3, per="volume", layer="granular", cell="granule", reference=30420,
        source=_CASALI),
    "golgi": Population(
        density=9e-6 / UM**3, per="volume", layer="granular", cell="golgi", reference=69,
        source=_CASALI),
    "purkinje": Population(
        density=1.166e-3 / UM**2, per="area", layer="purkinje", cell="purkinje",
        states={"awake": "awake"}, reference=69, zonal=True, rows=130 * UM,
        source="Keller et al. 2018, doi:10.3389/fnana.2018.00083"),
    "basket": Population(
        density=5e-5 / UM**3, per="volume", layer="basket", cell="basket", reference=150,
        source=_CASALI),
    "stellate": Population(
        density=5e-5 / UM**3, per="volume", layer="stellate", cell="stellate", reference=303,
        source=_CASALI),
    "dcn_p": Population(
        density=9.92e-6 / UM**3, per="volume", layer="nuclei", cell="nuclear",
        states={"awake": "awake"}, reference=119, zonal=True, source=_ERO),
    "dcn_i": Population(
        density=5.58e-6 / UM**3, per="volume", layer="nuclei", cell="nuclear_inhibitory",
        reference=67, zonal=True, source=_ERO),
    "olive": Population(
        density=0.2, per="purkinje", layer="olive", cell="olive", reference=14, zonal=True,
        source="Blatt & Eisenman 1985"),
}  # fmt: skip

_FIBRE: Bounds = (-300 * UM, 300 * UM)
_PAPER = "De Schepper et al. 2022, doi:10.1038/s42003-022-04213-y"


def _within(extent: float | int) -> Bounds:
    return (-extent * UM, extent * UM)


def _pathway(
    source: str, target: str, input: str, rule: Rule, *, w: Number, delay: Number,
    awake: Number | None = None, pairs: tuple[Number, Number] = (0, 0),
    contacts: tuple[Number, Number] = (1, 0), per_pair: Number = 1, short_term: str = "",
    teacher: str = "", zonal: bool = False,
) -> Pathway:  # fmt: skip
    """Weights [nS] of one contact, delay [ms], sources of a target, contacts of a pair."""
    weight = {"": w * NS} | ({} if awake is None else {"awake": awake * NS})
    return Pathway(
        source=source, target=target, input=input, rule=rule,
        contacts=(float(contacts[0]), float(contacts[1])), weight=weight, delay=delay * MS,
        convergence=float(pairs[0] * per_pair), pairs=(float(pairs[0]), float(pairs[1])),
        short_term=short_term, teacher=teacher, zonal=zonal, paper=_PAPER,
    )  # fmt: skip


# fmt: off
PATHWAYS: Mapping[str, Pathway] = {
    "mossy_granule": _pathway(
        "mossy", "granule", "glomerulus", Claws(4, 40 * UM), w=0.23, delay=1 + 1, pairs=(4, 0),
        short_term="glomerulus_granule"),
    "mossy_golgi": _pathway(
        "mossy", "golgi", "glomerulus", Terminals(50 * UM), w=0.24, delay=1 + 1,
        pairs=(111.8, 36.6),
        short_term="glomerulus_golgi"),  # glomeruli
    "golgi_granule": _pathway(
        "golgi", "granule", "golgi", ThroughGlomeruli(40, 150 * UM), w=0.24, delay=2,
        pairs=(3.2, 1.6), per_pair=1.5,
        short_term="golgi_granule"),
    "golgi_golgi": _pathway(
        "golgi", "golgi", "golgi", Sphere(0.41, 145 * UM), w=0.007, delay=4, pairs=(14.7, 5.8),
        contacts=(160, 5), per_pair=159.5),
    "ascending_golgi": _pathway(
        "granule", "golgi", "ascending_axon",
        Box(0.05, _within(82), _within(82), (-np.inf, 20 * UM)), w=0.82, delay=2,
        pairs=(295, 123),
        short_term="granule_golgi"),
    "parallel_golgi": _pathway(
        "granule", "golgi", "parallel_fibre",
        Box(0.08, _FIBRE, _within(65.1), (24 * UM, 190 * UM), rise=ASCENDING), w=0.05, delay=5,
        pairs=(1045, 340),
        short_term="granule_golgi"),
    "ascending_purkinje": _pathway(
        "granule", "purkinje", "ascending_axon", Box(0.05, _within(18.5), _within(59)),
        w=0.20, awake=0.41, delay=2, pairs=(93.9, 25.2),
        short_term="granule_purkinje",
        teacher="climbing_purkinje"),
    "parallel_purkinje": _pathway(
        "granule", "purkinje", "parallel_fibre", Box(0.1, _FIBRE, _within(59), rise=ASCENDING),
        w=0.05, awake=0.14, delay=5, pairs=(1532, 292),
        short_term="granule_purkinje",
        teacher="climbing_purkinje"),
    "parallel_basket": _pathway(
        "granule", "basket", "parallel_fibre",
        Box(0.08, _FIBRE, _within(37.6), (-45 * UM, 166 * UM), rise=ASCENDING),
        w=0.04, awake=0.06, delay=5,
        pairs=(828, 146),
        short_term="granule_interneuron",
        teacher="climbing_basket"),
    "parallel_stellate": _pathway(
        "granule", "stellate", "parallel_fibre",
        Box(0.08, _FIBRE, _within(31.7), (-68 * UM, 78 * UM), rise=ASCENDING),
        w=0.05, awake=0.08, delay=5,
        pairs=(515, 159),
        short_term="granule_interneuron",
        teacher="climbing_stellate"),
    "basket_basket": _pathway(
        "basket", "basket", "basket", Box(0.5, _within(50), _within(100)), w=0.006, delay=4,
        pairs=(18.1, 7.8), contacts=(100, 4), per_pair=99.5,
        short_term="interneuron_interneuron"),
    "basket_purkinje": _pathway(
        "basket", "purkinje", "basket", Box(1.0, _within(15.5), _within(100)), w=0.44, awake=0.80,
        delay=4, pairs=(11.7, 5.4),
        short_term="interneuron_purkinje"),
    "stellate_stellate": _pathway(
        "stellate", "stellate", "stellate", Box(0.3, _within(50), _within(55)), w=0.005, delay=4,
        pairs=(13.3, 5.0), contacts=(100, 4), per_pair=99.6,
        short_term="interneuron_interneuron"),
    "stellate_purkinje": _pathway(
        "stellate", "purkinje", "stellate", Box(0.1, _within(40), _within(70)), w=0.17, delay=5,
        pairs=(4.3, 2.4), contacts=(4, 0.3), per_pair=3.5,
        short_term="interneuron_purkinje"),
    "mossy_dcn_p": _pathway(
        "mossy", "dcn_p", "mossy_fibre", AnyPair(0.40, 118), w=0.25, delay=4, pairs=(47.2, 5.3),
        teacher="purkinje_dcn_p"),
    "purkinje_dcn_p": _pathway(
        "purkinje", "dcn_p", "purkinje", AnyPair(0.375, 69), w=0.8, awake=0.35, delay=4,
        pairs=(25.9, 4.0), zonal=True),
    "purkinje_dcn_i": _pathway(
        "purkinje", "dcn_i", "purkinje", AnyPair(0.18, 69), w=0.06, awake=0.02, delay=4,
        pairs=(12.4, 3.2), zonal=True),
    "climbing_purkinje": _pathway(
        "olive", "purkinje", "climbing_fibre", OneSource(), w=0.6, awake=1.6, delay=4,
        pairs=(1, 0), contacts=(500, 5), per_pair=500, zonal=True),
    "climbing_basket": _pathway(
        "olive", "basket", "climbing_fibre", Spillover("climbing_purkinje", "basket_purkinje"),
        w=5, delay=40),
    "climbing_stellate": _pathway(
        "olive", "stellate", "climbing_fibre", Spillover("climbing_purkinje", "stellate_purkinje"),
        w=6.5, awake=5, delay=40),
    "climbing_dcn_p": _pathway(
        "olive", "dcn_p", "climbing_fibre", AnyPair(0.5, 14), w=0.5, awake=0.4, delay=4,
        pairs=(7, 1.9), zonal=True),
    "climbing_dcn_i": _pathway(
        "olive", "dcn_i", "climbing_fibre", AnyPair(0.5, 14), w=0.25, delay=5, pairs=(7, 1.9),
        zonal=True),
    "dcn_i_olive": _pathway(
        "dcn_i", "olive", "nuclear_inhibitory", AnyPair(0.5, 67), w=0.45, delay=25,
        pairs=(33.5, 4.1), zonal=True),
}
# fmt: on

BASAL: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "awake": {
        "mossy": (4.0, 1.4), "granule": (3.4, 3.4), "golgi": (11, 5.4), "purkinje": (91, 2.2),
        "basket": (21, 9), "stellate": (18, 14), "dcn_p": (45, 7), "dcn_i": (13, 1.2),
    },
    "in vitro": {
        "mossy": (4.0, 1.4), "granule": (3.4, 3.4), "golgi": (11, 5.4), "purkinje": (47, 1.1),
        "basket": (16, 7.7), "stellate": (13, 11), "dcn_p": (11, 7.0), "dcn_i": (11, 1.2),
    },
}  # fmt: skip
"""Published rates at rest, mean and standard deviation over the cells that fired [Hz], with 4 Hz on
each mossy fibre: documentation of dbbs-lab/cerebellar-models, version 0.13.0. The olive is silent.
"""
