"""Condition: what raises an event, as margins and probabilities joined by and, or, not.

A comparison `v > theta` has the margin `v - theta`, which carries the gradient; `rand() < p` is an
escape rate with the probability p. Everything else is a truth value, which only gates.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..program import Statement, Threshold
from .expression import ORDER, substitute


@dataclass(frozen=True)
class Truth:
    """A truth value."""

    tree: ast.expr


@dataclass(frozen=True)
class Margin:
    """A comparison, which holds where the margin is positive.

    Arguments:
        tree: The larger side minus the smaller one.
        strict: Whether it fails at zero.
    """

    tree: ast.expr
    strict: bool


@dataclass(frozen=True)
class Chance:
    """A uniform random number below (or above) a probability.

    Arguments:
        draw: The random number.
        probability: What it is compared with.
        strict: Whether equality counts as not below.
        below: Whether the condition holds below.
    """

    draw: ast.expr
    probability: ast.expr
    strict: bool
    below: bool


@dataclass(frozen=True)
class All:
    """A conjunction."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True)
class Either:
    """A disjunction."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True)
class Not:
    """A negation."""

    part: "Condition"


Condition = Truth | Margin | Chance | All | Either | Not


@dataclass(frozen=True)
class ConditionText:
    """Writes a condition as a truth value.

    Arguments:
        value: Text of an expression that is a number.
        truth: Text of one that is a truth value.
        negation: Text of what is not so, of `{}`.
    """

    value: Callable[[ast.expr], str]
    truth: Callable[[ast.expr], str]
    negation: str

    def __call__(self, node: Condition) -> str:
        match node:
            case Truth(tree):
                return self.truth(tree)
            case Margin(tree, strict):
                return f"({self.value(tree)} {'>' if strict else '>='} 0)"
            case Chance(draw, probability, strict, below):
                sign = "<" if strict else "<="
                text = f"({self.value(draw)} {sign} {self.value(probability)})"
                return text if below else self.negation.format(text)
            case All(parts):
                return f"({' & '.join(map(self, parts))})"
            case Either(parts):
                return f"({' | '.join(map(self, parts))})"
            case Not(part):
                return self.negation.format(self(part))


def condition_of(threshold: Threshold) -> tuple[tuple[Statement, ...], Condition]:
    """Statements before the condition, and the condition with its truth values written out."""
    truths: dict[str, ast.expr] = {}
    before: list[Statement] = []
    *earlier, last = threshold.statements
    for statement in earlier:
        tree = substitute(statement.tree, truths)
        if statement.kind == "boolean":
            truths[statement.target] = tree
        else:
            before.append(replace(statement, expression=ast.unparse(tree)))
    return tuple(before), condition(substitute(last.tree, truths))


def condition(node: ast.expr) -> Condition:
    """A tree as a condition."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in ORDER:
            return _comparison(left, op, right)
        case ast.BoolOp(op=op, values=values):
            parts = tuple(map(condition, values))
            if all(isinstance(part, Truth) for part in parts):
                return Truth(node)
            return All(_joined(parts)) if isinstance(op, ast.And) else Either(parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            part = condition(operand)
            return Truth(node) if isinstance(part, Truth) else Not(part)
        case _:
            return Truth(node)


def _joined(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Parts of a conjunction, those of conjunctions among them."""
    inner = (part.parts if isinstance(part, All) else (part,) for part in parts)
    return tuple(part for some in inner for part in some)


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
    strict = isinstance(op, ast.Gt | ast.Lt)
    if _is_uniform(left) or _is_uniform(right):
        first = _is_uniform(left)
        draw, probability = (left, right) if first else (right, left)
        below = first == isinstance(op, ast.Lt | ast.LtE)
        return Chance(draw, probability, strict if below else not strict, below)
    high, low = (left, right) if isinstance(op, ast.Gt | ast.GtE) else (right, left)
    return Margin(ast.BinOp(high, ast.Sub(), low), strict)


def _is_uniform(node: ast.expr) -> bool:
    """Whether a tree is `rand()`."""
    match node:
        case ast.Call(func=ast.Name(id="rand"), args=[]):
            return True
        case _:
            return False


def leaves(given: Condition) -> Iterator[Truth | Margin | Chance]:
    """What a condition joins."""
    match given:
        case All(parts) | Either(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield given
