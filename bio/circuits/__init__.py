"""Circuits: published networks as tables, wiring drawn in numpy, and plain Brian2 objects."""

from ._contracts import Pathway, Population, Wiring
from .activity import Activity
from .cerebellum import Circuit, cerebellum
from .eyeblink import Conditioning, Phase, eyeblink_conditioning
from .learning import Plastic
from .protocols import climbing_fibre_pause, mossy_fibre_step, resting_state
from .stimuli import Trains

__all__ = [
    "Activity",
    "Circuit",
    "Conditioning",
    "Pathway",
    "Phase",
    "Plastic",
    "Population",
    "Trains",
    "Wiring",
    "cerebellum",
    "climbing_fibre_pause",
    "eyeblink_conditioning",
    "mossy_fibre_step",
    "resting_state",
]
