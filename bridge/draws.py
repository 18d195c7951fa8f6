"""Random numbers: one stream for each trial."""

from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .program import Array

MEANS = {"rand": 0.5, "randn": 0.0}


class Sites(NamedTuple):
    """Some elements, in order: trial of each, its place in a flat array, the shape of that."""

    batch: Array
    place: Array
    shape: tuple[int, ...]


class Draws:
    """Random numbers: one stream a trial, consumed in the order of Brian2's numpy target.

    The first trial draws what numpy draws after `np.random.seed`. Streams are made when the first
    number is drawn: most networks draw none.

    Arguments:
        seed: Seed of the first trial; the others get streams of their own from it. None takes a
            fresh one.
        size: Number of trials.
    """

    def __init__(self, seed: int | None, size: int) -> None:
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        self.seed, self.size = seed, size

    @staticmethod
    def given(*streams: np.random.RandomState) -> "Draws":
        """Streams that exist already."""
        draws = Draws(0, len(streams))
        draws.streams = streams
        return draws

    @cached_property
    def streams(self) -> tuple[np.random.RandomState, ...]:
        """One for each trial."""
        rest = np.random.SeedSequence(self.seed).spawn(self.size - 1)
        others = (np.random.RandomState(s.generate_state(4)) for s in rest)
        return (np.random.RandomState(self.seed), *others)

    def of_trials(self, start: int, stop: int) -> "Draws":
        """Streams of some trials, at the same place."""
        return Draws.given(*deepcopy(self.streams[start:stop]))

    def copy(self) -> "Draws":
        """Streams that go on from the same place on their own."""
        return deepcopy(self)

    def draw(self, kind: str, sizes: Sequence[int], args: Sequence[Sequence[Any]]) -> list[Array]:
        """`sizes[b]` numbers for trial b, by the method `kind` of its stream with `args[b]`."""
        made: list[Array] = []
        for stream, size, own in zip(self.streams, sizes, args, strict=True):
            if kind in ("rand", "randn"):
                made.append(getattr(stream, kind)(size))
            else:
                made.append(getattr(stream, kind)(*own, size=size).astype(float))
        return made


class ExpectedDraws(Draws):
    """Expected values in place of random numbers."""

    def __init__(self, size: int) -> None:
        super().__init__(0, size)

    def draw(self, kind: str, sizes: Sequence[int], args: Sequence[Sequence[Any]]) -> list[Array]:
        """See `Draws.draw`."""
        return [np.full(size, _mean(kind, own)) for size, own in zip(sizes, args, strict=True)]


def _mean(kind: str, args: Sequence[Any]) -> Any:
    """Expected value of a draw."""
    if kind == "binomial":
        return args[0] * args[1]
    return MEANS[kind] if kind in MEANS else args[0]
