"""Sharing: compute once what generated lines compute several times.

Integrators and inlined subexpressions repeat themselves: the same gating function stands in every
stage of a step. The values stay the same, to the last bit, and the gradient has less to remember.
"""

import ast
from collections import Counter
from collections.abc import Iterator

Key = tuple[object, ...]
PURE = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call)


def share(lines: list[str]) -> list[str]:
    """Straight-line code with its repeated parts in names of their own.

    Arguments:
        lines: Statements, one a line. Code with loops is left as it is.
    """
    if any(line.startswith(("for ", " ")) for line in lines):
        return lines
    statements = [ast.parse(line).body[0] for line in lines]
    versions = Counter[str]()
    counts = Counter[Key]()
    for statement in statements:
        for node in _expressions(statement):
            counts.update(_keys(node, versions))
        versions.update(_assigned(statement))
    sharer = _Sharer({key for key, n in counts.items() if n > 1}, counts)
    pairs = zip(lines, statements, strict=True)
    return [made for line, statement in pairs for made in sharer.lines(line, statement)]


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """What a statement evaluates."""
    if isinstance(statement, ast.Assign | ast.Expr | ast.Return) and statement.value is not None:
        yield statement.value


def _assigned(statement: ast.stmt) -> list[str]:
    """Local names that a statement sets."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _keys(node: ast.AST, versions: Counter[str]) -> Iterator[Key]:
    """Keys of the parts of an expression that can be shared."""
    for child in ast.walk(node):
        if isinstance(child, PURE):
            key = _key(child, versions)
            if key is not None:
                yield key


def _key(node: ast.AST, versions: Counter[str]) -> Key | None:
    """What an expression means here, or None if calling it twice is not the same as once."""
    match node:
        case ast.Name(id=name):
            return name, versions[name]
        case ast.Constant(value=value):
            return type(value).__name__, repr(value)
        case ast.Subscript(value=ast.Name(id="K"), slice=ast.Constant(value=place)):
            return "K", place
        case ast.BinOp(left=left, op=op, right=right):
            parts = [_key(left, versions), _key(right, versions)]
            head: Key = (type(op).__name__,)
        case ast.UnaryOp(op=op, operand=operand):
            parts, head = [_key(operand, versions)], (type(op).__name__,)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            parts = [_key(left, versions), _key(right, versions)]
            head = (type(op).__name__,)
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="c"), attr="f"), attr=name),
            args=args,
        ):
            parts, head = [_key(arg, versions) for arg in args], (name,)
        case _:
            return None
    return None if None in parts else (*head, *parts)


class _Sharer(ast.NodeTransformer):
    """Replaces repeated parts by names, and gives the lines that set these."""

    def __init__(self, repeated: set[Key], counts: Counter[Key]) -> None:
        self.repeated, self.counts = repeated, counts
        self.versions = Counter[str]()
        self.names: dict[Key, str] = {}
        self.before: list[str] = []
        self.within = 1

    def lines(self, line: str, statement: ast.stmt) -> Iterator[str]:
        """The statement, after what it shares for the first time."""
        if not any(
            self.repeated & set(_keys(node, self.versions)) for node in _expressions(statement)
        ):
            self.versions.update(_assigned(statement))
            yield line
            return
        self.before = []
        changed = ast.fix_missing_locations(self.visit(statement))
        yield from self.before
        yield ast.unparse(changed)
        self.versions.update(_assigned(statement))

    def visit(self, node: ast.AST) -> ast.AST:
        """A part of an expression, or the name of it."""
        key = _key(node, self.versions) if isinstance(node, PURE) else None
        count = self.counts[key] if key in self.repeated else 1
        if key is None or count <= self.within:
            return self.generic_visit(node)
        if key not in self.names:
            outer, self.within = self.within, count
            inner = self.generic_visit(node)
            self.within = outer
            self.names[key] = f"_s{len(self.names)}"
            self.before.append(f"{self.names[key]} = {ast.unparse(inner)}")
        return ast.copy_location(ast.Name(self.names[key], ast.Load()), node)
