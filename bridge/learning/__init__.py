"""Learning rules, and `fit`, which applies one."""

from ._contracts import Outcome, Rule, Task, Trial
from .bptt import BPTT
from .fit import Fit, fit
from .natural import Natural

__all__ = ["BPTT", "Fit", "Natural", "Outcome", "Rule", "Task", "Trial", "fit"]
