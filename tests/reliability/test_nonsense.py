"""Every public function refuses nonsense in each argument, by its name."""

import inspect
import re
from typing import Any

import jaxtyping
import pytest
from public_calls import NONSENSE, Call, calls

import mirrorneuron as mn
from mirrorneuron.errors import MirrorNeuronError

MODULES = ("analysis", "bio", "data", "init", "losses", "muscle")
SLOW = ("ArmBatch", "ArmEnv", "ArmVectorEnv", "mirror", "validate")
CLASSES = ("Mirror", "Recording", "Simulation", "Weights", "Fit", "ArmBatch")


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks of shapes and types that only tests have."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def public_names() -> list[str]:
    """Functions, classes, and methods of the classes that users hold."""
    names = [*mn.__all__, "ArmEnv", "ArmVectorEnv"]
    names += [f"{module}.{name}" for module in MODULES for name in getattr(mn, module).__all__]
    for name in CLASSES:
        made = getattr(mn, name)
        methods = [(n, inspect.getattr_static(made, n)) for n in dir(made) if n[0] != "_"]
        names += [f"{name}.{n}" for n, f in methods if inspect.isfunction(f) and _ours(f)]
    return [name for name in names if callable(found(name))]


def _ours(function: Any) -> bool:
    return function.__module__.startswith("mirrorneuron") and function.__qualname__[0] != "H"


def found(name: str) -> Any:
    """The public object of a dotted name."""
    thing: Any = mn
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def test_every_public_name_has_a_valid_call() -> None:
    assert set(public_names()) <= set(calls)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in calls],
)
def test_nonsense_is_refused_by_the_name_of_its_argument(name: str) -> None:
    call = calls[name]()
    call.act(**call.given)
    faults = [
        fault
        for argument in call.given
        for kind in NONSENSE
        if not _taken(name, call, argument, kind)
        if (fault := _fault(call, argument, kind))
    ]
    assert not faults, "\n".join(faults)


def _taken(name: str, call: Call, argument: str, kind: str) -> bool:
    """Whether a value has a meaning for an argument."""
    takes = call.takes.get(argument, "").split()
    if "*" in takes:
        return True
    if kind == "none":
        default = _default(name, argument)
        return "none" in takes or default is None or call.given[argument] is None
    return kind in takes


def _default(name: str, argument: str) -> Any:
    try:
        parameters = inspect.signature(found(name)).parameters
    except (AttributeError, TypeError, ValueError):
        return inspect.Parameter.empty
    given = parameters.get(argument)
    return inspect.Parameter.empty if given is None else given.default


def _fault(call: Call, argument: str, kind: str) -> str:
    """What is wrong with the answer to nonsense; empty if nothing is."""
    asked = f"{argument}={kind}"
    try:
        call.act(**{**call.given, argument: NONSENSE[kind]})
    except MirrorNeuronError as error:
        named = call.said.get(argument, rf"\b{argument}\b")
        shown = "'nonsense'|'no'" if kind in ("text", "texts", "names") else named
        return "" if re.search(f"{named}|{shown}", str(error)) else f"{asked}: {error}"
    except Exception as error:
        return f"{asked}: {type(error).__name__}: {error}"
    return f"{asked} was taken"
