r"""Short-term plasticity: release that depresses and facilitates, into an alpha conductance.

The synapse holds what is left, $x$ (`x_rel`), and the part of it that a spike uses, $u$ (`u_rel`).
Between spikes $\tau_{rec} \, dx/dt = 1 - x$ and $\tau_{fac} \, du/dt = -u$. A spike adds
$U (1 - u)$ to $u$, releases $w \, u \, x$, and takes $u \, x$ from $x$: the first peak of a rested
synapse is $w \, U$.

Source: Tsodyks, Pawelzik & Markram 1998, section 2,
doi:10.1162/089976698300017502; variants of Masoli et al. 2022, doi:10.3389/fncom.2022.1006989, as
in the repository dbbs-lab/cerebellar-models, version 0.13.0, each named by its synapse.
Differs from it: the inactivation time of the transmitter is that of the receptor, the conductance
of `alpha_conductance`; our default constants.
"""

from dataclasses import replace

from .alpha_conductance import alpha_conductance as _receptor

# U, tau_rec and tau_fac [ms].
_MASOLI = {
    "glomerulus_granule": (0.43, 8, 5),
    "glomerulus_golgi": (0.43, 8, 5),
    "golgi_granule": (0.35, 36, 58),
    "granule_golgi": (0.4, 35.1, 54),
    "granule_purkinje": (0.13, 35.1, 54),
    "granule_interneuron": (0.15, 35.1, 10.8),
    "interneuron_interneuron": (0.42, 38.7, 4),
    "interneuron_purkinje": (0.35, 15, 4),
}

tsodyks_markram = replace(
    _receptor,
    states="""
dx_rel/dt = (1 - x_rel)/tau_rec : 1 (event-driven)
du_rel/dt = -u_rel/tau_fac : 1 (event-driven)
""",
    start={"x_rel": "1"},
    constants={"U": "0.5", "tau_rec": "100*ms", "tau_fac": "50*ms"},
    positive=("tau", "U", "tau_rec", "tau_fac"),
    on_pre="u_rel += U*(1 - u_rel)\nh_{r}_post += w*u_rel*x_rel\nx_rel -= u_rel*x_rel",
    weight="2*nS",
    variants={
        **_receptor.variants,
        **{
            name: {"U": f"{U}", "tau_rec": f"{rec}*ms", "tau_fac": f"{fac}*ms"}
            for name, (U, rec, fac) in _MASOLI.items()
        },
    },
    source=str(__doc__),
)
