"""DECOLLE: each layer learns by a readout of its own, which stays as it was drawn.

Source: Kaiser, Mostafa & Neftci 2020, doi:10.3389/fnins.2020.00424. See `lower/traces/senders.py`
for what is carried along.
Differs from it: the filters are those of the model's own equations, so that the paper's neuron is
one with two exponential filters; its layers are whatever groups have trained synapses and spike.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, GradientError

from ..lower.traces.seat import ends
from ..mirror import Mirror
from ..recording import Recording
from ._contracts import Loss, Trial
from .carried import Carried
from .online import Traced, traced_by_sender

LocalLoss = Callable[[Tensor, Recording, Trial], Tensor]


@checked
@dataclass(frozen=True)
class DECOLLE(Carried):
    r"""Deep continuous local learning: no signal passes from layer to layer.

    Each group of spiking neurons that trained synapses end on has a readout, $y = G s$ of its
    spikes s at each step, with random weights G that stay. The gradient of a weight is
    $\sum_t L_i\,\psi_i\,a_j$ as in `OTTT`, but $L_i$ is the derivative by the spikes of the local
    loss of that readout, and of the task's own loss where this reads these spikes. Synapses to
    groups that do not spike learn by the task's own loss.

    That needs neurons that are linear filters of spikes, all alike, with a reset that adds
    (`v -= 1`), and a model with reset_gradient="detach".

    Arguments:
        window, update: As in `RTRL`.
        local_loss: Loss of a readout, local_loss(y, recording, trial), with y as "time batch
            output": a tensor of one number, and a sum over time where there are windows.
        outputs: Number of outputs of each readout.
        seed: Of the weights of the readouts, drawn from a normal distribution with the variance of
            one over the number of neurons.

    Raises:
        DomainError: There is no local loss, no output, or the seed is no whole number.
        GradientError: A neuron is no such filter, or a parameter no weight: the message says which,
            and names the rule that takes it. See also `RTRL`.

    Example:
        >>> rule = DECOLLE(local_loss=lambda y, recording, trial: (y - 0.1).square().sum())
        >>> rule.outputs
        2
    """

    local_loss: LocalLoss | Any = None
    outputs: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.local_loss):
            raise DomainError(
                f"DECOLLE(local_loss={self.local_loss!r}): nothing says what the readout of a layer"
                " is to give. Write mn.DECOLLE(local_loss=lambda y, recording, trial: (y -"
                " trial.target).square().sum())."
            )
        for name, least in (("outputs", 1), ("seed", 0)):
            given: Any = getattr(self, name)
            if not isinstance(given, int) or isinstance(given, bool) or given < least:
                raise DomainError(
                    f"DECOLLE({name}={given!r}): that is a whole number from {least} on. Write"
                    f" {name}={least + 1}."
                )

    def traced(self, model: Mirror, read: Sequence[str], driven: Iterable[str] = ()) -> Traced:
        """See `Carried.traced`."""
        return traced_by_sender(model, read, "rule=mn.DECOLLE(...)", False, driven)

    def loss(self, loss_of: Loss, leaves: Recording, trial: Trial, model: Mirror) -> Tensor:
        """The task's own loss and those of the layers' readouts: see `Carried.loss`."""
        total = loss_of(leaves, trial)
        for name in layers(model):
            spikes = leaves.spikes[name]
            y = spikes @ self.readout(name, spikes)
            local: Any = self.local_loss(y, leaves, trial)
            if not isinstance(local, Tensor) or local.numel() != 1:
                raise GradientError(
                    f"DECOLLE(local_loss=...): for the layer {name!r} it gave {local!r}, and a"
                    " gradient is that of one number, in a tensor. Write .sum() at its end."
                )
            total = total + local.reshape(())
        return total

    def readout(self, name: str, spikes: Tensor) -> Tensor:
        """Weights of the readout of a layer, "neuron output", as its spikes are typed."""
        rng = np.random.default_rng([self.seed, crc32(name.encode())])
        size = spikes.shape[-1]
        return torch.from_numpy(rng.normal(0, size**-0.5, (size, self.outputs))).to(spikes)


def layers(model: Mirror) -> list[str]:
    """Groups of spiking neurons that trained synapses end on."""
    program, spiking = model.program, set(model.program.spiking())
    owners = [key.partition(".")[0] for key in model.keys]
    reached = [name for owner in owners for name, _ in ends(program, owner)]
    return [name for name in dict.fromkeys(reached) if name in spiking]
