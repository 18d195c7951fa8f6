"""Archive: the parts of a bundle in one file, or in a folder.

The file is a ZIP archive that stores three parts as they are, so that it cannot unfold into more
than it is. Nothing is extracted: parts are read into memory, and by their three names alone.
"""

import hashlib
import json
import os
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from mirrorneuron._memory import available_memory

from ._fault import Fault, shown

FORMAT, VERSION = "mirrorneuron bundle", 1
MANIFEST, SPEC, WEIGHTS = "manifest.json", "spec.json", "weights.safetensors"
PARTS = (MANIFEST, SPEC, WEIGHTS)
MOST_TEXT = 256 * 2**20  # bytes of one of the two parts in JSON
LIBRARIES = ("mirrorneuron", "brian2", "torch", "numpy", "safetensors")
STAMP = (1980, 1, 1, 0, 0, 0)  # one model gives one file, to the last byte


def packed(spec: bytes, weights: bytes) -> bytes:
    """A bundle as the bytes of a file."""
    parts = {MANIFEST: _manifest({SPEC: spec, WEIGHTS: weights}), SPEC: spec, WEIGHTS: weights}
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in PARTS:
            archive.writestr(zipfile.ZipInfo(name, STAMP), parts[name])
    return file.getvalue()


def _manifest(parts: Mapping[str, bytes]) -> bytes:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "parts": {name: {"sha256": _digest(p), "bytes": len(p)} for name, p in parts.items()},
        "made_with": {name: _version(name) for name in LIBRARIES},
    }
    return json.dumps(content, indent=1).encode()


def _digest(part: bytes) -> str:
    return hashlib.sha256(part).hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def write(path: Path, content: bytes) -> None:
    """Write a file beside its place, sync and rename it: it is whole, or it is not there.

    Raises:
        OSError: It cannot be written; what was there before is untouched.
    """
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(new, 0o666 & ~_umask())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# ---- reading


def parts_of(path: Path) -> tuple[bytes, bytes]:
    """The specification and the weights of a bundle, which are what its manifest says.

    Raises:
        Fault: They are not.
        OSError: The file cannot be read.
    """
    return unpacked_folder(path) if path.is_dir() else unpacked(_content(path))


def unpacked_folder(folder: Path) -> tuple[bytes, bytes]:
    """The parts of a bundle that lie in a folder.

    Raises:
        Fault: They are no bundle.
        OSError: They cannot be read.
    """
    for name in PARTS:
        if not (folder / name).exists():
            raise Fault(f"the folder has no {name}")
        if (folder / name).is_symlink():
            raise Fault(f"{name} is a link to another file")
    return _checked({name: _content(folder / name) for name in PARTS})


def _content(path: Path) -> bytes:
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise Fault("it is no file")
    if about.st_size > available_memory() // 2:
        raise Fault(f"it has {about.st_size:,} bytes, for which there is no memory")
    return path.read_bytes()


def unpacked(content: bytes) -> tuple[bytes, bytes]:
    """The parts of a bundle from the bytes of its file.

    Raises:
        Fault: They are no bundle, or not the one that was saved.
    """
    if not content:
        raise Fault("it is empty")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return _checked({i.filename: _stored(archive, i) for i in _entries(archive)})
    except Fault:
        raise
    except Exception as error:  # of many types, for an archive that is damaged
        raise Fault(f"it is no archive that can be read ({type(error).__name__})") from error


def _entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The parts of an archive, each of which is a plain one."""
    entries = archive.infolist()
    for entry in entries[:10]:
        name = shown(entry.orig_filename)
        if entry.orig_filename not in PARTS:
            raise Fault(f"it has a part {name}; a bundle has {', '.join(PARTS)} and no other")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Fault(f"{name} is compressed or encrypted, and a bundle stores it as it is")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Fault(f"{name} is a link or a folder, and has to be a file")
    if sorted(entry.filename for entry in entries) != sorted(PARTS):
        raise Fault(f"it has {len(entries)} parts; a bundle has each of {', '.join(PARTS)} once")
    return entries


def _stored(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size != entry.compress_size:
        raise Fault(f"{shown(entry.filename)} claims another size than it has")
    return archive.read(entry)


def _checked(parts: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Specification and weights, if they are what the manifest says."""
    manifest = read_json(parts[MANIFEST], MANIFEST)
    if manifest.get("format") != FORMAT:
        raise Fault(f"{MANIFEST} does not say that it is a {FORMAT}")
    found = manifest.get("version")
    if type(found) is not int or found != VERSION:
        raise Fault(f"its version is {shown(repr(found))}, and this mirrorneuron reads {VERSION}")
    listed: Any = manifest.get("parts")
    for name in (SPEC, WEIGHTS):
        said: Any = cast(Any, listed).get(name) if isinstance(listed, dict) else None
        true = {"sha256": _digest(parts[name]), "bytes": len(parts[name])}
        if said != true:
            raise Fault(f"{name} is not what {MANIFEST} says: its digest or its length differs")
    return parts[SPEC], parts[WEIGHTS]


def read_json(content: bytes, what: str) -> dict[str, Any]:
    """The object that a part in JSON holds.

    Raises:
        Fault: It holds none, or NaN, or a name twice.
    """
    if len(content) > MOST_TEXT:
        raise Fault(f"{what} has {len(content):,} bytes, and at most {MOST_TEXT:,} are read")
    try:
        found = json.loads(
            content.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError, MemoryError) as error:
        raise Fault(f"{what} is no JSON that can be read ({str(error)[:100]})") from error
    if not isinstance(found, dict):
        raise Fault(f"{what} holds no object")
    return cast(dict[str, Any], found)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name stands there twice")
    return made
