"""Recordings of touch, read from a file."""

from pathlib import Path

import numpy as np

from mirrorneuron.errors import DataError

from ._generator import Trials

LAYOUT = (
    "an .npz file with `taxels` (whole numbers, trial x sample x taxel), `timestamp` (float, trial"
    " x sample, rising [s]) and `letter` (text, trial)"
)
FEWEST = 5  # trials of a letter, one for each fold


def recorded(path: Path) -> tuple[Trials, tuple[str, ...]]:
    """Trials of a file, and the letters that are its classes.

    Raises:
        DataError: It is missing, or of another layout.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            taxels, time, letter = (held[key] for key in ("taxels", "timestamp", "letter"))
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"--data {path}: this is no recording of touch ({error}). It reads {LAYOUT}."
        ) from error
    shapes = f"taxels have the shape {taxels.shape}, time {time.shape}, letters {letter.shape}"
    if taxels.ndim != 3 or time.shape != taxels.shape[:2] or letter.shape != taxels.shape[:1]:
        raise DataError(f"--data {path}: {shapes}. It reads {LAYOUT}.")
    if taxels.dtype.kind not in "iu":
        raise DataError(
            f"--data {path}: taxels are of the type {taxels.dtype}, and the encoding follows whole"
            f" numbers. Write np.rint(taxels).astype(int). It reads {LAYOUT}."
        )
    if not (np.isfinite(time).all() and (np.diff(time, axis=1) > 0).all()):
        raise DataError(
            f"--data {path}: the times of a trial have to rise from sample to sample. It reads"
            f" {LAYOUT}."
        )
    letters, label, count = np.unique(letter, return_inverse=True, return_counts=True)
    if len(letters) < 2 or count.min() < FEWEST:
        found = ", ".join(f"{n} of {str(a)!r}" for a, n in zip(letters, count, strict=True))
        raise DataError(
            f"--data {path}: there are {found or 'no trials'}. Five folds need two letters, and"
            f" {FEWEST} trials of each."
        )
    since = time.astype(float) - time[:, :1]
    return Trials(taxels.astype(np.int64), since, label), tuple(map(str, letters))
