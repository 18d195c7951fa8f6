"""Grammar: which names and expressions a bundle may hold.

Engines write names and expressions into the text of programs. Here is decided, before anything is
parsed for them, that a name is a name and an expression is arithmetic: characters first, then
size and depth, then the kinds of its parts, then what each of its names means.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from math import isfinite

from mirrorneuron.errors import DomainError

from ..bounds import is_too_large
from ..lower.expression import names, parse
from ..lower.functions import FUNCTIONS
from ..program import Program, Slot, Table
from ._fault import Fault, shown

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}(\.[A-Za-z_][A-Za-z0-9_]{0,199}){0,3}\Z")
EXPRESSION = re.compile(r"[A-Za-z0-9_ .,+\-*/%()<>=!]+\Z")
BUILT_IN = frozenset({"pi", "e", "inf"})
OPERATORS = (":=", "=", "+=", "-=", "*=", "/=")
LARGEST_POWER = 64
NODES, DEPTH, NESTED = 20_000, 200, 200
ARITIES: Mapping[str, int] = {
    **{name: len(made.derivatives) for name, made in FUNCTIONS.items()},
    "rand": 0,
    "randn": 0,
    "poisson": 1,
}


def require_name(text: str, where: str) -> None:
    """Refuse a local name that is none, or that means something to Python.

    Raises:
        Fault: It is none.
    """
    if not NAME.match(text) or _is_dunder(text):
        raise Fault(f"{where} is {shown(text)}, which is no name")


def require_key(text: str, where: str) -> None:
    """Refuse a name of an object, or of a part of one, that is none.

    Raises:
        Fault: It is none.
    """
    if not KEY.match(text) or any(map(_is_dunder, text.split("."))):
        raise Fault(f"{where} is {shown(text)}, which is no name of an object or variable")


def require_plain(text: str, where: str) -> None:
    """Refuse text for people that would do something to a terminal.

    Raises:
        Fault: It has a control character.
    """
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise Fault(f"{where} holds control characters")


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def require_statements(program: Program, slot: Slot, where: str) -> None:
    """Refuse statements with anything but arithmetic on names that the slot explains.

    Raises:
        Fault: Names the first one.
    """
    calls = callable_in(program, slot)
    taken = {*slot.constants, *slot.clock, *slot.tables, *slot.samplers, *slot.functions}
    known = {*slot.refs, *slot.constants, *slot.clock, *BUILT_IN}
    for number, statement in enumerate(slot.statements):
        place = f"{where}, statement {number + 1}"
        require_name(statement.target, f"{place}, its target,")
        if statement.op not in OPERATORS:
            raise Fault(f"{place} has the operator {shown(statement.op)}")
        if statement.target in taken | BUILT_IN or statement.target in ARITIES:
            raise Fault(f"{place} changes {statement.target!r}, which cannot be changed")
        tree = checked_tree(statement.expression, place)
        updates = {statement.target} if statement.op not in (":=", "=") else set[str]()
        _require_known(tree, known, calls, updates, place)
        if statement.target not in slot.refs:
            known.add(statement.target)
    for target, guard in slot.guards.items():
        if target in {s.target for s in slot.statements} and guard not in slot.refs:
            raise Fault(f"{where} guards {shown(target)} by {shown(guard)}, which is no variable")


def callable_in(program: Program, slot: Slot) -> dict[str, int]:
    """Number of arguments of what the statements of a slot may call, by name."""
    for name, function in slot.functions.items():
        if function not in ARITIES or name != function:
            raise Fault(f"{slot.name} calls {shown(name)} for {shown(function)}, which is unknown")
    tables = {name: program.tables[key].values.ndim for name, key in slot.tables.items()}
    samplers = dict.fromkeys(slot.samplers, 0)
    return {**ARITIES, **tables, **samplers}


def checked_tree(text: str, where: str) -> ast.expr:
    """The syntax tree of an expression that is arithmetic, and of a reasonable size.

    Raises:
        Fault: It is not.
    """
    if not EXPRESSION.match(text):
        found = next((c for c in text if not EXPRESSION.match(c)), "")
        raise Fault(f"{where}, {shown(text)}, holds {found!r}, which no expression has")
    if _nesting(text) > NESTED:
        raise Fault(f"{where}, {shown(text)}, has more than {NESTED} brackets in each other")
    try:
        tree = parse(text)
    except DomainError as error:
        raise Fault(f"{where}: {str(error)[:200]}") from None
    _require_size(tree, where)
    for node in ast.walk(tree):
        _require_plain_node(node, where)
    return tree


def _nesting(text: str) -> int:
    deepest = depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _require_size(tree: ast.expr, where: str) -> None:
    """Refuse a tree that is too large or too deep, without recursion."""
    count, level, depth = 0, [tree], 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > NODES or depth > DEPTH:
            raise Fault(f"{where} has more than {NODES:,} parts, or {DEPTH} in each other")
        level = [child for node in level for child in ast.iter_child_nodes(node)]  # type: ignore[misc]


def _require_plain_node(node: ast.AST, where: str) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            if (isinstance(value, int) and value >= 2**63) or not isfinite(value):
                raise Fault(f"{where} holds a number beyond 64 bits")
        case ast.BinOp(op=ast.Pow(), right=exponent):
            if is_too_large(node) or _is_large(exponent):
                raise Fault(
                    f"{where} holds the power {shown(ast.unparse(node))}, which is too large"
                )
        case ast.Call(keywords=[_, *_]):
            raise Fault(f"{where} calls a function with names of arguments")
        case _:
            pass


def _is_large(exponent: ast.expr) -> bool:
    """Whether an exponent is a constant beyond reason, or a tower."""
    constants = [n.value for n in ast.walk(exponent) if isinstance(n, ast.Constant)]
    tower = not any(names(exponent)) and any(isinstance(n, ast.Pow) for n in ast.walk(exponent))
    return tower or any(isinstance(c, int) and abs(c) > LARGEST_POWER for c in constants)


def _require_known(
    tree: ast.expr, known: Iterable[str], calls: Mapping[str, int], more: set[str], where: str
) -> None:
    called = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
    known = {*known}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name):
            continue
        call = called.get(id(node))
        if call is None and node.id not in known:
            raise Fault(f"{where} names {shown(node.id)}, which the bundle does not explain")
        if call is not None and calls.get(node.id) != len(call.args):
            count = len(call.args)
            raise Fault(f"{where} calls {shown(node.id)} with {count} arguments, which nothing has")
    if not more <= known:
        raise Fault(f"{where} updates {shown(next(iter(more)))}, which has no value before")


def columns_are_fixed(table: Table, call: ast.Call, program: Program, slot: Slot) -> bool:
    """Whether a TimedArray with columns is asked for columns that it surely has."""
    match call.args:
        case [_, ast.Name(id=name)] if name in slot.refs:
            variable = program.variables[slot.refs[name].variable]
            fixed = variable.key not in program.written() and variable.kind == "integer"
            values = variable.value
            return fixed and bool(((values >= 0) & (values < table.values.shape[1])).all())
        case _:
            return False
