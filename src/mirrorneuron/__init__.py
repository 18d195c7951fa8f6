"""mirrorneuron: train Brian2 networks by gradient descent, and still trust them."""

from .bridge.learning import BPTT, Fit, Rule, Task, Trial, fit
from .bridge.mirror import Mirror, mirror
from .bridge.parameter import Bounded, Positive, Sign
from .bridge.surrogates import (
    Arctan,
    FastSigmoid,
    Gaussian,
    Sigmoid,
    SuperSpike,
    Triangle,
    surrogates,
)

__version__ = "0.1.0"
