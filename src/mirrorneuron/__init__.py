"""mirrorneuron: train Brian2 networks by gradient descent, and still trust them.

`ArmEnv` and `ArmVectorEnv` are here too, and are imported when they are first asked for: they need
gymnasium, `pip install 'mirrorneuron[gym]'`.
"""

import typing as _typing

from ._preferences import look as _look
from ._restored_delays import keep_delays as _keep_delays

if _typing.TYPE_CHECKING:
    from . import analysis, bio, data, muscle
    from .arm import ArmBatch, ArmTask
    from .bio.genn import genn_findings
    from .bio.recording import Simulation
    from .bio.simulate import simulate
    from .bridge import init, losses
    from .bridge.bundle import load, save
    from .bridge.event_driven.spike_times import SpikeTimes
    from .bridge.exchange import from_nir, to_nir
    from .bridge.fitting import RecordingFit, fit_recording
    from .bridge.learning import (
        BPTT,
        DECOLLE,
        FPTT,
        FPTT_K,
        OTTT,
        RTRL,
        ElasticWeights,
        EProp,
        EventProp,
        Fit,
        GradientCheck,
        Rule,
        SynapticIntelligence,
        Task,
        TrainingWarning,
        Trial,
        check_gradient,
        fit,
    )
    from .bridge.mirror import Mirror, mirror
    from .bridge.nudge import Nudge
    from .bridge.parameter import Bounded, Free, Positive, Sign
    from .bridge.recording import Recording
    from .bridge.register import register
    from .bridge.surrogates import (
        Arctan,
        FastSigmoid,
        Gaussian,
        Sigmoid,
        SuperSpike,
        Triangle,
        surrogates,
    )
    from .bridge.tie import Tied
    from .bridge.weights import Weights, set_weights, weights
    from .bridge.written import Written
    from .gym import ArmEnv as ArmEnv
    from .gym import ArmVectorEnv as ArmVectorEnv
    from .validation import validate

__version__ = "0.1.0"

__all__ = [
    "BPTT",
    "DECOLLE",
    "FPTT",
    "FPTT_K",
    "OTTT",
    "RTRL",
    "Arctan",
    "ArmBatch",
    "ArmTask",
    "Bounded",
    "EProp",
    "ElasticWeights",
    "EventProp",
    "FastSigmoid",
    "Fit",
    "Free",
    "Gaussian",
    "GradientCheck",
    "Mirror",
    "Nudge",
    "Positive",
    "Recording",
    "RecordingFit",
    "Rule",
    "Sigmoid",
    "Sign",
    "Simulation",
    "SpikeTimes",
    "SuperSpike",
    "SynapticIntelligence",
    "Task",
    "Tied",
    "TrainingWarning",
    "Trial",
    "Triangle",
    "Weights",
    "Written",
    "analysis",
    "bio",
    "check_gradient",
    "data",
    "fit",
    "fit_recording",
    "from_nir",
    "genn_findings",
    "init",
    "load",
    "losses",
    "mirror",
    "muscle",
    "register",
    "save",
    "set_weights",
    "simulate",
    "surrogates",
    "to_nir",
    "validate",
    "weights",
]


_look()
_keep_delays()

_HOMES = {  # module to the public names that it has
    "arm": "ArmBatch ArmTask",
    "bio.genn": "genn_findings",
    "bio.recording": "Simulation",
    "bio.simulate": "simulate",
    "bridge.bundle": "load save",
    "bridge.exchange": "from_nir to_nir",
    "bridge.event_driven.spike_times": "SpikeTimes",
    "bridge.fitting": "RecordingFit fit_recording",
    "bridge.learning": "BPTT DECOLLE FPTT FPTT_K OTTT RTRL EProp ElasticWeights EventProp Fit "
    "GradientCheck Rule SynapticIntelligence Task TrainingWarning Trial check_gradient fit",
    "bridge.mirror": "Mirror mirror",
    "bridge.nudge": "Nudge",
    "bridge.parameter": "Bounded Free Positive Sign",
    "bridge.recording": "Recording",
    "bridge.register": "register",
    "bridge.surrogates": "Arctan FastSigmoid Gaussian Sigmoid SuperSpike Triangle surrogates",
    "bridge.tie": "Tied",
    "bridge.weights": "Weights set_weights weights",
    "bridge.written": "Written",
    "validation": "validate",
    "gym": "ArmEnv ArmVectorEnv",
}
_MODULES = {
    "analysis": "analysis",
    "bio": "bio",
    "data": "data",
    "muscle": "muscle",
    "init": "bridge.init",
    "losses": "bridge.losses",
    "errors": "errors",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """A public name, imported when it is first asked for: torch and brian2 take seconds.

    Raises:
        MissingDependency: It needs gymnasium or brian2, which is not installed.
        AttributeError: There is no such name.
    """
    from importlib import import_module

    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f".{_HOME[name]}", __name__)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("brian2"):
            raise
        from .errors import MissingDependency

        raise MissingDependency(f"mirrorneuron.{name}", "brian2", "") from error
    globals()[name] = found = getattr(home, name)
    return found


def __dir__() -> list[str]:
    from importlib.util import find_spec

    absent = set[str]() if find_spec("gymnasium") else set(_HOMES["gym"].split())
    return sorted({*globals(), *__all__, *_HOME, *_MODULES} - absent)
