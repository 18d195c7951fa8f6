r"""Decoders: a Wiener filter, and networks that are trained, pruned and tested.

Loss and bounds: Liu, Gygax, Rossbroich et al. 2024, arXiv:2409.01762, section II.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Hz, SpikeMonitor, StateMonitor, second
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

import mirrorneuron as mn
from mirrorneuron.analysis import complexity
from mirrorneuron.errors import CheckpointError

from .._kit.file import whole
from ._generator import Session
from ._network import BETA, DT, Spikes, Values, mirrored, recurrent, start, values_of

TAPS, TAP = 7, 7  # of the Wiener filter: number, and length of each in bins of 4 ms
RIDGE = 1.0
LOW, MOST = 1e-3, 10.0  # spikes of a neuron, and of the mean neuron, in a window
LOST = 0.02  # of R2 on training data, after which pruning stops
SHARES = (0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8)  # of weights that are pruned
Array = NDArray[Any]


def r_squared(truth: Float[np.ndarray, "time 2"], found: Float[np.ndarray, "time 2"]) -> float:
    """Mean over both axes of the explained share of the variance."""
    rest = np.square(truth - found).sum(0) / np.square(truth - truth.mean(0)).sum(0)
    return float(np.mean(1 - rest))


def wiener(session: Session) -> float:
    """R2 of a linear filter over the last 196 ms, in taps of 28 ms."""
    train, test = session.training, session.test
    x, y = _taps(train.spikes), train.velocity
    gram = x.T @ x + RIDGE * np.eye(x.shape[1])
    return r_squared(test.velocity, _taps(test.spikes) @ np.linalg.solve(gram, x.T @ y))


def _taps(spikes: Array) -> Float[np.ndarray, "time feature"]:
    total = np.vstack([np.zeros((1, spikes.shape[1])), np.cumsum(spikes, 0)])
    rows = np.arange(1, len(spikes) + 1)
    columns = [
        total[np.maximum(rows - k * TAP, 0)] - total[np.maximum(rows - (k + 1) * TAP, 0)]
        for k in range(TAPS)
    ]
    return np.hstack([*columns, np.ones((len(spikes), 1))])


@dataclass(frozen=True)
class Setting:
    """One training.

    Arguments:
        hidden, heads: Neurons, and readouts that are averaged; 0 heads is the baseline.
        seed: Of weights and windows.
        updates, batch, lr: Of the training.
        window: Length of a window [s].
        upper: Strength of the upper bound of spike counts.
    """

    hidden: int
    heads: int
    seed: int
    updates: int
    batch: int = 32
    lr: float = 1e-2
    window: float = 2.0
    upper: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether it is the baseline."""
        return self.heads == 0

    def begin(self, session: Session) -> Values:
        """Weights before training, that let fluctuations reach the threshold."""
        channels = session.spikes.shape[1]
        values = start(channels, self.hidden, max(self.heads, 1), self.seed)
        if self.plain:
            w = {k: values.weights[k] for k in ("ih", "ho")}
            scale = 1 / np.sqrt(session.spikes.mean() * channels / (1 - BETA**2))
            w["ih"], w["ho"] = w["ih"] * scale, w["ho"] * 0.1
            return Values(w)
        model = mirrored(values)
        rate = float(session.spikes.mean() / DT)
        wanted = {"hidden": 0.5, "readout.u": 0.5}
        mn.init.fluctuation_driven(
            model, {"stimulus": rate * Hz, "hidden": 5 * Hz}, sigma_u=wanted, alpha=0.9,
            seed=self.seed,
        )  # fmt: skip
        return values_of(model, values)


def fitted(
    setting: Setting, session: Session, values: Values, folder: Path | None, kept: float = 1.0,
    masks: Mapping[str, Array] | None = None,
) -> Values:  # fmt: skip
    """Values after training.

    Arguments:
        setting: Of the training.
        session: Whose training part is learnt.
        values: Before training; where masks are given, those of the pruned network.
        folder: Of the checkpoint, or None.
        kept: Share of the updates that are made.
        masks: Whether a weight is kept; without them, all.
    """
    model, updates = mirrored(values, setting.plain), max(1, round(setting.updates * kept))
    train, size = session.training, session.training.velocity.std()
    steps = round(setting.window / DT)
    starts = np.arange(0, len(train.spikes) - steps, round(0.4 / DT))
    loss = _loss(setting, model)

    def trial(step: int) -> mn.Trial:
        chosen = np.random.default_rng([setting.seed, 7, step]).choice(starts, setting.batch)
        rows = chosen[None, :] + np.arange(steps)[:, None]
        target = torch.from_numpy((train.velocity[rows] / size).astype(np.float32))
        return mn.Trial({"stimulus": train.spikes[rows]}, target, batch_size=setting.batch)

    task = mn.Task(setting.window * second, loss, trial, record=["readout.u"])
    mn.fit(
        model, task, steps=updates, seed=setting.seed,
        optimizer=lambda p: torch.optim.Adam(p, lr=setting.lr),
        schedule=lambda o: CosineAnnealingLR(o, updates), checkpoint=folder, every=50, clip=1.0,
        report=None,
    )  # fmt: skip
    return values_of(model, values)


def _loss(setting: Setting, model: mn.Mirror) -> Any:
    low = mn.losses.at_least("hidden", LOW)
    high = mn.losses.at_most("hidden", MOST, over="neurons")

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        error = (decoded(recording["readout.u"]) - trial.target).square().mean().sqrt()
        bound = 100 * low(recording, trial)
        return error + bound + setting.upper * high(recording, trial)

    return loss


def decoded(u: Tensor) -> Tensor:
    """Mean over the heads, "time batch axis"."""
    return u.unflatten(-1, (-1, 2)).mean(-2)


@dataclass(frozen=True)
class Tested:
    """How well a decoder does.

    Arguments:
        r2: On the test data.
        accumulates: Effective ones in a step.
        sparsity: Of the hidden layer.
        shown: True and decoded velocity of some seconds [mm/s], "axis time".
    """

    r2: float
    accumulates: float
    sparsity: float
    shown: Sequence[Any] = ((), ())


def tested(values: Values, plain: bool, part: Session, size: float) -> Tested:
    """Run it over one continuous stretch.

    Arguments:
        values, plain: The decoder.
        part: The stretch.
        size: Standard deviation of velocities in the training [mm/s].
    """
    model = mirrored(values, plain)
    with torch.no_grad():
        seen = model.run_steps(
            len(part.spikes), {"stimulus": part.spikes[:, None]}, record=["readout.u"]
        )
        found = decoded(seen["readout.u"])[:, 0].double().numpy() * size
    cost = complexity(model, seen)
    some = slice(0, round(8 / DT))
    return Tested(
        r_squared(part.velocity, found), cost.effective_accumulates, cost.sparsity["hidden"],
        (part.velocity[some].T.tolist(), found[some].T.tolist()),
    )  # fmt: skip


def pruned(
    setting: Setting, session: Session, values: Values, size: float, shares: tuple[float, ...],
    kept: float,
) -> tuple[float, Values]:  # fmt: skip
    """The sparsest network that loses little on training data, and its share of zeros.

    Each share is pruned from the trained network and trained again.
    """
    part = session.training.part(0.0, 0.3)
    reference = tested(values, False, part, size).r2
    best = (0.0, values)
    for share in shares:
        masked = masked_values(values, share)
        again = fitted(replace(setting, seed=setting.seed + 100), session, masked, None, kept)
        if tested(again, False, part, size).r2 < reference - LOST:
            break
        best = (share, again)
    return best


def masked_values(values: Values, share: float) -> Values:
    """The smallest weights of each matrix set to zero."""
    kept = {k: w * (np.abs(w) > np.quantile(np.abs(w), share)) for k, w in values.weights.items()}
    return Values(kept, values.times)


def same_in_brian2(values: Values, part: Session, seconds: float) -> tuple[bool, float, int]:
    """Whether Brian2 spikes as the mirror does, how far readouts are apart, and how many spikes.

    Arguments:
        values: Of the recurrent decoder, as they are rounded.
        part: Whose first spikes are the input.
        seconds: How many of them [s].
    """
    steps = round(seconds / DT)
    raster = part.spikes[:steps]
    model = mirrored(values, dtype=torch.float64)
    with torch.no_grad():
        seen = model.run_steps(steps, {"stimulus": raster[:, None]}, record=["readout.u"])
    network = recurrent(values, Spikes.of(raster))
    spikes = SpikeMonitor(network["hidden"])
    trace = StateMonitor(network["readout"], "u", record=True, dt=DT * second)
    network.add(spikes, trace)
    network.run(steps * DT * second, namespace={})
    step, index = seen.events("hidden")
    theirs = set(zip(np.round(np.asarray(spikes.t) / DT).astype(int), spikes.i, strict=True))
    apart = np.abs(np.asarray(trace.u).T - seen["readout.u"][:, 0].numpy()).max()
    return theirs == set(zip(step, index, strict=True)), float(apart), len(theirs)


@dataclass(frozen=True)
class Trained:
    """A decoder and its test.

    Arguments:
        values: Of the decoder.
        test: With full precision and all weights.
        sparse: Share of pruned weights; 0 where none are.
        small: Test of the pruned network in half precision, and with weights of 8 bit.
        pruned: Its values, in half precision.
    """

    values: Values
    test: Tested
    sparse: float = 0.0
    small: tuple[Tested, Tested] | None = None
    pruned: Values | None = None

    def save(self, path: Path) -> None:
        """Write it."""
        plain = {
            "values": _plain(self.values), "test": self.test.__dict__, "sparse": self.sparse,
            "small": [t.__dict__ for t in self.small] if self.small else None,
            "pruned": _plain(self.pruned) if self.pruned else None,
        }  # fmt: skip
        with whole(path) as file:
            file.write(json.dumps(plain))

    @staticmethod
    def load(path: Path) -> "Trained":
        """Read it.

        Raises:
            CheckpointError: The file is damaged.
        """
        try:
            held = json.loads(path.read_text())
            small = [Tested(**t) for t in held["small"]] if held["small"] else None
            return Trained(
                _values(held["values"]), Tested(**held["test"]), held["sparse"],
                (small[0], small[1]) if small else None,
                _values(held["pruned"]) if held["pruned"] else None,
            )  # fmt: skip
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path} holds no finished training ({error}). Remove it, and it is computed again."
            ) from error


def _plain(values: Values) -> Any:
    return [{k: x.tolist() for k, x in part.items()} for part in (values.weights, values.times)]


def _values(plain: Any) -> Values:
    weights, times = ({k: np.array(x) for k, x in part.items()} for part in plain)
    return Values(weights, times)
