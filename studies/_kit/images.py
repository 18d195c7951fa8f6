"""Pictures and their classes: Fashion-MNIST, MNIST, and the small digits that need no download."""

import gzip
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mirrorneuron.errors import DataError, MissingDependency, UnknownName

from .data import data_set

Pictures = Float[np.ndarray, "sample pixel"]
Labels = Int[np.ndarray, " sample"]
DIGITS_TESTED = 360
AGAIN = "Write: mirrorneuron data {} --again"
NUMPYS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}  # all that an array needs


@dataclass(frozen=True)
class Images:
    """Pictures for training and test.

    Arguments:
        pixels, labels: Of the training, pixels between 0 and 1.
        test_pixels, test_labels: Of the test.
    """

    pixels: Pictures
    labels: Labels
    test_pixels: Float[np.ndarray, "test pixel"]
    test_labels: Int[np.ndarray, " test"]

    def first(self, training: int | None, test: int | None = None) -> "Images":
        """The first pictures only; None keeps all."""
        return Images(
            self.pixels[:training], self.labels[:training],
            self.test_pixels[:test], self.test_labels[:test],
        )  # fmt: skip


def images(name: str) -> Images:
    """Pictures by name: `fashion_mnist`, `mnist`, or `digits` (8 × 8, from scikit-learn).

    Raises:
        UnknownName: There are none of this name.
        DataError: They are not on this machine, or damaged.
        MissingDependency: scikit-learn, which carries `digits`, is not installed.
    """
    if name not in _READERS:
        raise UnknownName.among(f"data set of pictures {name!r}", name, _READERS)
    return _READERS[name]()


def _fashion_mnist() -> Images:
    folder = data_set("fashion_mnist").folder
    return Images(*(x for part in ("train", "t10k") for x in _idx_pair(folder, part)))


def _idx_pair(folder: Path, part: str) -> tuple[Pictures, Labels]:
    pixels = _idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = _idx(folder / f"{part}-labels-idx1-ubyte.gz")
    return _scaled(pixels.reshape(len(pixels), -1)), labels.astype(np.int64)


def _scaled(bytes_: Any) -> Pictures:
    return bytes_.astype(np.float32) / np.float32(255)


def _idx(path: Path) -> Any:
    """An array of bytes in the format IDX: two zeros, 8, the number of axes, sizes, values."""
    again = AGAIN.format("fashion_mnist")
    try:
        with gzip.open(path) as file:
            content = file.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. {again}") from error
    axes = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(content, ">u4", axes, 4) if len(content) >= 4 + 4 * axes else ()
    values = content[4 + 4 * axes :]
    if not axes or len(values) != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"{path} is no array of bytes in the format IDX. {again}")
    return np.frombuffer(values, np.uint8).reshape([int(n) for n in shape])


class _Arrays(pickle.Unpickler):
    """Reads arrays of numpy from a pickle, and executes nothing else."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The few names that an array needs."""
        if (module_name, global_name) not in NUMPYS:
            raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
        if global_name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]
        return getattr(np, global_name)


def arrays(file: Any, path: Path) -> Any:
    """What a pickle of numpy arrays, open for reading, holds.

    Raises:
        DataError: It holds something else.
    """
    try:
        return _Arrays(file, encoding="latin1").load()
    except Exception as error:
        raise DataError(
            f"{path} is no pickle of arrays: {error}. {AGAIN.format('mnist')}"
        ) from error


def _mnist() -> Images:
    path = data_set("mnist").folder / "mnist.pkl.gz"
    with gzip.open(path) as file:
        (x, y), _, (x_test, y_test) = arrays(file, path)
    return Images(_f32(x), np.asarray(y, np.int64), _f32(x_test), np.asarray(y_test, np.int64))


def _f32(x: Any) -> Pictures:
    return np.asarray(x, np.float32)


def _digits() -> Images:
    """1,797 digits of 8 × 8; the last fifth is the test."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependency("the data set 'digits'", "scikit-learn", "data") from error
    pixels, labels = load_digits(return_X_y=True)
    pixels, labels = _f32(pixels) / np.float32(16), np.asarray(labels, np.int64)
    train, test = slice(None, -DIGITS_TESTED), slice(-DIGITS_TESTED, None)
    return Images(pixels[train], labels[train], pixels[test], labels[test])


_READERS: Mapping[str, Callable[[], Images]] = {
    "digits": _digits,
    "fashion_mnist": _fashion_mnist,
    "mnist": _mnist,
}
