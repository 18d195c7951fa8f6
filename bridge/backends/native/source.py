"""Source: the whole C program of a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...lower.margin import MARGIN, is_margin
from ...program import Threshold
from .._plan import Plan, Work
from .backward import Backward
from .forward import Forward, value_title
from .function import ARGUMENTS, SIGNATURE, Arrays, Function

SINGLE = [
    "exp",
    "expm1",
    "log",
    "log10",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "fabs",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "fmin",
    "fmax",
]
BY_VECTORS = ("exp", "log", "sin", "cos")
HEAD = "void **P, Shard *S, long shard, long t0, long t1, long first, long B, long base, int tape"


@dataclass(frozen=True)
class Source:
    """A C program.

    Arguments:
        text: The code.
        arrays: What it is given, in the order of the pointers.
        plan: What it does.
    """

    text: str
    arrays: Arrays
    plan: Plan


def source(plan: Plan, single: bool) -> Source:
    """The C program of a network.

    Arguments:
        plan: What it does.
        single: Whether it computes in single precision.
    """
    arrays = Arrays()
    forward = Forward(plan, arrays)
    functions = [*forward.functions()]
    functions += [forward.value(key, body) for key, body in plan.values.items()]
    turned = 0
    backs: list[Function] = []
    if plan.wanted is not None:
        backward = Backward(forward)
        backs = [*backward.functions()]
        backs += [
            backward.value(key, body) for key, body in plan.values.items()
            if plan.carrying(body) & set(body.outcomes)
        ]  # fmt: skip
        backs.append(backward.finish())
        turned = max(backward.turned.values(), default=0)
    largest = max([1, *(n for n in plan.events.values())])
    defines = {
        "N_EVENTS": len(plan.events),
        "N_UNDO": len(forward.stacks),
        "N_DRAWN": len(forward.drawn),
        "N_LATER": len(forward.later),
        "LARGEST": largest,
        "N_TURNED": turned,
    }
    parts = [
        *_types(single),
        *(f"#define {name} {value}" for name, value in defines.items()),
        _runtime(),
        *_by_vectors(single),
        _multiply(),
        *(f.text() for f in (*functions, *backs)),
        *_run(plan, forward),
        *(_back(plan, backs) if plan.wanted is not None else ()),
    ]
    return Source("\n".join(parts) + "\n", arrays, plan)


@cache
def _runtime() -> str:
    return (Path(__file__).parent / "runtime.h").read_text()


def _types(single: bool) -> Iterator[str]:
    yield f"typedef {'float' if single else 'double'} real;"


def _by_vectors(single: bool) -> Iterator[str]:
    if not single:
        return
    yield "#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)"
    for name in BY_VECTORS:
        yield f'__attribute__((simd("notinbranch"), const, nothrow)) float {name}f(float);'
    yield "#endif"
    for name in SINGLE:
        yield f"#define {name}(x) {name}f(x)" if name not in ("fmin", "fmax") else ""
    yield "#define pow(x, y) powf(x, y)"


def _multiply() -> str:
    return """
typedef void (*Product)(char *, char *, int *, int *, int *, real *, real *, int *, real *, int *,
                        real *, real *, int *);
/* c += by * table: "trials sources" from "trials targets" and "targets sources" */
static void multiply(void *product, long sources, long trials, long targets, real *table,
                     real *by, long stride, real *c, long c_stride) {
  if (product) {
    int m = sources, n = trials, k = targets, lda = sources, ldb = stride, ldc = c_stride;
    real one = 1;
    ((Product)product)("N", "N", &m, &n, &k, &one, table, &lda, by, &ldb, &one, c, &ldc);
    return;
  }
  for (long b = 0; b < trials; b++)
    for (long j = 0; j < targets; j++) {
      const real x = by[b * stride + j];
      for (long s = 0; s < sources; s++) c[b * c_stride + s] += x * table[j * sources + s];
    }
}
"""


def _call(work: Work, title: str, line: str = "") -> str:
    every = work.slot.every
    call = line or f"{title}({ARGUMENTS});"
    return f"    if (tick % {every} == 0) {{ {call} }}" if every > 1 else f"    {call}"


def _run(plan: Plan, forward: Forward) -> Iterator[str]:
    """The loop over time."""
    early = plan.program.early
    yield f"int run({HEAD}) {{"
    yield "  resume(S, t0);"
    yield "  for (long t = t0; t < t1; t++) {"
    yield "    const long tick = first + t, kept = tape ? t - base : 0;"
    yield "    open_step(S, t);"
    yield f"    set_inputs({ARGUMENTS});"
    yield f"    set_rows({ARGUMENTS});"
    yield from (line for work in plan.works[:early] for line in _lines(plan, work))
    yield f"    record({ARGUMENTS});"
    for key in plan.values:
        if not is_margin(key):
            yield f"    {value_title(plan, key)}({ARGUMENTS});"
    yield from (line for work in plan.works[early:] for line in _lines(plan, work))
    yield "    if (S->failed) return 1;"
    yield "  }"
    yield "  return 0;"
    yield "}"


def _lines(plan: Plan, work: Work) -> Iterator[str]:
    key = _margin(plan, work)
    if key:
        yield _call(work, "", f"{value_title(plan, key)}({ARGUMENTS});")
    yield _call(work, work.title)


def _margin(plan: Plan, work: Work) -> str:
    """The distance to threshold that is recorded when a slot tests it."""
    if isinstance(work.slot, Threshold) and f"{work.slot.event}{MARGIN}" in plan.values:
        return f"{work.slot.event}{MARGIN}"
    return ""


def _back(plan: Plan, backs: list[Function]) -> Iterator[str]:
    """The same loop in reverse."""
    early, known = plan.program.early, {f.title for f in backs if f.lines}
    yield f"int back_through({HEAD}) {{"
    yield "  for (long t = t1 - 1; t >= t0; t--) {"
    yield "    const long tick = first + t, kept = t - base;"
    yield f"    set_rows({ARGUMENTS});"

    def lines(work: Work) -> Iterator[str]:
        title = f"back_{work.title}"
        if title in known:
            yield _call(work, title)
        key = _margin(plan, work)
        if key and f"back_{value_title(plan, key)}" in known:
            yield _call(work, f"back_{value_title(plan, key)}")

    for work in plan.works[early:][::-1]:
        yield from lines(work)
    for key in plan.values:
        if not is_margin(key) and f"back_{value_title(plan, key)}" in known:
            yield f"    back_{value_title(plan, key)}({ARGUMENTS});"
    yield f"    back_record({ARGUMENTS});"
    for work in plan.works[:early][::-1]:
        yield from lines(work)
    yield f"    back_set_inputs({ARGUMENTS});"
    yield "    if (S->failed) return 1;"
    yield "  }"
    yield "  return 0;"
    yield "}"
    yield f"int finish({HEAD}) {{"
    yield "  const long t = t0, tick = first + t0, kept = 0;"
    yield f"  finish_back({ARGUMENTS});"
    yield "  return S->failed;"
    yield "}"


__all__ = ["SIGNATURE", "Source", "source"]
