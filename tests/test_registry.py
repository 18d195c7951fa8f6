"""Registry: a file in a folder is the registration."""

import sys
from pathlib import Path

import pytest

import mirrorneuron as mn
from mirrorneuron._registry import Registry, RegistryError
from mirrorneuron.errors import UnknownName


class Thing:
    """What the family below provides."""


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Name of a package, into whose folder a test may write modules."""
    name = f"family_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def write(family: str, module: str, text: str) -> None:
    head = f"from {__name__} import Thing\n"
    folder = next(Path(p) / family for p in sys.path if (Path(p) / family).is_dir())
    path = folder / f"{module}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(head + text)


def test_a_file_with_one_instance_or_one_class_is_an_entry(family: str) -> None:
    write(family, "one", "one = Thing()\n_hidden = Thing()\n")
    write(family, "two", "class Two(Thing): ...\n")
    write(family, "_private", "a, b = Thing(), Thing()\n")
    registry: Registry[Thing] = Registry(family, Thing)
    assert list(registry) == ["one", "two"]
    assert isinstance(registry["one"], Thing)
    assert len(registry) == 2


def test_a_file_in_a_subfolder_is_an_entry_and_needs_a_name_of_its_own(family: str) -> None:
    for folder in ("group", "_kit"):
        write(family, f"{folder}/__init__", "")
        write(family, f"{folder}/inner", "inner = Thing()\n")
    assert list(Registry(family, Thing)) == ["inner"]
    write(family, "inner", "inner = Thing()\n")
    with pytest.raises(RegistryError, match="inner has the name of another entry"):
        len(Registry(family, Thing))


def test_a_folder_that_provides_something_is_one_entry(family: str) -> None:
    write(family, "whole/__init__", "class Whole(Thing): ...\n")
    write(family, "whole/part", "x = 1\n")
    registry: Registry[Thing] = Registry(family, Thing)
    assert list(registry) == ["whole"]


@pytest.mark.parametrize(("text", "count"), [("x = 1\n", 0), ("a, b = Thing(), Thing()\n", 2)])
def test_a_file_with_nothing_or_two_things_is_refused(family: str, text: str, count: int) -> None:
    write(family, "odd", text)
    with pytest.raises(RegistryError, match=rf"odd provides {count} objects of the kind Thing"):
        len(Registry(family, Thing))


def test_an_unknown_name_is_answered_with_the_nearest_and_where_to_add_one() -> None:
    with pytest.raises(UnknownName, match=r"neurons\['adexx'\].*mean 'adex'.*file in neurons/"):
        mn.bio.neurons["adexx"]
    with pytest.raises(UnknownName, match="A new one is a file in surrogates/"):
        mn.surrogates["relu"]
