r"""Izhikevich's simple neuron, with the parameters of its regular spiking cell.

$dv/dt = 0.04 \, v^2 + 5 v + 140 - u + I$ and $du/dt = a \, (b v - u)$ in mV and ms, and
$v \to c$, $u \to u + d$ where $v$ reaches 30 mV.

Source: Izhikevich 2003, equations 1 to 3 and figure 2 (values), doi:10.1109/TNN.2003.820440.
Differs from it: the current is in ampere and enters through a capacitance; with 100 pF the paper's
$I = 10$ is 1 nA.
"""

from ._contracts import NeuronModel

izhikevich = NeuronModel(
    equations="""
dv/dt = 0.04/(mV*ms)*v**2 + 5/ms*v + 140*mV/ms - u + (I + I_syn)/C : volt
du/dt = a*(b*v - u) : volt/second
""",
    threshold="v > V_peak",
    reset="v = c; u += d",
    parameters={
        "a": "0.02/ms",
        "b": "0.2/ms",
        "c": "-65*mV",
        "d": "8*mV/ms",
        "V_peak": "30*mV",
        "C": "100*pF",
    },
    positive=("a", "C"),
    initial={"v": "-65*mV", "u": "b*v"},
    methods=("euler", "rk2", "rk4"),
    variants={
        "intrinsically_bursting": {"c": "-55*mV", "d": "4*mV/ms"},
        "chattering": {"c": "-50*mV", "d": "2*mV/ms"},
        "fast_spiking": {"a": "0.1/ms", "d": "2*mV/ms"},
        "low_threshold_spiking": {"b": "0.25/ms", "d": "2*mV/ms"},
        "thalamo_cortical": {"b": "0.25/ms", "d": "0.05*mV/ms"},
        "resonator": {"a": "0.1/ms", "b": "0.26/ms", "d": "2*mV/ms"},
    },
    drive="1*nA",
    rate=(20.0, 26.0),
    source=str(__doc__),
)
