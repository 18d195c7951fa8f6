"""Learning rules, and `fit`, which applies one."""

from ._contracts import Outcome, Rule, Task, Trial
from .bptt import BPTT
from .fit import Fit, fit
from .fptt import FPTT
from .fptt_k import FPTT_K
from .natural import Natural

__all__ = [
    "BPTT",
    "FPTT",
    "FPTT_K",
    "Fit",
    "Natural",
    "Outcome",
    "Rule",
    "Task",
    "Trial",
    "fit",
]
