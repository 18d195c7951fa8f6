"""GeNN: a Program as the model strings of PyGeNN 5, what of Brian2 lies outside, and a stepper.

    Program ──findings──▶ (nothing outside) ──emit──▶ Model ──run──▶ spikes, samples, final values
                                                             ▲
                                           pygenn, or our stepper with the same interface

`emit` turns each group into one neuron model and each Synapses into one or more projections;
`run` builds and steps them with whatever has PyGeNN's interface. Nothing here imports brian2,
torch or pygenn.
"""
