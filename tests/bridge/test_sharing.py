"""Sharing: what is computed once stands for the same value, and nothing else is touched."""

import ast

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorneuron.bridge.backends.eager.functions import Functions
from mirrorneuron.bridge.backends.eager.sharing import share

NAMES = ("x", "y", "z")
LEAVES = st.sampled_from([*NAMES, "K[0]", "0.5", "2"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions from smaller ones."""
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("(-{})".format, inner),
        st.builds("c.f.{}({})".format, st.sampled_from(["sin", "tanh"]), inner),
        st.builds("c.f.where(({} > {}), {}, {})".format, inner, inner, inner, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, larger, max_leaves=12)
STATEMENTS = st.builds("{} = {}".format, st.sampled_from(NAMES), EXPRESSIONS)


class Calls:
    """Stands in for a context: its functions, and one whose value depends on when it is called."""

    f = Functions(torch.float64, torch.device("cpu"), exact=True)

    def __init__(self) -> None:
        self.count = 0

    def draw(self) -> float:
        """The number of calls."""
        self.count += 1
        return float(self.count)


def values(lines: list[str]) -> dict[str, object]:
    """What straight-line code leaves in its names."""
    start = {name: torch.tensor([0.3 + k, -1.1 * k]).double() for k, name in enumerate(NAMES)}
    scope: dict[str, object] = {**start, "K": [torch.tensor(0.7).double()], "c": Calls()}
    exec("\n".join(lines), scope)
    return {name: scope[name] for name in NAMES}


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6))
def test_shared_code_gives_the_same_values_to_the_last_bit(lines: list[str]) -> None:
    expected, found = values(lines), values(share(lines))
    for name in NAMES:
        one, other = (torch.as_tensor(x).double() for x in (expected[name], found[name]))
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@settings(deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=6))
def test_nothing_is_computed_twice(lines: list[str]) -> None:
    """In one statement, no call stands twice."""
    for line in share(lines):
        calls = [ast.unparse(n) for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Call)]
        assert len(calls) == len(set(calls))


def test_a_name_that_changes_is_computed_with_anew() -> None:
    lines = ["y = c.f.sin(x)", "x = x + 1", "z = c.f.sin(x)"]
    assert share(lines) == lines


def test_what_is_no_pure_function_is_called_as_often_as_before() -> None:
    lines = [
        "x = c.draw() * 2",
        "y = c.draw() * 2",
        "z = c.draw() * 2 + S['a.b'] * 2 + S['a.b'] * 2",
    ]
    assert share(lines) == lines
    assert values(lines[:2])["y"] == 4.0


def test_code_with_loops_stays_as_it_is() -> None:
    lines = ["for a in b:", "    x = c.f.sin(y) + c.f.sin(y)"]
    assert share(lines) == lines


def test_a_shared_part_of_a_shared_part_has_no_name_unless_it_stands_elsewhere() -> None:
    assert share(["x = c.f.sin(y * z) + c.f.sin(y * z)"]) == [
        "_s0 = c.f.sin(y * z)", "x = _s0 + _s0",
    ]  # fmt: skip
    assert share(["x = c.f.sin(y * z) + c.f.sin(y * z) + y * z"]) == [
        "_s0 = y * z", "_s1 = c.f.sin(_s0)", "x = _s1 + _s1 + _s0",
    ]  # fmt: skip
