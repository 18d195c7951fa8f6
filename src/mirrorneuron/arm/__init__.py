"""Arms that somebody's own controller moves: tasks, senses, batches of trials with gradients."""

from .arm import Arm
from .batch import ArmBatch
from .task import TASKS, ArmTask

__all__ = ["TASKS", "Arm", "ArmBatch", "ArmTask"]
