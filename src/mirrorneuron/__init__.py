"""mirrorneuron: train Brian2 networks by gradient descent, and still trust them."""

from . import analysis, bio, muscle
from .bio.recording import Simulation
from .bio.simulate import simulate
from .bridge.function import register
from .bridge.learning import BPTT, FPTT, FPTT_K, Fit, Natural, Rule, Task, Trial, fit
from .bridge.mirror import Mirror, mirror
from .bridge.parameter import Bounded, Positive, Sign
from .bridge.recording import Recording
from .bridge.surrogates import (
    Arctan,
    FastSigmoid,
    Gaussian,
    Sigmoid,
    SuperSpike,
    Triangle,
    surrogates,
)
from .validation import validate

__version__ = "0.1.0"

__all__ = [
    "BPTT",
    "FPTT",
    "FPTT_K",
    "Arctan",
    "Bounded",
    "FastSigmoid",
    "Fit",
    "Gaussian",
    "Mirror",
    "Natural",
    "Positive",
    "Recording",
    "Rule",
    "Sigmoid",
    "Sign",
    "Simulation",
    "SuperSpike",
    "Task",
    "Trial",
    "Triangle",
    "analysis",
    "bio",
    "fit",
    "mirror",
    "muscle",
    "register",
    "simulate",
    "surrogates",
    "validate",
]
