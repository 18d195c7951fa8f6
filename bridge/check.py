"""Checks of a Program's values before the first step."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mirrorneuron._arrays import require_finite
from mirrorneuron.errors import DomainError, GradientError, UnknownName
from mirrorneuron.units import Dimensions

from .domain import require_domains
from .lower.expression import names
from .lower.reach import influenced, reached
from .program import Host, Program, Update
from .tie import Tied, asking, members, require_one_value

SECOND = Dimensions(s=1.0)


def check(program: Program) -> None:
    """Refuse values with which no simulation makes sense.

    Raises:
        DomainError: A value is NaN or infinite, or a time constant is not positive.
    """
    for key in sorted(program.used()):
        require_finite(program.variables[key].value, f"mirror(net): {key}")
    for slot in program.slots:
        for name, value in slot.constants.items():
            if value != float("inf"):  # Brian2's own constant
                require_finite(value, f"mirror(net): {slot.key(name)}")
        if isinstance(slot, Update):
            _require_finite_terms(slot)
        for statement in slot.statements:
            if "nan" in set(names(statement.tree)) - set(slot.refs) - set(slot.constants):
                raise DomainError(
                    f"mirror(net): the statement '{statement}' of {slot.name!r} holds NaN, which"
                    " Brian2 found when it evaluated what is constant in it, as sqrt(-1.0) or"
                    " log(-1.0). One NaN would spread through the network. Write a number that"
                    " exists."
                )
    for table in program.tables.values():
        require_finite(table.values, f"mirror(net): the TimedArray {table.name!r}")
    require_positive(time_constants(program))
    require_domains(program, divisors(program))


def _require_finite_terms(slot: Update) -> None:
    """Refuse infinite constants in sums and products that change a variable in each step.

    Under a fraction bar, in a comparison or as a limit of `clip` they have a meaning.

    Raises:
        DomainError: There is one.
    """
    infinite = {n for n, v in slot.constants.items() if np.isinf(v)} - {"inf"}
    for name in (n for s in slot.statements for n in _terms(s.tree) if n in infinite):
        raise DomainError(
            f"mirror(net): {slot.key(name)} is {slot.constants[name]}, and the equations of"
            f" {slot.owner!r} add or multiply it: its variables would be infinite after a step."
            " Write a finite number."
        )


def _terms(node: ast.expr) -> Iterator[str]:
    """Names that are added or multiplied."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.BinOp(left=left, op=ast.Div()):
            yield from _terms(left)
        case ast.BinOp(left=left, right=right):
            yield from _terms(left)
            yield from _terms(right)
        case ast.UnaryOp(operand=operand):
            yield from _terms(operand)
        case _:
            return


def time_constants(program: Program) -> dict[str, Any]:
    """Keys and values of the times by which statements divide, and that stay constant."""
    return {key: value for key, (unit, value) in divisors(program).items() if unit == SECOND}


def divisors(program: Program) -> dict[str, tuple[Dimensions, Any]]:
    """Dimensions and values of what statements divide by, and that stays constant, by key."""
    found: dict[str, tuple[Dimensions, Any]] = {}
    written = program.written()
    for slot in program.slots:
        for name in {n for s in slot.statements for n in _divisors(s.tree)}:
            if name in slot.refs:
                variable = program.variables[slot.refs[name].variable]
                if variable.key not in written:
                    found[variable.key] = variable.unit, variable.value
            elif name in slot.units:
                found[slot.key(name)] = slot.units[name], np.asarray(slot.constants[name])
    return found


def require_positive(values: Mapping[str, Any]) -> None:
    """Refuse time constants that are zero or negative.

    Arguments:
        values: Time constants by their keys [s].

    Raises:
        DomainError: Names each one and its first bad element.
    """
    wrong = [line for key, value in values.items() if (line := _not_positive(key, value))]
    if wrong:
        raise DomainError(
            "mirror(net): time constants must be positive.\n\n"
            + "\n".join(f"  {line}" for line in wrong)
            + "\n\nThe equations divide by them. Set them in the network (a parameter that was"
            " never set is 0), or keep a trained one positive: train={'cells.tau': mn.Positive()}."
        )


def _not_positive(key: str, value: Any) -> str | None:
    flat = np.ravel(np.asarray(value))
    bad = np.flatnonzero(~(flat > 0))
    if not bad.size:
        return None
    place = f" at element {bad[0]}" if flat.size > 1 else ""
    return f"{key} is {flat[bad[0]] * 1e3:g} ms{place}"


def _divisors(node: ast.expr) -> Iterator[str]:
    """Names that stand alone, or as a factor, under a fraction bar."""
    for child in ast.walk(node):
        if isinstance(child, ast.BinOp) and isinstance(child.op, ast.Div):
            yield from _factors(child.right)


def _factors(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            yield name
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield from _factors(left)
            yield from _factors(right)
        case _:
            return


def require_trainable(program: Program, asked: str | Tied) -> None:
    """Refuse to train what does not exist, influences nothing, or is not one quantity.

    Raises:
        UnknownName: There is no such object, variable or constant.
        GradientError: It is no real number, belongs to Brian2, no statement reads it, or no
            gradient reaches it.
        UnitError, ShapeError, DomainError: See `require_one_value`.
    """
    what, keys = asking(asked), members(program, asked)
    for key in keys:
        _require_member(program, what, key)
    require_one_value(program, asked, keys)
    _require_reached(program, what, keys)


def _require_member(program: Program, what: str, key: str) -> None:
    owner, _, name = key.partition(".")
    constants = {k.partition(".")[2] for k in program.constants() if k.startswith(f"{owner}.")}
    if owner in program.drives and not program.drives[owner].trainable:
        raise UnknownName(
            f"{what}: the weight of {owner!r} is an expression, which is no parameter. Train the"
            " constants in it by their bare names, or give the PoissonInput a quantity."
        )
    if owner not in program.groups and owner not in program.drives:
        known = [*program.groups, *program.drives]
        raise UnknownName.among(f"{what}: object {owner!r}", owner, known)
    variable = program.variables.get(key)
    if variable is None and name not in constants:
        own = {v.name for v in program.variables.values() if v.owner == owner}
        known = {n for n in own | constants if not n.startswith("_")}
        raise UnknownName.among(f"{what}: variable {name!r} of {owner!r}", name, sorted(known))
    if variable is not None and (variable.kind != "float" or variable.read_only):
        raise GradientError(
            f"{what}: {key} holds {variable.kind} values that Brian2 "
            f"{'sets itself' if variable.read_only else 'does not treat as real numbers'}."
            " Only real numbers can follow a gradient. Train a weight or a parameter."
        )
    if variable is not None and not _is_read(program, key):
        raise GradientError(
            f"{what}: no statement of the network reads {key}, so it influences nothing."
            " Use it in an equation, or leave it out of train."
        )


def _require_reached(program: Program, what: str, keys: Sequence[str]) -> None:
    """Refuse what acts only where gradients end."""
    if program.written() & set(keys) or reached(program, set(keys)):
        return
    ends = {key.partition(".")[2] for key in influenced(program, set(keys))}
    only = (
        "it only decides when cells are refractory"
        if ends == {"not_refractory"}
        else "the network uses it only in comparisons, conditions and whole numbers"
    )
    raise GradientError(
        f"{what}: no gradient reaches {', '.join(keys)}: {only}, where a little more or less"
        " changes nothing. Leave it out of train, and search for it by runs with other values."
    )


def _is_read(program: Program, key: str) -> bool:
    if any(key in slot.reads or slot.torch is None for slot in program.slots_of(Host)):
        return True
    for slot in program.slots:
        local = {n for n, ref in slot.refs.items() if ref.variable == key}
        for statement in slot.statements:
            read = set(names(statement.tree))
            if local & read or (statement.target in local and statement.op not in ("=", ":=")):
                return True
    return False
