"""Errors: one base, the type that Python or Brian2 has for the fault, and a plain sentence."""

import pickle

import pytest
from brian2 import DimensionMismatchError

from mirrorneuron import errors
from mirrorneuron.errors import (
    MirrorNeuronError,
    MissingDependency,
    Outside,
    OutsideGeNN,
    UnitError,
    UnknownName,
    Unsupported,
    UnsupportedFeature,
)

FAMILY = {
    "UnsupportedFeature": NotImplementedError,
    "NotCovered": NotImplementedError,
    "OutsideGeNN": NotImplementedError,
    "UnknownName": KeyError,
    "UnitError": DimensionMismatchError,
    "NetworkError": RuntimeError,
    "ShapeError": ValueError,
    "DomainError": ValueError,
    "NumericalError": ArithmeticError,
    "GradientError": RuntimeError,
    "WriteBackError": ValueError,
    "CheckpointError": OSError,
    "BundleError": OSError,
    "ExportError": NotImplementedError,
    "BuildError": RuntimeError,
    "DataError": OSError,
    "TooLarge": MemoryError,
    "ScriptError": RuntimeError,
    "MissingDependency": ImportError,
}


def test_the_tree_in_the_docstring_is_complete() -> None:
    classes = {
        name for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, MirrorNeuronError)
    } - {"MirrorNeuronError"}  # fmt: skip
    assert classes == set(FAMILY)
    for name, also in FAMILY.items():
        assert issubclass(getattr(errors, name), also)
        assert f"{name} ({also.__name__})" in str(errors.__doc__)


def test_a_message_is_a_plain_sentence_for_every_class() -> None:
    for name in set(FAMILY) - {
        "UnsupportedFeature",
        "NotCovered",
        "OutsideGeNN",
        "MissingDependency",
    }:
        assert str(getattr(errors, name)("x is wrong. Write y.")) == "x is wrong. Write y."
    assert isinstance(UnitError("x"), DimensionMismatchError)


def test_an_unknown_name_comes_with_the_nearest_and_the_known() -> None:
    error = UnknownName.among("train=['cells.tao']", "tao", ["tau", "v"])
    assert str(error) == (
        "train=['cells.tao'] is not known. Did you mean 'tau'? Known are: 'tau', 'v'."
    )
    many = UnknownName.among("x", "zzz", [f"name{k}" for k in range(30)])
    assert "and 10 more." in str(many)


def test_unsupported_features_are_listed_with_reason_and_remedy() -> None:
    items = (
        Unsupported("purkinje", "NeuronGroup", "method='gsl_rk4'", "GSL is C.", "Write 'rk4'."),
        Unsupported("op", "NetworkOperation", "calls f()", "No Python.", "Use inputs."),
    )
    text = str(UnsupportedFeature("mirror(net)", items, 7))
    assert text == (
        "mirror(net): 2 of 7 objects cannot be mirrored.\n\n"
        "  NeuronGroup 'purkinje': method='gsl_rk4'\n      GSL is C.\n      Write 'rk4'.\n\n"
        "  NetworkOperation 'op': calls f()\n      No Python.\n      Use inputs.\n\n"
        "strict=False mirrors the rest and lists these in model.report."
    )


def test_what_genn_cannot_run_is_listed_with_line_route_reason_and_remedy() -> None:
    items = (
        Outside("syn", "Synapses", "syn_pre: v_pre += 1", "genn", "It cannot.", "Turn it round."),
        Outside("p", "PoissonGroup", "rates", "brian2genn", "It fails.", "Use rand()."),
    )
    assert str(OutsideGeNN("simulate(...)", items)) == (
        "simulate(...): 2 things in the network cannot run on GeNN as Brian2 runs them.\n\n"
        "  Synapses 'syn' (genn): syn_pre: v_pre += 1\n      It cannot.\n      Turn it round.\n\n"
        "  PoissonGroup 'p' (brian2genn): rates\n      It fails.\n      Use rand().\n\n"
        "Write backend='cpp' or backend='runtime' to run it as it is."
    )
    assert "1 thing in the network" in str(OutsideGeNN("x", items[:1]))


def test_a_missing_library_comes_with_the_line_that_installs_it() -> None:
    with pytest.raises(ImportError, match=r"pip install 'mirrorneuron\[data\]'"):
        raise MissingDependency("the study", "nitime", "data")


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedFeature("mirror(net)", [Unsupported("a", "Synapses", "b", "c", "d")], 3),
        MissingDependency("the study", "nitime", "data"),
        UnitError("x is in [V]."),
        UnknownName.among("x", "tao", ["tau"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_from_another_process_as_it_was(error: MirrorNeuronError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
