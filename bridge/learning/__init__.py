"""Learning rules, and `fit`, which applies one."""

from ._contracts import Outcome, Rule, Task, Trial
from .bptt import BPTT
from .fit import Fit, fit

__all__ = ["BPTT", "Fit", "Outcome", "Rule", "Task", "Trial", "fit"]
