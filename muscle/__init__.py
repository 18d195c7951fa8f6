"""muscle: muscles, joints and senses as Brian2 equations, with the paper that each comes from.

`arm = plants["arm26_nijhof"].build()` makes Brian2 objects that join any network,
`Network(cells, *arm.objects)`: motor neurons excite `arm.muscles` through Synapses, afferents read
them, and `mirror` differentiates through all of it.
"""

if __name__ == "muscle":
    raise ImportError(
        "import muscle: this folder is one package only. Write import mirrorneuron.muscle."
    )

from ._contracts import Activation, Curves, Receptor
from .activations import activations
from .body import Body
from .curves import curves
from .plant import Muscle, Plant
from .plants import plants
from .receptors import receptors
from .skeleton import Joint, OneJoint, TwoJoints, energy

__all__ = [
    "Activation",
    "Body",
    "Curves",
    "Joint",
    "Muscle",
    "OneJoint",
    "Plant",
    "Receptor",
    "TwoJoints",
    "activations",
    "curves",
    "energy",
    "plants",
    "receptors",
]
