"""Neuron models: integrators, thresholds, resets, refractoriness, parameters."""

import numpy as np
from brian2 import (
    Hz,
    Mohm,
    Network,
    NeuronGroup,
    Synapses,
    cm,
    ms,
    msiemens,
    mV,
    nA,
    nS,
    pA,
    pF,
    second,
    uA,
    uF,
)
from registry import entry, random_edges


@entry(0.1 * second, 100, cells=(10, 200), locked=100 * ms)
def hodgkin_huxley() -> Network:
    """Traub-Miles cells (Brette et al. 2007, benchmark 3): exprel and powers."""
    cells = NeuronGroup(
        20,
        """dv/dt = (g_L*(E_L - v) - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) + I)/C : volt
           dm/dt = (1.28/exprel((13*mV - v + V_T)/(4*mV))*(1 - m)
                    - 1.4/exprel((v - V_T - 40*mV)/(5*mV))*m)/ms : 1
           dn/dt = (0.16/exprel((15*mV - v + V_T)/(5*mV))*(1 - n)
                    - 0.5*exp((10*mV - v + V_T)/(40*mV))*n)/ms : 1
           dh/dt = (0.128*exp((17*mV - v + V_T)/(18*mV))*(1 - h)
                    - 4/(1 + exp((40*mV - v + V_T)/(5*mV)))*h)/ms : 1
           I : amp (constant)""",
        threshold="v > -40*mV",
        refractory="v > -40*mV",
        method="exponential_euler",
        namespace={
            "C": 200 * pF, "g_L": 10 * nS, "E_L": -65 * mV, "E_Na": 50 * mV, "E_K": -90 * mV,
            "g_Na": 20000 * nS, "g_K": 6000 * nS, "V_T": -63 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.I = -65 * mV, np.linspace(0.1, 0.7, 20) * nA
    return Network(cells)


@entry(0.12 * second, 30, cells=(20, 150))
def quadratic() -> Network:
    """Quadratic integrate-and-fire cells (Ermentrout & Kopell 1986) by rk2, a dead time each."""
    cells = NeuronGroup(
        12,
        """dv/dt = (a*(v - v_rest)*(v - v_c) + I)/tau : volt (unless refractory)
           a = 0.04/mV : 1/volt
           I : volt (constant)
           dead : second (constant)""",
        threshold="v > 30*mV",
        reset="v = -65*mV",
        refractory="dead",
        method="rk2",
        namespace={"v_rest": -65 * mV, "v_c": -50 * mV, "tau": 4 * ms},
        name="cells",
    )
    cells.v = -60 * mV
    cells.I = np.linspace(2.6, 8, 12) * mV
    cells.dead = np.linspace(0, 4, 12) * ms
    return Network(cells)


@entry(0.1 * second, 50, cells=(30, 150))
def exponential() -> Network:
    """Exponential integrate-and-fire cells (Fourcaud-Trocme et al. 2003) by rk4."""
    cells = NeuronGroup(
        10,
        """dv/dt = (E_L - v + D_T*exp((v - V_T)/D_T) + R*I)/tau : volt (unless refractory)
           I : amp (constant)""",
        threshold="v > -46*mV",
        reset="v = -68*mV",
        refractory=1.7 * ms,
        method="rk4",
        namespace={
            "E_L": -65 * mV, "V_T": -59.9 * mV, "D_T": 3.48 * mV, "tau": 10 * ms, "R": 100 * Mohm,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.I = -65 * mV, np.linspace(0.06, 0.2, 10) * nA
    return Network(cells)


@entry(0.4 * second, 150, seed=5, excitatory=(2, 60), inhibitory=(2, 90))
def izhikevich() -> Network:
    """Izhikevich's (2003) network at a tenth of its size, in its own step of 0.5 ms.

    Thalamic noise comes once a step, the dimensionless equations carry their units as ms.
    """
    rng = np.random.default_rng(20)
    equations = """dv/dt = (0.04*v**2 + 5*v + 140 - u + I + I_s)/ms : 1
                   du/dt = a*(b*v - u)/ms : 1
                   I : 1
                   I_s : 1
                   a : 1 (constant)
                   b : 1 (constant)
                   c : 1 (constant)
                   d : 1 (constant)"""
    groups: list[NeuronGroup] = []
    for name, size in (("excitatory", 40), ("inhibitory", 10)):
        group = NeuronGroup(
            size, equations, threshold="v >= 30", reset="v = c; u += d", method="euler",
            dt=0.5 * ms, name=name,
        )  # fmt: skip
        r = rng.random(size)
        kind = size == 40
        group.a = 0.02 if kind else 0.02 + 0.08 * r
        group.b = 0.2 if kind else 0.25 - 0.05 * r
        group.c = -65 + 15 * r**2 if kind else -65
        group.d = 8 - 6 * r**2 if kind else 2
        group.v, group.u = -65, -13
        group.run_regularly(f"I = {8 if kind else 7}*randn()", dt=0.5 * ms, when="start")
        group.run_regularly("I_s = 0", dt=0.5 * ms, when="after_groups")
        groups.append(group)
    synapses: list[Synapses] = []
    for source, sign in zip(groups, (0.5, -1.0), strict=True):
        for target in groups:
            s = Synapses(
                source, target, "w : 1", on_pre="I_s_post += w", dt=0.5 * ms,
                name=f"{source.name}_{target.name}",
            )  # fmt: skip
            s.connect()
            s.w = sign * 4 * rng.random(len(s))
            synapses.append(s)
    return Network(groups, synapses)


@entry(0.12 * second, 70, cells=(20, 200))
def mat_threshold() -> Network:
    """A threshold of several time scales, no reset of the voltage (Kobayashi et al. 2009)."""
    cells = NeuronGroup(
        10,
        """dv/dt = (R*I - v)/(5*ms) : volt
           dh1/dt = -h1/(10*ms) : volt
           dh2/dt = -h2/(200*ms) : volt
           theta = 19*mV + h1 + h2 : volt
           I : amp (constant)""",
        threshold="v > theta",
        reset="h1 += 37*mV; h2 += 2*mV",
        refractory=2 * ms,
        method="exact",
        namespace={"R": 50 * Mohm},
        name="cells",
    )
    cells.I = np.linspace(0.5, 1.2, 10) * nA
    return Network(cells)


@entry(0.12 * second, 50, seed=4, cells=(10, 150))
def gif_escape() -> Network:
    """Generalised integrate-and-fire with escape noise (Mensi et al. 2012)."""
    cells = NeuronGroup(
        15,
        """dv/dt = (g_L*(E_L - v) - eta + I)/C : volt (unless refractory)
           deta/dt = -eta/(60*ms) : amp
           dgamma/dt = -gamma/(40*ms) : volt
           hazard = 10*exp((v - V_T - gamma)/(1.5*mV))*kHz*0.001 : Hz
           I : amp (constant)""",
        threshold="rand() < 1 - exp(-hazard*dt)",
        reset="v = E_r; eta += 20*pA; gamma += 3*mV",
        refractory=4 * ms,
        method="exponential_euler",
        namespace={
            "g_L": 5 * nS, "C": 80 * pF, "E_L": -70 * mV, "E_r": -60 * mV, "V_T": -50 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.I = -65 * mV, np.linspace(90, 300, 15) * pA
    return Network(cells)


@entry(0.12 * second, 80, cells=(20, 120))
def spike_response() -> Network:
    """SRM0 (Gerstner & Kistler 2002, chapter 4.2): kernels of the time since the last spike."""
    cells = NeuronGroup(
        10,
        """dh/dt = (drive - h)/(10*ms) : 1
           eta = -2*exp(-(t - lastspike)/(8*ms)) : 1
           u = h + eta : 1
           since = timestep(t - lastspike, dt) : integer
           drive : 1 (constant)""",
        threshold="u > 1 and since > 15",
        refractory=1 * ms,
        method="exact",
        name="cells",
    )
    cells.drive = np.linspace(1.05, 2, 10)
    return Network(cells)


@entry(0.08 * second, 40, cells=(10, 120))
def wang_buzsaki() -> Network:
    """Interneurons that synchronise by GABA synapses (Wang & Buzsaki 1996), gates in the cells."""
    rng = np.random.default_rng(21)
    cells = NeuronGroup(
        12,
        """dv/dt = (-g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) - g_L*(v - E_L)
                    - g_s*inputs*(v - E_s) + I)/C : volt
           m = alpha_m/(alpha_m + beta_m) : 1
           alpha_m = 1/exprel(-0.1*(v + 35*mV)/mV)/ms : Hz
           beta_m = 4*exp(-(v + 60*mV)/(18*mV))/ms : Hz
           dh/dt = 5*(alpha_h*(1 - h) - beta_h*h) : 1
           alpha_h = 0.07*exp(-(v + 58*mV)/(20*mV))/ms : Hz
           beta_h = 1/(exp(-0.1*(v + 28*mV)/mV) + 1)/ms : Hz
           dn/dt = 5*(alpha_n*(1 - n) - beta_n*n) : 1
           alpha_n = 0.1/exprel(-0.1*(v + 34*mV)/mV)/ms : Hz
           beta_n = 0.125*exp(-(v + 44*mV)/(80*mV))/ms : Hz
           ds/dt = 12*F*(1 - s)/ms - 0.1*s/ms : 1
           F = 1/(1 + exp(-v/(2*mV))) : 1
           inputs : 1
           I : amp*meter**-2 (constant)""",
        threshold="v > 0*mV",
        refractory="v > 0*mV",
        method="rk2",
        dt=0.05 * ms,
        namespace={
            "C": 1 * uF / cm**2, "g_Na": 35 * msiemens / cm**2, "g_K": 9 * msiemens / cm**2,
            "g_L": 0.1 * msiemens / cm**2, "g_s": 0.1 * msiemens / cm**2, "E_Na": 55 * mV,
            "E_K": -90 * mV, "E_L": -65 * mV, "E_s": -75 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.h, cells.n = rng.uniform(-70, -50, 12) * mV, 0.8, 0.1
    cells.I = rng.normal(1.5, 0.2, 12) * uA / cm**2
    gaba = Synapses(
        cells, cells, "inputs_post = s_pre/N_incoming : 1 (summed)", dt=0.05 * ms, name="gaba"
    )
    gaba.connect("i != j")
    return Network(cells, gaba)


@entry(0.1 * second, 270, cells=(5, 150))
def coba_hodgkin_huxley() -> Network:
    """Traub-Miles cells with conductance synapses (Brette et al. 2007, benchmark 3), 60 cells."""
    rng = np.random.default_rng(22)
    cells = NeuronGroup(
        60,
        """dv/dt = (g_L*(E_L - v) + ge*(0*mV - v) + gi*(-80*mV - v)
                    - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) + I)/C : volt
           dm/dt = alpha_m*(1 - m) - beta_m*m : 1
           dn/dt = alpha_n*(1 - n) - beta_n*n : 1
           dh/dt = alpha_h*(1 - h) - beta_h*h : 1
           dge/dt = -ge/(5*ms) : siemens
           dgi/dt = -gi/(10*ms) : siemens
           alpha_m = 1.28/exprel((13*mV - v + V_T)/(4*mV))/ms : Hz
           beta_m = 1.4/exprel((v - V_T - 40*mV)/(5*mV))/ms : Hz
           alpha_h = 0.128*exp((17*mV - v + V_T)/(18*mV))/ms : Hz
           beta_h = 4/(1 + exp((40*mV - v + V_T)/(5*mV)))/ms : Hz
           alpha_n = 0.16/exprel((15*mV - v + V_T)/(5*mV))/ms : Hz
           beta_n = 0.5*exp((10*mV - v + V_T)/(40*mV))/ms : Hz
           I : amp (constant)""",
        threshold="v > -20*mV",
        refractory=3 * ms,
        method="exponential_euler",
        namespace={
            "C": 200 * pF, "g_L": 10 * nS, "E_L": -60 * mV, "E_Na": 50 * mV, "E_K": -90 * mV,
            "g_Na": 20000 * nS, "g_K": 6000 * nS, "V_T": -63 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.I = rng.uniform(-70, -55, 60) * mV, rng.uniform(0.1, 0.5, 60) * nA
    cells.ge, cells.gi = rng.uniform(0, 20, 60) * nS, rng.uniform(0, 40, 60) * nS
    excite = Synapses(cells[:48], cells, on_pre="ge += 6*nS", name="excite")
    inhibit = Synapses(cells[48:], cells, on_pre="gi += 67*nS", name="inhibit")
    for synapses, n in ((excite, 48), (inhibit, 12)):
        i, j = random_edges(rng, n, 60, n / 5)
        synapses.connect(i=i, j=j)
    return Network(cells, excite, inhibit)


@entry(0.15 * second, 13, cells=(2, 40))
def morris_lecar() -> Network:
    """Morris & Lecar (1981) cells, of types I and II by their parameters; no reset."""
    cells = NeuronGroup(
        8,
        """dv/dt = (-g_L*(v + 60*mV) - g_Ca*m*(v - 120*mV) - g_K*n*(v + 84*mV) + I)/C
                   : volt
           dn/dt = phi*(n_inf - n)*cosh((v - V_3)/(2*V_4))/ms : 1
           m = 0.5*(1 + tanh((v + 1.2*mV)/(18*mV))) : 1
           n_inf = 0.5*(1 + tanh((v - V_3)/V_4)) : 1
           g_Ca : siemens (constant)
           V_3 : volt (constant)
           V_4 : volt (constant)
           phi : 1 (constant)
           I : amp (constant)""",
        threshold="v > 0*mV",
        refractory="v > 0*mV",
        method="rk4",
        namespace={"C": 20 * uF, "g_L": 2 * msiemens, "g_K": 8 * msiemens},
        name="cells",
    )
    first = np.arange(8) < 4
    cells.v, cells.n = -40 * mV, 0.1
    cells.g_Ca = np.where(first, 4, 4.4) * msiemens
    cells.V_3, cells.V_4 = np.where(first, 12, 2) * mV, np.where(first, 17.4, 30) * mV
    cells.phi = np.where(first, 0.067, 0.04)
    cells.I = np.where(first, np.linspace(45, 120, 8), np.linspace(60, 130, 8)) * uA
    return Network(cells)


@entry(0.12 * second, moves={"cells.v": 0.5, "cells.w": 0.2})
def fitzhugh_nagumo() -> Network:
    """A chain of oscillators coupled by diffusion, without thresholds (FitzHugh 1961)."""
    cells = NeuronGroup(
        10,
        """dv/dt = (v - v**3/3 - w + I + coupling)/ms : 1
           dw/dt = 0.08*(v + 0.7 - 0.8*w)/ms : 1
           I : 1 (constant)
           coupling : 1""",
        method="rk4",
        name="cells",
    )
    cells.v, cells.I = np.linspace(-1, 1, 10), np.linspace(0.3, 0.7, 10)
    chain = Synapses(
        cells, cells, "k : 1\ncoupling_post = k*(v_pre - v_post) : 1 (summed)", name="chain"
    )
    chain.connect("abs(i - j) == 1")
    chain.k = 0.1
    return Network(cells, chain)


@entry(0.12 * second, 40, cells=(20, 120))
def hindmarsh_rose() -> Network:
    """Bursting without a reset (Hindmarsh & Rose 1984), spikes seen by a threshold alone."""
    cells = NeuronGroup(
        6,
        """dx/dt = (y - x**3 + 3*x**2 - z + I)/ms : 1
           dy/dt = (1 - 5*x**2 - y)/ms : 1
           dz/dt = 0.006*(4*(x + 1.6) - z)/ms : 1
           I : 1 (constant)""",
        threshold="x > 1",
        refractory="x > 1",
        method="rk4",
        name="cells",
    )
    cells.x, cells.y, cells.z, cells.I = -1.6, -10, 2, np.linspace(2, 4, 6)
    return Network(cells)


@entry(0.08 * second, 30, cells=(10, 150))
def connor_stevens() -> Network:
    """The A-current (Connor, Walter & McKown 1977; Dayan & Abbott 2001, chapter 6.2), by heun."""
    cells = NeuronGroup(
        6,
        """dv/dt = (-0.3*(v + 17*mV) - 120*m**3*h*(v - 55*mV) - 20*n**4*(v + 72*mV)
                    - 47.7*a**3*b*(v + 75*mV))/ms + I/ms : volt
           dm/dt = (3.8/exprel(-0.1*(v/mV + 29.7))*(1 - m)
                    - 15.2*exp(-0.0556*(v/mV + 54.7))*m)/ms : 1
           dh/dt = (0.266*exp(-0.05*(v/mV + 48))*(1 - h)
                    - 3.8/(1 + exp(-0.1*(v/mV + 18)))*h)/ms : 1
           dn/dt = (0.2/exprel(-0.1*(v/mV + 45.7))*(1 - n)
                    - 0.25*exp(-0.0125*(v/mV + 55.7))*n)/ms : 1
           da/dt = (a_inf - a)/tau_a : 1
           db/dt = (b_inf - b)/tau_b : 1
           a_inf = (0.0761*exp(0.0314*(v/mV + 94.22))/(1 + exp(0.0346*(v/mV + 1.17))))**(1/3.0) : 1
           tau_a = (0.3632 + 1.158/(1 + exp(0.0497*(v/mV + 55.96))))*ms : second
           b_inf = (1/(1 + exp(0.0688*(v/mV + 53.3))))**4 : 1
           tau_b = (1.24 + 2.678/(1 + exp(0.0624*(v/mV + 50))))*ms : second
           I : volt (constant)""",
        threshold="v > -10*mV",
        refractory="v > -20*mV",
        method="heun",
        dt=0.05 * ms,
        name="cells",
    )
    cells.v, cells.m, cells.h, cells.n = -68 * mV, 0.01, 0.97, 0.16
    cells.a, cells.b, cells.I = 0.54, 0.29, np.linspace(9, 25, 6) * mV
    return Network(cells)


@entry(0.12 * second, 50, cells=(10, 100))
def kuramoto() -> Network:
    """Phase oscillators (Kuramoto 1975) coupled through a summed sine; a spike ends each turn."""
    rng = np.random.default_rng(23)
    cells = NeuronGroup(
        15,
        """dtheta/dt = omega + K*pull/N : 1
           omega : Hz (constant)
           K : Hz (shared, constant)
           pull : 1""",
        threshold="theta > 2*pi",
        reset="theta -= 2*pi",
        method="euler",
        name="cells",
    )
    cells.theta, cells.omega = rng.uniform(0, 6, 15), rng.normal(2 * np.pi * 40, 30, 15) * Hz
    cells.K = 60 * Hz
    coupling = Synapses(
        cells, cells, "pull_post = sin(theta_pre - theta_post) : 1 (summed)", name="coupling"
    )
    coupling.connect()
    return Network(cells, coupling)


@entry(0.15 * second, moves={"rates.E": 0.05, "rates.I": 0.05})
def wilson_cowan() -> Network:
    """Populations of Wilson & Cowan (1972) that oscillate: rates, no spikes, exponential Euler."""
    rates = NeuronGroup(
        5,
        """dE/dt = (-E + (1 - E)*S_e)/(10*ms) : 1
           dI/dt = (-I + (1 - I)*S_i)/(10*ms) : 1
           S_e = 1/(1 + exp(-1.3*(16*E - 12*I + P + lateral - 4))) - 1/(1 + exp(5.2)) : 1
           S_i = 1/(1 + exp(-2*(15*E - 3*I - 3.7))) - 1/(1 + exp(7.4)) : 1
           P : 1 (constant)
           lateral : 1""",
        method="exponential_euler",
        name="rates",
    )
    rates.E, rates.P = 0.1, np.linspace(1.1, 1.6, 5)
    ring = Synapses(rates, rates, "w : 1\nlateral_post = w*E_pre : 1 (summed)", name="ring")
    ring.connect("j == (i + 1) % N_pre")
    ring.w = 0.3
    return Network(rates, ring)


@entry(0.15 * second, moves={"column.y0": 2e-5, "column.y1": 1e-4}, seed=6)
def jansen_rit() -> Network:
    """A cortical column that makes alpha rhythm from white noise (Jansen & Rit 1995)."""
    column = NeuronGroup(
        3,
        """dy0/dt = z0 : volt
           dy1/dt = z1 : volt
           dy2/dt = z2 : volt
           dz0/dt = A*a*S_0 - 2*a*z0 - a**2*y0 : volt/second
           dz1/dt = A*a*(p + 0.8*C*S_1) - 2*a*z1 - a**2*y1 + A*a*22*Hz**0.5*xi : volt/second
           dz2/dt = B*b*0.25*C*S_2 - 2*b*z2 - b**2*y2 : volt/second
           S_0 = 5*Hz/(1 + exp(0.56*(6 - (y1 - y2)/mV))) : Hz
           S_1 = 5*Hz/(1 + exp(0.56*(6 - C*y0/mV))) : Hz
           S_2 = 5*Hz/(1 + exp(0.56*(6 - 0.25*C*y0/mV))) : Hz
           p : Hz (constant)
           C : 1 (constant)""",
        method="euler",
        namespace={"A": 3.25 * mV, "B": 22 * mV, "a": 100 * Hz, "b": 50 * Hz},
        name="column",
    )
    column.p, column.C = [150, 220, 300] * Hz, [128, 135, 140]
    return Network(column)


@entry(0.12 * second, 80, cells=(5, 120))
def adaptive_threshold() -> Network:
    """A threshold that follows the voltage (Platkiewicz & Brette 2010), rk2 for a log of exp."""
    cells = NeuronGroup(
        10,
        """dv/dt = (E_L - v + R*I*(1 + 0.5*sin(2*pi*30*Hz*t)))/tau : volt (unless refractory)
           dtheta/dt = (theta_inf - theta)/(7*ms) : volt
           theta_inf = V_T + 0.5*k*log(1 + exp((v - V_T)/k)) : volt
           I : amp (constant)""",
        threshold="v > theta",
        reset="v = E_L; theta += 3*mV",
        refractory=2 * ms,
        method="rk2",
        namespace={
            "E_L": -70 * mV, "V_T": -55 * mV, "k": 5 * mV, "tau": 10 * ms, "R": 100 * Mohm,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.theta, cells.I = -70 * mV, -55 * mV, np.linspace(0.17, 0.4, 10) * nA
    return Network(cells)


@entry(0.1 * second, 120, cells=(20, 300))
def resonate_and_fire() -> Network:
    """Damped rotation (Izhikevich 2001), by exponential Euler; a reset that reads what it sets."""
    cells = NeuronGroup(
        10,
        """dx/dt = (b*x - w*y)/ms + I/ms : 1
           dy/dt = (w*x + b*y)/ms : 1
           I : 1 (constant)""",
        threshold="y > 1",
        reset="x = 0; y = 1 - 0.05*y",
        method="exponential_euler",
        namespace={"b": -0.05, "w": 0.35},
        name="cells",
    )
    cells.I = np.linspace(0.3, 0.45, 10)
    return Network(cells)


@entry(0.1 * second, 80, cells=(10, 150))
def two_compartments() -> Network:
    """Soma and dendrite (Rall 1964): two coupled linear equations, solved exactly."""
    cells = NeuronGroup(
        10,
        """dv/dt = (E_L - v + kappa*(d - v))/tau : volt
           dd/dt = (E_L - d + 0.3*kappa*(v - d) + R*I)/tau : volt
           I : amp (constant)""",
        threshold="v > -54*mV",
        reset="v = E_L; d -= 2*mV",
        method="exact",
        namespace={"E_L": -70 * mV, "R": 200 * Mohm, "kappa": 2, "tau": 15 * ms},
        name="cells",
    )
    cells.v, cells.d, cells.I = -70 * mV, -65 * mV, np.linspace(0.16, 0.3, 10) * nA
    return Network(cells)


@entry(0.12 * second, 140, seed=8, time=(10, 200), drawn=(10, 200))
def refractory_forms() -> Network:
    """A dead time kept in a variable and drawn anew by the reset; one drawn by a string."""
    equations = """dv/dt = (I - v)/(8*ms) : 1 (unless refractory)
                   I : 1 (constant)
                   dead : second"""
    groups = [
        NeuronGroup(
            8, equations, threshold="v > 1", reset="v = 0; dead = (1 + 5*rand())*ms",
            refractory=refractory, method="exact", name=name,
        )
        for name, refractory in (("time", "dead"), ("drawn", "(2 + 2*rand())*ms + 0.1*dead"))
    ]  # fmt: skip
    for group in groups:
        group.I = np.linspace(1.1, 2.5, 8)
        group.dead = 1 * ms
    return Network(groups)


@entry(0.12 * second, 110, cells=(15, 150))
def refractory_in_equations() -> Network:
    """`not_refractory` and `lastspike` in the equations: a clamp, and a slow recovery."""
    cells = NeuronGroup(
        10,
        """dv/dt = gain*(I - v)/(8*ms)*int(not_refractory) - 0.2*v/(8*ms)*int(not not_refractory)
                   : 1
           du/dt = (int(not_refractory) - u)/(20*ms) : 1 (unless refractory)
           gain = 1 - exp(-(t - lastspike)/(6*ms)) : 1
           late = timestep(t - lastspike, dt) >= 60 : boolean
           I : 1 (constant)""",
        threshold="v > 1 + 0.2*u - 0.1*int(late)",
        reset="v = 0.3; u *= 0.5",
        refractory="t - lastspike <= 2*ms or v > 0.9",
        method="euler",
        name="cells",
    )
    cells.I = np.linspace(1.4, 3, 10)
    return Network(cells)


@entry(0.12 * second, 100, cells=(10, 150))
def compound_threshold() -> Network:
    """Conditions joined by and, or, not; truth values and whole numbers among the variables."""
    cells = NeuronGroup(
        12,
        """dv/dt = (I - v)/(9*ms) : 1
           du/dt = -u/(15*ms) : 1
           I : 1 (constant)
           quiet : boolean (constant)
           kind : integer (constant)
           count : integer
           high = v > 1.3 : boolean""",
        threshold="(v > 1 and (u < 0.2 or kind % 3 == 1) and not quiet) or high",
        reset="v = 0.1*int(u > 0.1) + 0.2*int(count % 2 == 0); u += 0.4; count += 1",
        method="exact",
        name="cells",
    )
    cells.I = np.linspace(1.2, 2, 12)
    cells.quiet, cells.kind = np.arange(12) % 5 == 4, np.arange(12)
    return Network(cells)


@entry(0.12 * second, 190, cells=(10, 200), silent=(10, 400))
def conditional_reset() -> Network:
    """Resets of several statements with conditions; a threshold that nothing resets."""
    cells = NeuronGroup(
        10,
        """dv/dt = (I - v - w)/(10*ms) : 1
           dw/dt = -w/(30*ms) : 1
           I : 1 (constant)
           bursts : integer
           peak : 1""",
        threshold="v >= 1",
        reset="""peak = v
                 bursts = (bursts + 1)*int(bursts < 3)
                 v = 0.8*int(bursts > 0) - 0.1*int(peak > 1.01)
                 w = clip(w + 0.35*int(bursts == 0), 0, 0.8)""",
        method="euler",
        name="cells",
    )
    cells.I = np.linspace(1.2, 2.2, 10)
    silent = NeuronGroup(
        4, "dx/dt = (1.05 - x)/(20*ms) : 1", threshold="x > 1 and x < 1.003", method="euler",
        name="silent",
    )  # fmt: skip
    silent.x = [0, 0.3, 0.6, 0.9]
    return Network(cells, silent)


@entry(0.12 * second, 80, seed=9, cells=(10, 150))
def shared_parameters() -> Network:
    """Variables that all neurons share, set each step; subexpressions held over a step."""
    cells = NeuronGroup(
        10,
        """dv/dt = (I + slow + common - v)/tau : 1
           slow : 1 (shared)
           common = 0.4*sin(2*pi*f*t) + 0.2*kick : 1 (shared)
           kick = randn() : 1 (shared, constant over dt)
           own = 0.1*randn()*int(on) : 1 (constant over dt)
           tau : second (shared, constant)
           tau_s : second (shared, constant)
           f : Hz (shared)
           on : boolean (constant)
           I : 1 (constant)""",
        threshold="v + own > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.tau, cells.tau_s, cells.f, cells.slow = 10 * ms, 80 * ms, 25 * Hz, 0.5
    cells.run_regularly("slow -= slow*dt/tau_s", dt=0.1 * ms)
    cells.on, cells.I = np.arange(10) % 2 == 0, np.linspace(0.9, 1.5, 10)
    return Network(cells)
