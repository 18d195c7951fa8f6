"""mirrorneuron: train Brian2 networks by gradient descent, and still trust them.

`ArmEnv` and `ArmVectorEnv` are here too, and are imported when they are first asked for: they need
gymnasium, `pip install 'mirrorneuron[gym]'`.
"""

import typing as _typing

from . import analysis, bio, muscle
from .arm import ArmBatch, ArmTask
from .bio.genn import genn_findings
from .bio.recording import Simulation
from .bio.simulate import simulate
from .bridge import losses
from .bridge.fitting import RecordingFit, fit_recording
from .bridge.learning import (
    BPTT,
    FPTT,
    FPTT_K,
    Fit,
    GradientCheck,
    Rule,
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
from .bridge.written import Written
from .validation import validate

if _typing.TYPE_CHECKING:
    from .gym import ArmEnv as ArmEnv
    from .gym import ArmVectorEnv as ArmVectorEnv

__version__ = "0.1.0"

__all__ = [
    "BPTT",
    "FPTT",
    "FPTT_K",
    "Arctan",
    "ArmBatch",
    "ArmTask",
    "Bounded",
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
    "SuperSpike",
    "Task",
    "Tied",
    "TrainingWarning",
    "Trial",
    "Triangle",
    "Written",
    "analysis",
    "bio",
    "check_gradient",
    "fit",
    "fit_recording",
    "genn_findings",
    "losses",
    "mirror",
    "muscle",
    "register",
    "simulate",
    "surrogates",
    "validate",
]


def __getattr__(name: str) -> object:
    """What needs gymnasium.

    Raises:
        MissingDependency: It is not installed.
        AttributeError: There is no such name.
    """
    if name in ("ArmEnv", "ArmVectorEnv"):
        from . import gym

        return getattr(gym, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
