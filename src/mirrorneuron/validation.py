"""validate: a Brian2 network and its mirror side by side, and what to make of it."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from mirrorneuron._callers import callers_names
from mirrorneuron.analysis.validate import LOCKED, Validation, judge
from mirrorneuron.analysis.validation import Comparison, Events, LockedStep, Spikes
from mirrorneuron.bridge.collect import as_network
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.validate import Evidence, compare
from mirrorneuron.errors import DomainError

from ._arguments import Seed, checked


@checked
def validate(
    network: Any,
    model: Mirror,
    duration: Any,
    *,
    seed: Seed = 0,
    locked: bool = True,
    namespace: Mapping[str, Any] | None = None,
) -> Validation:
    """Compare a network with its mirror, from the network's present state.

    Three questions are put: are the spike trains of a free run equal; how far is one mirrored
    step from Brian2's own, at every step; do the statistics agree. Both run in double precision;
    the network, its monitors and the random numbers are as before afterwards.

    Arguments:
        network: Brian2 network, a list of objects, or `magic_network`.
        model: Its mirror. Write trained values back first: they are part of the comparison.
        duration: How long, a Quantity [s].
        seed: Seed of the random numbers on both sides.
        locked: Whether to take locked steps, which doubles the time.
        namespace: Names for equations whose group has no namespace, by default the caller's.

    Returns:
        The verdict: printable, `.ok`, `.to_json()`, `.save(directory)`.

    Raises:
        UnitError: The duration is no time.
        DomainError: There is no network, or it is none.
    """
    if network is None:
        raise DomainError(
            "validate(None, model, ...): there is no Brian2 network to compare with, as for a model"
            " that was loaded from a file. Build the network again and write mn.validate(net,"
            " model, 1*second)."
        )
    names = callers_names() if namespace is None else namespace
    network = as_network(network, names)
    return verdict(compare(network, model, duration, names, seed, locked))


def verdict(evidence: Evidence) -> Validation:
    """What to make of a comparison. A network in single precision is held to that precision."""
    return judge(comparison(evidence), max(LOCKED, 100 * evidence.precision))


def comparison(evidence: Evidence) -> Comparison:
    """Evidence of a run in the form in which `analysis` judges it."""
    return Comparison(
        evidence.dt,
        evidence.steps,
        "float64",
        spikes={
            name: Spikes(size, Events(*evidence.brian2[name]), Events(*evidence.mirror[name]))
            for name, size in evidence.sizes.items()
        },
        locked={key: LockedStep(w.error, w.step) for key, w in evidence.locked.items()},
        paths={key: LockedStep(w.error, w.step) for key, w in evidence.paths.items()},
        unanswered={} if evidence.locked else {"locked steps": "they were not asked for"},
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    libraries = ("mirrorneuron", "brian2", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in libraries}}
