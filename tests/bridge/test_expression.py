"""Expressions: what is let in, what stays out, and that moving a part changes no bit."""

import ast
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorneuron.bridge.backends.eager.functions import UNARY, Functions
from mirrorneuron.bridge.lower.expression import Renderer, hoist, names, parse, substitute
from mirrorneuron.errors import DomainError

NAMES = ("v", "w", "tau", "g_L")
VALUES = {"v": 0.7, "w": -1.3, "tau": 2.1, "g_L": 0.05}
F = Functions(torch.float64, torch.device("cpu"), exact=True)

REFUSED = [
    "().__class__", "v.real", "v[0]", "v[0:1]", "[v, w]", "(v, w)", "{v}", "{v: w}",
    "lambda: v", "[x for x in v]", "{x for x in v}", "{x: x for x in v}", "(x for x in v)",
    "f'{v}'", "(v := 1)", "v if w else tau", "v @ w", "v << 2", "v >> 2", "v | w", "v & w",
    "v ^ 2", "~v", "v is w", "v in w", "v not in w", "f(*v)", "(yield v)",
]  # fmt: skip
UNKNOWN_CALLS = [
    "__import__('os').system('true')", "eval('1')", "open('/etc/passwd')", "v.__class__()",
    "'text'", "b'bytes'", "...", "None", "1j", "f(x='1')", "exp(x=v)", "v < w < tau",
    "(exp)(v)(w)", "exp(exp)('x')",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_arithmetic_is_refused(text: str):
    with pytest.raises(DomainError, match=r"has no meaning in Brian2 code\. Write arithmetic"):
        parse(text)


@pytest.mark.parametrize("text", UNKNOWN_CALLS)
def test_texts_keywords_and_foreign_constants_are_refused(text: str):
    with pytest.raises(DomainError, match="has no meaning in Brian2 code"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "v +", "v w", "import os", "v = 1", "*v", "(" * 300, "v\nw", "\0"]
)
def test_what_is_no_expression_is_refused(text: str):
    with pytest.raises(DomainError, match="is not an expression"):
        parse(text)


@pytest.mark.parametrize("text", ["9**9**9**9", "2**100000", "v**(9**9**9)"])
def test_a_tower_of_powers_is_only_text(text: str):
    assert ast.unparse(parse(text)) == ast.unparse(ast.parse(text))


LEAVES = st.sampled_from(NAMES) | st.floats(-4, 4, allow_subnormal=False).map(repr)


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    functions = st.sampled_from(["exp", "sin", "tanh", "cos", "arctan", "expm1"])
    return (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("({} / (1.5 + abs({})))".format, inner, inner)
        | st.builds("(abs({}) + 0.1)**{}".format, inner, st.sampled_from(["2", "0.5", "(-1)"]))
        | st.builds("{}(clip({}, -3, 3))".format, functions, inner)
        | st.builds("(-{})".format, inner)
        | st.builds("int({} > {})".format, inner, inner)
    )


ARITHMETIC = st.recursive(LEAVES, grow, max_leaves=12)
CALLS = {
    **{name: getattr(F, name) for name in UNARY},
    "abs": F.abs, "clip": F.clip, "int": F.int, "divide": F.divide, "power": F.power,
}  # fmt: skip


def evaluate(node: ast.expr, values: dict[str, object]) -> object:
    """What the rendered text gives."""
    text = Renderer(lambda name: name, lambda name, args: f"{name}({', '.join(args)})")(node)
    return eval(text, {"__builtins__": {}}, {**CALLS, **values})


def by_hand(node: ast.expr) -> float:
    """The value, computed node by node in plain Python."""
    match node:
        case ast.Name(id=name):
            return VALUES[name]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(operand=operand):
            return -by_hand(operand)
        case ast.Compare(left=left, comparators=[right]):
            return float(by_hand(left) > by_hand(right))
        case ast.Call(func=ast.Name(id="clip"), args=[x, _, _]):
            return min(max(by_hand(x), -3), 3)
        case ast.Call(func=ast.Name(id=name), args=[x]):
            plain = {"abs": abs, "int": int, "arctan": math.atan}
            return plain.get(name, getattr(math, name, None))(by_hand(x))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = by_hand(left), by_hand(right)
            return {
                ast.Add: lambda: a + b,
                ast.Sub: lambda: a - b,
                ast.Mult: lambda: a * b,
                ast.Div: lambda: a / b,
                ast.Pow: lambda: a**b,
            }[type(op)]()
    raise AssertionError(ast.dump(node))


@settings(max_examples=150, deadline=None)
@given(text=ARITHMETIC)
@example(text="-v**2")
@example(text="v - w - tau")
@example(text="v / w / tau")
@example(text="2**3**0.5")
def test_a_rendered_expression_has_the_value_of_the_written_one(text: str):
    expected = by_hand(parse(text))
    assert evaluate(parse(text), dict(VALUES)) == pytest.approx(expected, rel=1e-13, abs=1e-13)


@settings(max_examples=150, deadline=None)
@given(text=ARITHMETIC, varying=st.sets(st.sampled_from(NAMES)))
def test_moving_what_does_not_vary_changes_no_bit(text: str, varying: set[str]):
    kept: list[ast.expr] = []

    def keep(node: ast.expr) -> ast.expr:
        kept.append(node)
        return ast.Name(id=f"k{len(kept) - 1}", ctx=ast.Load())

    node = parse(text)
    moved = hoist(node, varying, keep)
    prelude = {f"k{n}": evaluate(part, dict(VALUES)) for n, part in enumerate(kept)}
    present = {k: v for k, v in VALUES.items() if k in varying}
    assert evaluate(moved, {**prelude, **present}) == evaluate(node, dict(VALUES))
    assert not any(varying & set(names(part)) for part in kept)
    assert ast.dump(node) == ast.dump(parse(text))  # the tree given is not touched


@settings(max_examples=50, deadline=None)
@given(text=ARITHMETIC)
def test_all_is_moved_where_nothing_varies(text: str):
    kept: list[ast.expr] = []
    hoist(parse(text), set(), lambda n: kept.append(n) or ast.Name(id="k", ctx=ast.Load()))
    assert len(kept) == (not isinstance(parse(text), ast.Constant))


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=30))
@example(text="v\x00")
@example(text="0_0")
@example(text="1if 1else 2")
def test_any_text_is_parsed_or_refused_by_name(text: str):
    try:
        node = parse(text)
    except DomainError:
        return
    assert {type(n).__name__ for n in ast.walk(node)} <= {
        "BinOp", "UnaryOp", "BoolOp", "Compare", "Call", "Name", "Constant", "Add", "Sub", "Mult",
        "Div", "Pow", "Mod", "FloorDiv", "Gt", "GtE", "Lt", "LtE", "Eq", "NotEq", "USub", "UAdd",
        "Not", "And", "Or", "Load",
    }  # fmt: skip


def test_names_are_replaced_everywhere():
    node = substitute(parse("a and not a or b"), {"a": parse("v > 1")})
    assert ast.unparse(node) == "v > 1 and (not v > 1) or b"


def test_names_include_functions_and_repeat():
    assert sorted(names(parse("exp(v) + v*w"))) == ["exp", "v", "v", "w"]
