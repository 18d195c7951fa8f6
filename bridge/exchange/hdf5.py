"""HDF5: a file that refers to nothing outside itself, and is no larger than it says."""

from pathlib import Path
from typing import Any

from mirrorneuron._memory import available_memory
from mirrorneuron.errors import ExportError


def require_plain_file(path: Path, asked: str) -> None:
    """Refuse links, data that lie elsewhere, and sizes beyond reason, before anything is read.

    Arguments:
        path: Of the file.
        asked: What was called, for messages.

    Raises:
        ExportError: Names the first of them, or says that it is no HDF5 file.
    """
    import h5py  # comes with nir

    try:
        with h5py.File(path, "r") as file:
            _require_plain(h5py, file, asked, 0)
    except ExportError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ExportError(
            f"{asked}: the file cannot be read ({' '.join(str(error).split())[:200]}). Write it"
            " with nir.write(path, graph), or check the path."
        ) from error


def _require_plain(h5py: Any, group: Any, asked: str, depth: int) -> None:
    if depth > 20:
        raise ExportError(f"{asked}: more than 20 groups lie in each other. {_AGAIN}")
    for name in group:
        link = group.get(name, getlink=True)
        where = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise ExportError(f"{asked}: {where} is a link, which may lead elsewhere. {_AGAIN}")
        thing = group[name]
        if isinstance(thing, h5py.Group):
            _require_plain(h5py, thing, asked, depth + 1)
        elif thing.external or thing.is_virtual:
            raise ExportError(f"{asked}: the data of {where} lie in another file. {_AGAIN}")
        elif thing.size and thing.size * thing.dtype.itemsize > available_memory() // 2:
            raise ExportError(f"{asked}: {where} has {thing.size:,} values. {_AGAIN}")


_AGAIN = "Write the graph again with nir.write(path, graph)."
