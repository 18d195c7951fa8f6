"""Surrogates: stand-ins for the derivative of a spike, one file each."""

from mirrorneuron._registry import Registry

from .._contracts import Surrogate
from .arctan import Arctan
from .fast_sigmoid import FastSigmoid
from .gaussian import Gaussian
from .sigmoid import Sigmoid
from .superspike import SuperSpike
from .triangle import Triangle

surrogates: Registry[type[Surrogate]] = Registry(__name__, Surrogate)

__all__ = [
    "Arctan",
    "FastSigmoid",
    "Gaussian",
    "Sigmoid",
    "SuperSpike",
    "Triangle",
    "surrogates",
]
