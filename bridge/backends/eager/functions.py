"""Functions that statements call, for numbers and for tensors.

`Functions(exact=True)` evaluates everything that two libraries may round differently with
numpy, as Brian2's numpy target does, and carries the gradient by hand; sums, products and
quotients are the same everywhere. `exact=False` leaves all of it to torch.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...lower.expression import Renderer, parse
from ...lower.functions import FUNCTIONS, TRANSCENDENTAL

Value = Tensor | float | int | bool
Bits = Literal[32, 64]
RANGE, HALF = 2**32, 2**31  # of whole numbers with 32 bits


class Rule(NamedTuple):
    """A function of one argument: by numpy, by torch, and its derivative from x and y = f(x).

    Where the slope is bounded, the derivative of torch itself is never infinite: that of some
    functions always, that of others (`BOUNDED_RULES`) where expressions keep their argument within
    bounds.
    """

    numpy: Callable[[Any], Any]
    torch: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    bounded: bool = False


def _exprel(x: Tensor) -> Tensor:
    small = x.abs() < 1e-16
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, torch.ones_like(x), torch.expm1(safe) / safe)


RENAMED = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}
BY_TORCH: dict[str, Callable[..., Tensor]] = {
    name: _exprel if name == "exprel" else getattr(torch, RENAMED.get(name, name))
    for name in TRANSCENDENTAL | {"abs", "where"}
}


def _slope(text: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A derivative of the table on tensors."""
    body = Renderer(str, lambda name, args: f"{name}({', '.join(args)})")(parse(text))
    known = {**BY_TORCH, "divide": lambda a, b: a / b}
    return eval(f"lambda x, y: {body}", known)


UNARY: dict[str, Rule] = {
    name: Rule(made.numpy, BY_TORCH[name], _slope(made.derivatives[0]), made.bounded)
    for name, made in FUNCTIONS.items()
    if name in TRANSCENDENTAL
}


BOUNDED_RULES = {f"{name}_bounded": rule._replace(bounded=True) for name, rule in UNARY.items()}


class _Unary(torch.autograd.Function):
    """y = f(x), by numpy or by torch.

    Where no gradient arrives none is passed on, even if the slope is infinite: an exponential
    that overflows in the step of a spike is erased by the reset, forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: Rule, exact: bool) -> Tensor:
        y = _by_numpy(rule, x) if exact else rule.torch(x)
        ctx.save_for_backward(x, y)
        ctx.rule = rule
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, y = ctx.saved_tensors
        (grad,) = grads
        return _chain(grad, ctx.rule.slope(x, y)), None, None


def _chain(grad: Tensor, slope: Tensor) -> Tensor:
    """Their product, and zero where no gradient arrives."""
    return torch.where(grad == 0, torch.zeros_like(grad), grad * slope)


def _by_numpy(rule: Rule, x: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(rule.numpy(x.detach().numpy())))


class _Power(torch.autograd.Function):
    """x ** n, by numpy or by torch; `exponent` is n, a number where it is one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: Tensor, exponent: Any, exact: bool) -> Tensor:
        y = _power_by_numpy(x, exponent) if exact else x**exponent
        ctx.save_for_backward(x, n, y)
        ctx.exponent = exponent
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, n, y = ctx.saved_tensors
        by_x, by_n, *_ = ctx.needs_input_grad
        lower = x ** (ctx.exponent - 1) if by_x else y
        slope = torch.where(n == 0, torch.zeros_like(y), n * lower) if by_x else None
        rate = y * torch.log(torch.where(x > 0, x, torch.ones_like(x))) if by_n else None
        return (
            None if slope is None else _chain(grads[0], slope).sum_to_size(x.shape),
            None if rate is None else _chain(grads[0], rate).sum_to_size(n.shape),
            None,
            None,
        )


def _power_by_numpy(x: Tensor, exponent: Any) -> Tensor:
    return torch.from_numpy(np.asarray(x.detach().numpy() ** _plain(exponent)))


class _Flat(torch.autograd.Function):
    """A value that a little more or less of its arguments does not change."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *args: Tensor) -> Tensor:
        ctx.save_for_backward(*args)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, *map(torch.zeros_like, ctx.saved_tensors)


def _flat(value: Tensor, *args: Tensor) -> Tensor:
    """A value whose gradient by its arguments is zero, and exists."""
    follows = torch.is_grad_enabled() and any(x.requires_grad for x in args)
    return _Flat.apply(value, *args) if follows else value


def _in_32_bits(x: Tensor) -> Tensor:
    """Whole numbers as numpy casts them to 32 bits: what does not fit is the least of them."""
    return torch.where((x >= -HALF) & (x < HALF), x, -float(HALF))


def _number_in_32_bits(x: Any) -> int:
    """A whole number likewise."""
    return int(x) if -HALF <= x < HALF else -HALF


def _of_numbers(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """A function of two numbers, which divides by zero as numpy does."""
    with np.errstate(all="ignore"):
        return function(a, b).item()


def _plain(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else x


@dataclass(frozen=True)
class Functions:
    """What generated code calls as `f`.

    Arguments:
        dtype, device: Of the tensors.
        exact: Whether to round as numpy does; needs the CPU and float64.
    """

    dtype: torch.dtype
    device: torch.device
    exact: bool

    def __getattr__(self, name: str) -> Callable[[Value], Value]:
        rule = UNARY.get(name) or BOUNDED_RULES.get(name)
        if rule is None:
            raise AttributeError(name)

        def call(x: Value) -> Value:
            return self._unary(rule, x)

        object.__setattr__(self, name, call)
        return call

    def _unary(self, rule: Rule, x: Value) -> Value:
        if not isinstance(x, Tensor):
            return float(rule.numpy(x))
        if rule.bounded and not self.exact:
            return rule.torch(x)
        if x.requires_grad and torch.is_grad_enabled():
            return _Unary.apply(x, rule, self.exact)
        return _by_numpy(rule, x) if self.exact else rule.torch(x)

    def tensor(self, x: Value) -> Tensor:
        """A number as a tensor without axes."""
        if isinstance(x, Tensor):
            return x
        return torch.tensor(
            x, dtype=None if isinstance(x, bool) else self.dtype, device=self.device
        )

    def divide(self, a: Value, b: Value) -> Value:
        """a / b, rounded once (torch would multiply a number by the reciprocal of b)."""
        if isinstance(b, Tensor) and not isinstance(a, Tensor):
            return torch.tensor(a, dtype=b.dtype, device=b.device) / b
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            return _of_numbers(np.divide, a, b)
        return a / b

    def power(self, a: Value, b: Value) -> Value:
        """a ** b."""
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            return float(np.float64(a) ** b)  # numbers by the C library, as numpy does
        if isinstance(a, Tensor) and not isinstance(b, Tensor) and b == 2:
            return a * a  # as numpy does
        if not self.exact and isinstance(a, Tensor) and isinstance(b, int) and b > 0:
            return a**b
        exponent = b.detach() if isinstance(b, Tensor) else b
        return _Power.apply(self.tensor(a), self.tensor(b), exponent, self.exact)

    def mod(self, a: Value, b: Value) -> Value:
        """Remainder with the sign of b."""
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            return torch.remainder(self.tensor(a), self.tensor(b))
        return _of_numbers(np.remainder, a, b)

    def floor_divide(self, a: Value, b: Value) -> Value:
        """a / b rounded down; as of `floor`, the gradient is zero."""
        if isinstance(a, Tensor) or isinstance(b, Tensor):
            x, y = self.tensor(a), self.tensor(b)
            return _flat(torch.floor_divide(x.detach(), y.detach()), x, y)
        return _of_numbers(np.floor_divide, a, b)

    def logical_not(self, a: Value) -> Value:
        """True where a is not."""
        return ~a.bool() if isinstance(a, Tensor) else not a

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """a where the condition holds, else b."""
        if not isinstance(condition, Tensor):
            return a if condition else b
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            a = self.tensor(a)
        return torch.where(condition, a, b)

    def clip(self, x: Value, low: Value, high: Value) -> Value:
        """x limited to [low, high]."""
        if not any(isinstance(v, Tensor) for v in (x, low, high)):
            return min(max(x, low), high)
        if not isinstance(low, Tensor) and not isinstance(high, Tensor):
            least, most = (None if b == end else b for b, end in ((low, -np.inf), (high, np.inf)))
            return self.tensor(x) if least is most is None else self.tensor(x).clamp(least, most)
        return torch.clamp(self.tensor(x), self.tensor(low), self.tensor(high))

    def int(self, x: Value) -> Value:
        """Whole part of a number, or 0 and 1 for a truth value."""
        if isinstance(x, Tensor):
            return x.to(self.dtype) if x.dtype == torch.bool else _in_32_bits(torch.trunc(x))
        return int(x) if isinstance(x, bool) else _number_in_32_bits(np.trunc(x))

    def floor(self, x: Value) -> Value:
        """Largest whole number not above x."""
        x = self.real(x)
        whole = isinstance(x, Tensor)
        return _in_32_bits(torch.floor(x)) if whole else _number_in_32_bits(np.floor(x))

    def ceil(self, x: Value) -> Value:
        """Smallest whole number not below x."""
        x = self.real(x)
        whole = isinstance(x, Tensor)
        return _in_32_bits(torch.ceil(x)) if whole else _number_in_32_bits(np.ceil(x))

    # ---- truth values and whole numbers, as numpy's types have them: see `lower.kinds`

    def real(self, x: Value) -> Value:
        """A truth value as 0 or 1."""
        return x.to(self.dtype) if isinstance(x, Tensor) and x.dtype == torch.bool else x

    def either_of(self, a: Value, b: Value) -> Value:
        """Sum of truth values."""
        return operator.or_(a, b)

    def both_of(self, a: Value, b: Value) -> Value:
        """Product of truth values."""
        return operator.and_(a, b)

    def wrap(self, x: Value) -> Value:
        """A whole number in 32 bits, of which it keeps the lowest."""
        if isinstance(x, Tensor):
            return x - torch.floor((x.detach() + HALF) / RANGE) * RANGE
        return (int(x) + HALF) % RANGE - HALF

    def whole_product(self, a: Value, b: Value, bits: Bits) -> Value:
        """Product of whole numbers, of which some bits are kept."""
        return self._whole(torch.mul, a, b, bits)

    def whole_power(self, a: Value, b: Value, bits: Bits) -> Value:
        """Power of whole numbers, of which some bits are kept."""
        return self._whole(torch.pow, a, b, bits)

    def _whole(
        self, operation: Callable[[Tensor, Tensor], Tensor], a: Value, b: Value, bits: Bits
    ) -> Value:
        """An operation on whole numbers in 64 bits."""
        x, y = (torch.as_tensor(v, device=self.device) for v in (a, b))
        exact = operation(x.detach().long(), y.detach().long())
        kept = exact.to(torch.int32) if bits == 32 else exact
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            return kept.item()
        return _flat(kept.to(self.dtype), x, y)

    def whole_ratio(self, a: Value, b: Value) -> Value:
        """Whole numbers, a / b rounded down, and 0 where b is."""
        return self._unless_zero(b, self.floor_divide(a, b))

    def whole_rest(self, a: Value, b: Value) -> Value:
        """Remainder of whole numbers with the sign of b, and 0 where b is."""
        return self._unless_zero(b, self.mod(a, b))

    def _unless_zero(self, b: Value, found: Value) -> Value:
        if isinstance(b, Tensor):
            return torch.where(b == 0, torch.zeros_like(b), self.tensor(found))
        return found if b else 0

    def abs(self, x: Value) -> Value:
        """Size of x."""
        return torch.abs(x) if isinstance(x, Tensor) else abs(x)

    def sign(self, x: Value) -> Value:
        """-1, 0 or 1."""
        return torch.sign(x) if isinstance(x, Tensor) else float(np.sign(x))

    def timestep(self, t: Value, dt: float) -> Value:
        """Number of whole steps in t, forgiving the rounding of multiples of dt."""
        steps = (t + 1e-3 * dt) / dt
        return torch.trunc(steps) if isinstance(steps, Tensor) else int(steps)
