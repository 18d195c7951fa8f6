r"""Theta neuron: the quadratic integrate-and-fire neuron as a phase on a circle.

$2 \tau_{cell} \, d\theta/dt = (1 - \cos\theta) + (1 + \cos\theta) \, \eta$ with
$\eta = \frac{4 R \, (I + I_{syn})}{V_t - V_r} - 1$; a spike is the passage of $\theta$ through
$\pi$. The voltage is $v = \frac{V_r + V_t}{2} + \frac{V_t - V_r}{2} \tan\frac{\theta}{2}$, and the
rate under a constant current $\sqrt{\eta} / (2 \pi \tau_{cell})$.

Source: Ermentrout & Kopell 1986, section 2, doi:10.1137/0146017; values of Latham et al. 2000,
doi:10.1152/jn.2000.83.2.808.
Differs from it: the input $\eta$ and the time are those of the model `quadratic`, of which this is
the same under a change of variables, with apex and reset at infinity.
"""

from ._contracts import NeuronModel

theta = NeuronModel(
    equations="""
dtheta/dt = ((1 - cos(theta)) + (1 + cos(theta))*eta)/(2*tau_cell) : 1
eta = 4*R*(I + I_syn)/(V_t - V_r) - 1 : 1
v = (V_r + V_t)/2 + (V_t - V_r)/2*tan(theta/2) : volt
""",
    threshold="theta > pi",
    reset="theta -= 2*pi",
    parameters={
        "tau_cell": "10*ms",
        "R": "100*Mohm",
        "V_r": "-65*mV",
        "V_t": "-50*mV",
    },
    positive=("tau_cell", "R"),
    initial={"theta": "-1.5707963267948966"},
    methods=("euler", "rk2", "rk4"),
    drive="0.1*nA",
    rate=(18.0, 24.0),
    source=str(__doc__),
)
