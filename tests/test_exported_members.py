"""The public names: listed, sorted, documented."""

import mirrorneuron as mn


def test_all_is_sorted_and_complete() -> None:
    assert mn.__all__ == sorted(
        mn.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    public = {name for name in vars(mn) if not name.startswith("_")}
    modules = {
        "arm", "bridge", "check", "cli", "doctor", "errors", "gym", "script", "studies",
        "units", "validation",
    }  # fmt: skip
    assert public - modules == set(mn.__all__)


def test_every_public_name_has_a_docstring() -> None:
    for name in mn.__all__:
        assert getattr(mn, name).__doc__, name
