"""Learning rules, and `fit`, which applies one."""

from ._contracts import Outcome, Rule, Task, Trial
from .bptt import BPTT
from .central_difference import check_gradient
from .decolle import DECOLLE
from .elastic_weights import ElasticWeights
from .eprop import EProp
from .eventprop import EventProp
from .fit import fit
from .fptt import FPTT
from .fptt_k import FPTT_K
from .gradient_check import GradientCheck
from .guard import TrainingWarning
from .ottt import OTTT
from .result import Fit
from .rtrl import RTRL
from .synaptic_intelligence import SynapticIntelligence

__all__ = [
    "BPTT",
    "DECOLLE",
    "FPTT",
    "FPTT_K",
    "OTTT",
    "RTRL",
    "EProp",
    "ElasticWeights",
    "EventProp",
    "Fit",
    "GradientCheck",
    "Outcome",
    "Rule",
    "SynapticIntelligence",
    "Task",
    "TrainingWarning",
    "Trial",
    "check_gradient",
    "fit",
]
