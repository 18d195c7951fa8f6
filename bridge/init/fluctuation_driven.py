r"""fluctuation_driven: weights with which the fluctuations of a membrane reach its threshold.

A network whose neurons are silent, or fire at every input, has no useful gradient. With weights
such that the membrane, thresholds off, has the mean $\mu_U$ and the standard deviation

$\sigma_U = (\theta - \mu_U) / \xi$, $1 \le \xi \le 3$,

neurons fire now and then, and each of their inputs matters. Which weights these are depends on the
potential that a spike causes in *this* neuron through *this* synapse. It is measured: see
`kernel`. What follows from it is in `moments`.

Source: Rossbroich, Gygax & Zenke 2022, doi:10.1088/2634-4386/ac97bb.
Differs from it: kernels are those of the user's equations, in which $\theta$ is the distance from
rest to threshold; a layer whose rate is not given is run with Poisson inputs to find it, where the
paper takes one rate for all.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, DomainWarning, UnknownName
from mirrorneuron.units import Dimensions, si

from ..learning.arguments import is_number
from ..lower.margin import MARGIN
from ..mirror import Mirror
from ..parameter import Free, Sign
from ..program import Array
from .afferent import Afferent, afferents
from .free_membrane import MOST, FreeMembrane, Membrane
from .kernel import Kernel, kernel
from .moments import Drive, Moments, exponential, normal
from .result import FluctuationStart, Row

HERTZ, SECOND = Dimensions(s=-1.0), Dimensions(s=1.0)
SIEMENS = Dimensions(m=-2.0, kg=-1.0, s=3.0, A=2.0)
TRIALS, ROUNDS, SAME_RATE = 8, 6, 0.03
CUT = 0.01  # share of weights beyond their limits that is not worth a word
CORRECTIONS = 4


@checked
def fluctuation_driven(
    model: Mirror | Any,
    rate: Any,
    weights: Sequence[str] | None = None,
    xi: float | Any = 1.0,
    sigma_u: Any = None,
    mu: Any = None,
    alpha: float | Any = 0.9,
    observe: Any = None,
    rescale: Any = None,
    seed: int = 0,
) -> FluctuationStart:
    r"""Draw weights with which the fluctuations of each membrane reach its threshold.

    Weights with limits of one sign (`mn.Sign()`, `mn.Positive()`, a `mn.Bounded` from or up to 0)
    follow Dale's law and are exponential; others are normal. Weights of Synapses that are not set
    are not taken into account.

    Arguments:
        model: Its weights change.
        rate: Mean rate $\nu$ of the spikes that arrive at a synapse, a Quantity [Hz]; one for all,
            or by the name of the group that they come from. A layer that a mapping does not name is
            run with Poisson spikes of the rates that are known, layer by layer.
        weights: Names of trained weights, by default all that have a value for each synapse.
        xi: Distance from the mean to threshold, in standard deviations $\sigma_U$ [1].
        sigma_u: $\sigma_U$ instead of `xi`, a Quantity in the unit of what is compared with the
            threshold; or by the name of a group, or of a variable, {"readout.v": 1*mV}, as groups
            without a threshold need it.
        mu: Mean $\mu_U$ of the membrane, from its rest, by default 0; a Quantity like `sigma_u`, or
            by group.
        alpha: Share of the variance that comes from other groups, where a group has synapses onto
            itself [1].
        observe: How long layers are run to find their rates, a Quantity [s], by default 1 s.
        rescale: For how long, a Quantity [s], membranes with the new weights are driven by Poisson
            spikes and observed, their thresholds off, so that the weights can be scaled to the
            $\sigma_U$ that is wanted: for synapses that are not linear, as conductances far from
            rest. None, the default, trusts the kernels.
        seed: Of the weights and of all other random numbers.

    Returns:
        What was set, and the numbers behind it.

    Raises:
        UnitError: A rate is none, or `sigma_u` or `mu` is not in the unit of the membrane.
        UnknownName: Weights are not trained, or `rate`, `sigma_u` or `mu` names no group.
        DomainError: No weights end in a group with a threshold or a `sigma_u`; a neuron rests above
            its threshold, or not at all; a spike moves nothing, or for ever; a rate cannot be
            found; a balance does not exist; or an argument is outside its domain.
        DomainWarning: Limits cut off some of the weights.

    Example:
        >>> from brian2 import Hz
        >>> # start = mn.init.fluctuation_driven(model, rate={"stimulus": 5*Hz}, xi=2)
        >>> # print(start)
    """
    if not isinstance(model, Mirror):
        raise DomainError(
            f"fluctuation_driven({type(model).__name__}): weights are set in a mirror,"
            " which this is not. Write model = mn.mirror(net, train=['ee.w'])."
        )
    if not isinstance(cast(Any, seed), int | np.integer) or seed < 0:
        raise DomainError(
            f"fluctuation_driven(seed={seed!r}): a seed is a whole number from 0 on. Write seed=0."
        )
    plan = _plan(model, weights, xi, sigma_u, mu, alpha, rate, seed)
    for steps, given in (("observe", observe), ("rescale", rescale)):
        if given is not None:
            setattr(plan, steps, _duration(model, given, steps))
    return plan.carry_out()


@dataclass
class _Plan:
    """What is wanted, and what has been found on the way.

    Arguments:
        model: Its weights change.
        chosen: Weights that are set.
        membranes: What fluctuates in each group.
        xi: Distance to threshold in standard deviations.
        sigma, mu: What is wanted of each group in SI units, where it was given.
        alpha: Share of other groups.
        rates: Of groups [Hz], where known.
        left: Weights that are not set.
        seed: Of random numbers.
        observe, rescale: Steps for which layers are run; no steps do not rescale.
    """

    model: Mirror
    chosen: list[Afferent]
    membranes: dict[str, Membrane]
    xi: float
    sigma: dict[str, float]
    mu: dict[str, float]
    alpha: float
    rates: dict[str, float]
    left: dict[str, str]
    seed: int
    observe: int = 0
    rescale: int = 0
    rows: dict[str, Row] = field(default_factory=dict[str, Row])

    def __post_init__(self) -> None:
        self.observe = round(1.0 / self.model.program.dt)
        self.drawn: dict[str, Array] = {}

    def carry_out(self) -> FluctuationStart:
        """Set the weights of one group after the other, those first whose inputs are known."""
        open_ = list(self.membranes)
        while open_:
            name = next((n for n in open_ if self._unknown(n) <= {n}), None)
            if name is None:
                raise self._circle(open_)
            self._set_group(name)
            open_.remove(name)
        return FluctuationStart(tuple(self.rows[a.key] for a in self.chosen), self.rates, self.left)

    def _of(self, name: str) -> list[Afferent]:
        return [a for a in self.chosen if a.post == name]

    def _unknown(self, name: str) -> set[str]:
        """Groups that drive a group and whose rates are not known."""
        return {a.source for a in self._of(name)} - self.rates.keys()

    def _circle(self, names: list[str]) -> DomainError:
        unknown = sorted(set().union(*(self._unknown(n) for n in names)))
        return DomainError(
            f"fluctuation_driven(rate={{...}}): the rates of {', '.join(unknown)} are not given and"
            " cannot be found, as these groups drive each other, or their own weights are not set."
            f" Write rate={{'{unknown[0]}': 5*Hz, ...}}."
        )

    # ---- one group

    def _set_group(self, name: str) -> None:
        """Set all weights that end in a group."""
        measured = self._measure(name)
        if name not in self._unknown(name):
            self._set(name, measured)
            self._find_rate(name)
            return
        others = [self.rates[a.source] for a in self._of(name) if not a.recurrent]
        if not others:
            raise self._circle([name])
        self.rates[name] = float(np.mean(others))
        before = found = 0.0
        for _ in range(ROUNDS):
            self._set(name, measured)
            before, found = self.rates[name], self._rate(name)
            self.rates[name] = max(found, SAME_RATE * before)
            if abs(found - before) <= SAME_RATE * before:
                return
        raise DomainError(
            f"fluctuation_driven(rate=...): the rate of {name!r}, which drives itself, does not"
            f" settle: {before:.3g} Hz among its inputs makes it fire at {found:.3g} Hz, after"
            f" {ROUNDS} rounds. Give it: rate={{{name!r}: 5*Hz, ...}}, or raise xi."
        )

    def _find_rate(self, name: str) -> None:
        """Find the rate of a group that others depend on and nobody gave."""
        asked = {a.source for a in self.chosen if a.post != name}
        if name in asked and name not in self.rates:
            self.rates[name] = self._rate(name)

    def _measure(self, name: str) -> "_Measured":
        """Rest, threshold and kernels of a group."""
        membrane = self.membranes[name]
        free = FreeMembrane(self.model, self._of(name), membrane, self.seed)
        rest, level = free.rest()
        here = level.numpy()
        mu = np.full(here.shape, self.mu.get(name, 0.0))
        if name in self.sigma:
            sigma = np.full(here.shape, self.sigma[name])
        else:
            self._require_below(name, here, mu)
            sigma = (-here - mu) / self.xi
        kernels = {a.key: kernel(free, a, rest, sigma) for a in self._of(name)}
        return _Measured(free, rest, here, sigma, mu, kernels)

    def _require_below(self, name: str, margin: Array, mu: Array) -> None:
        above = margin + mu >= 0
        if above.any():
            first = int(np.flatnonzero(above)[0])
            raise DomainError(
                f"fluctuation_driven(xi={self.xi:g}): neuron {first} of {name!r} has its mean"
                f" {margin[first] + mu[first]:.3g} [{self.model.unit(self.membranes[name].key)}]"
                " above its threshold, so that it fires without any fluctuation. Lower mu or its"
                f" constant input, or say how far it fluctuates: sigma_u={{{name!r}: ...}}."
            )

    def _set(self, name: str, measured: "_Measured") -> None:
        """Draw the weights of a group and write them into the model."""
        some = self._of(name)
        signs = {a.key: _sign(self.model, a.key) for a in some}
        if any(signs.values()) and not all(signs.values()):
            one, other = (next(k for k, s in signs.items() if bool(s) == b) for b in (True, False))
            raise DomainError(
                f"fluctuation_driven(model): {one} keeps its sign and {other} need not, and both"
                f" end in {name!r}. Either all weights of a group follow Dale's law or none. Write"
                f" train={{'{other}': mn.Sign()}}, or mn.Free() for {one}."
            )
        self._require_no_conductances(signs)
        drives = [self._drive(a, measured.kernels[a.key], signs[a.key]) for a in some]
        moments = exponential if all(signs.values()) else normal
        wanted = moments(drives, measured.sigma, measured.mu, self.alpha)
        for a, drive, found in zip(some, drives, wanted, strict=True):
            self.rows[a.key] = Row(
                a.key, self.model.unit(a.key), name, a.source, a.fan_in, drive.rate,
                measured.kernels[a.key], found.mean, found.deviation, bool(drive.sign),
            )  # fmt: skip
            self.drawn[a.key] = self._draw(a, drive, found)
        if self.rescale:
            self._correct(name, measured)
        for a in some:
            _write(self.model, a.key, self.drawn[a.key])

    def _require_no_conductances(self, signs: Mapping[str, int]) -> None:
        """Refuse conductances that may become negative."""
        for key, sign in signs.items():
            if not sign and self.model.unit(key) == SIEMENS:
                raise DomainError(
                    f"fluctuation_driven(model): {key} are conductances with the limit"
                    f" '{self.model.limits[key]}', of which half would be negative. Weights of one"
                    f" sign come from excitatory and inhibitory synapses that balance. Write"
                    f" train={{'{key}': mn.Positive()}} for both."
                )

    def _drive(self, a: Afferent, found: Kernel, sign: int) -> Drive:
        rate = self.rates[a.source]
        if rate <= 0:
            raise DomainError(
                f"fluctuation_driven(rate=...): the rate of {a.source!r} is {rate:g} Hz, and no"
                f" weight of {a.key!r} makes fluctuations of no spikes. Give a rate above zero, or"
                f" leave {a.key!r} out of weights."
            )
        return Drive(a.key, a.fan_in, rate, found.mean, found.square, a.recurrent, sign)

    def _draw(self, a: Afferent, drive: Drive, wanted: Moments) -> Array:
        """Weights, each by the neuron at which it ends; the same numbers in each round."""
        rng = np.random.default_rng([self.seed, self.chosen.index(a)])
        mean, deviation = wanted.mean[a.index], wanted.deviation[a.index]
        if drive.sign:
            return mean * rng.exponential(size=len(a.index))
        return mean + deviation * rng.standard_normal(len(a.index))

    # ---- runs

    def _rate(self, name: str) -> float:
        """Rate of a group with Poisson inputs [Hz]."""
        spiking = self.model.program.spiking()
        sources = [s for s in self.rates if s in spiking and s != name]
        trains = _Poisson(self, sources, TRIALS)
        size = self.model.program.groups[name].size + sum(trains.sizes.values())
        state, rates = None, list[tuple[int, float]]()
        for steps in _parts(self.observe, max(1, MOST // (TRIALS * size))):
            given, seed = trains.next(steps), self.seed if state is None else None
            with torch.no_grad():
                found = self.model.run_steps(steps, given, TRIALS, state, seed=seed)
            state = found.state
            rates.append((steps, found.rates()[name]))
        return sum(steps * rate for steps, rate in rates) / self.observe

    def _correct(self, name: str, measured: "_Measured") -> None:
        """Scale weights until the membrane fluctuates as far as wanted."""
        for _ in range(CORRECTIONS):
            found = self.fluctuations(name, measured)
            ratio = float(np.sqrt(np.mean(measured.sigma**2) / np.mean(found**2)))
            for a in self._of(name):
                row = self.rows[a.key]
                self.drawn[a.key] = ratio * self.drawn[a.key]
                mean, deviation = ratio * row.mean, ratio * row.deviation
                self.rows[a.key] = replace(row, mean=mean, deviation=deviation)
            if abs(ratio - 1) < 0.01:
                return

    def fluctuations(self, name: str, measured: "_Measured") -> Array:
        """Standard deviation of free membranes with Poisson inputs, " neuron"."""
        free, state, traces = measured.free, measured.rest, list[Tensor]()
        trains = _Poisson(self, list({a.source: None for a in self._of(name)}), 1)
        for steps in _parts(self.rescale, free.largest()):
            trace, state = free.run(steps, state, self.drawn, trains.next(steps))
            traces.append(trace)
        whole = torch.cat(traces)[:, 0].numpy()[self.rescale // 5 :]
        return np.sqrt(np.square(whole - whole.mean(0)).mean(0))


class _Poisson:
    """Poisson spikes of some groups, drawn part by part.

    Arguments:
        plan: Knows their rates.
        sources: The groups.
        trials: How many.
    """

    def __init__(self, plan: _Plan, sources: Sequence[str], trials: int) -> None:
        program = plan.model.program
        order = {name: k for k, name in enumerate(program.groups)}
        self.sizes = {name: program.groups[name].size for name in sources}
        self.chances = {name: min(plan.rates[name] * program.dt, 1.0) for name in sources}
        self.streams = {
            name: np.random.default_rng([plan.seed, order[name], 1]) for name in sources
        }
        self.trials = trials

    def next(self, steps: int) -> dict[str, Tensor]:
        """The following steps, "time batch neuron"."""
        return {
            name: torch.from_numpy(
                self.streams[name].random((steps, self.trials, size)) < self.chances[name]
            ).double()
            for name, size in self.sizes.items()
        }


def _parts(steps: int, largest: int) -> Iterator[int]:
    """Steps in parts that are not too large."""
    for start in range(0, steps, largest):
        yield min(largest, steps - start)


@dataclass(frozen=True)
class _Measured:
    """What was measured of a group, its threshold off.

    Arguments:
        free: The network.
        rest: State in which it rests.
        level: What is recorded, at rest, " neuron".
        sigma, mu: What is wanted, " neuron".
        kernels: By weights.
    """

    free: FreeMembrane
    rest: dict[str, Any]
    level: Array
    sigma: Array
    mu: Array
    kernels: Mapping[str, Kernel]


# ---- what is wanted


def _plan(
    model: Mirror, weights: Sequence[str] | None, xi: Any, sigma_u: Any, mu: Any, alpha: Any,
    rate: Any, seed: int,
) -> _Plan:  # fmt: skip
    """The arguments, checked."""
    _require_number("xi", xi, 0.0, np.inf, "the distance to threshold in standard deviations")
    _require_number("alpha", alpha, 0.0, 1.0, "the share of the variance from other groups")
    chosen = afferents(model, weights)
    posts = list(dict.fromkeys(a.post for a in chosen))
    named = _by_group(model, sigma_u, posts, "sigma_u")
    membranes = {p: m for p in posts if (m := _membrane(model, p, named.get(p, (p, None))[0]))}
    left = {
        a.key: f"{a.post!r} has no threshold that compares something, and no sigma_u is given"
        for a in chosen
        if a.post not in membranes
    }
    if left and (weights is not None or not membranes):
        raise _no_membrane(chosen, left)
    chosen = [a for a in chosen if a.post in membranes]
    shifts = _by_group(model, mu, posts, "mu")
    return _Plan(
        model, chosen, membranes, float(xi),
        _plain(model, named, membranes, "sigma_u", positive=True),
        _plain(model, shifts, membranes, "mu"),
        float(alpha), _rates(model, rate, chosen), left, seed,
    )  # fmt: skip


def _no_membrane(chosen: list[Afferent], left: Mapping[str, str]) -> DomainError:
    post = next(a.post for a in chosen if a.key in left)
    return DomainError(
        f"fluctuation_driven(weights={list(left)}): {post!r}, in which they end, has no threshold"
        " with which fluctuations could be compared. Say which of its variables is to fluctuate and"
        f" how far, sigma_u={{'{post}.v': 1*mV}}, or name weights that end in spiking neurons."
    )


def _membrane(model: Mirror, group: str, named: str) -> Membrane | None:
    """What fluctuates in a group: a variable that was named, or the distance to threshold."""
    if "." in named:
        return Membrane(group, named)
    margin = f"{group}.spike{MARGIN}"
    return Membrane(group, margin) if margin in model.program.values else None


def _by_group(
    model: Mirror, given: Any, posts: Sequence[str], argument: str
) -> dict[str, tuple[str, Any]]:
    """Group to the name under which something was given, and what was."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return {post: (post, given) for post in posts}
    found: dict[str, tuple[str, Any]] = {}
    for name, value in cast(Mapping[str, Any], given).items():
        group, _, variable = name.partition(".")
        asked = f"fluctuation_driven({argument}={{{name!r}: ...}})"
        if group not in posts:
            raise UnknownName.among(asked, group, posts)
        if variable and name not in model.program.variables:
            raise UnknownName.among(asked, name, model.program.variables)
        found[group] = name, value
    return found


def _plain(
    model: Mirror, named: Mapping[str, tuple[str, Any]], membranes: Mapping[str, Membrane],
    argument: str, positive: bool = False,
) -> dict[str, float]:  # fmt: skip
    """Quantities of groups in SI units."""
    found: dict[str, float] = {}
    for group, (name, value) in named.items():
        if group not in membranes:
            continue
        what = f"fluctuation_driven({argument}=...): that of {name!r}"
        number = si(value, model.unit(membranes[group].key), what)
        if number.size != 1 or not np.isfinite(number).all() or (positive and number.item() <= 0):
            raise DomainError(
                f"{what} is {value}, but it is one finite {'positive ' if positive else ''}value"
                " for a group. Write, say, 1*mV."
            )
        found[group] = float(number.item())
    return found


def _rates(model: Mirror, rate: Any, chosen: Iterable[Afferent]) -> dict[str, float]:
    """Rates of groups [Hz]."""
    sources = list(dict.fromkeys(a.source for a in chosen))
    if not isinstance(rate, Mapping):
        rate = dict.fromkeys(sources, rate)
    found: dict[str, float] = {}
    for name, value in cast(Mapping[str, Any], rate).items():
        if name not in model.program.spiking():
            raise UnknownName.among(
                f"fluctuation_driven(rate={{{name!r}: ...}})", name, model.program.spiking()
            )
        what = f"fluctuation_driven(rate=...): that of {name!r}"
        number = si(value, HERTZ, what)
        if number.size != 1 or not np.isfinite(number).all() or number.item() <= 0:
            raise DomainError(
                f"{what} is {value}, but a mean rate is one number above zero, as silent inputs"
                " cause no fluctuations. Write, say, 5*Hz."
            )
        found[name] = float(number.item())
    return found


def _duration(model: Mirror, given: Any, argument: str) -> int:
    """Steps in a duration."""
    number = si(given, SECOND, f"fluctuation_driven({argument}=...)")
    steps = round(float(number.item()) / model.program.dt) if number.size == 1 else 0
    if steps < 1:
        raise DomainError(
            f"fluctuation_driven({argument}={given}): that is how long the network is observed, one"
            f" time of at least a step. Write {argument}=1*second."
        )
    return steps


def _require_number(name: str, value: Any, low: float, high: float, what: str) -> None:
    number = is_number(value)
    if not (number and low < value < high) and not (number and value == 1.0 == high):
        span = f"above {low:g}" if high == np.inf else f"above {low:g} and at most {high:g}"
        raise DomainError(
            f"fluctuation_driven({name}={value!r}): that is {what}, one number {span}."
            f" Write, say, {name}={'2' if name == 'xi' else '0.9'}."
        )


# ---- weights


def _sign(model: Mirror, key: str) -> int:
    """Sign of weights that keep it, 0 of those that need not.

    Raises:
        DomainError: They keep their signs, but those are not all the same.
    """
    held, limit = model.trained[key], model.limits[key]
    if isinstance(limit, Free):
        return 0
    value = held.read().detach()
    low, high = limit.bounds(value, model.unit(key))
    above, below = (torch.as_tensor(x).expand(value.shape) for x in (low, high))
    if bool((above >= 0).all()):
        return 1
    if bool((below <= 0).all()):
        return -1
    if isinstance(limit, Sign):
        raise DomainError(
            f"fluctuation_driven(model): {key} keeps the signs of its weights, {limit}, and these"
            " are of both signs or zero, so that they are no excitatory or inhibitory synapses."
            " Make two Synapses of it, one for each sign, or set the weights to +1 or -1 times"
            " their unit before the mirror is made."
        )
    return 0


def _write(model: Mirror, key: str, value: Array) -> None:
    """Set weights within their limits, and say so if that changes many."""
    held, limit = model.trained[key], model.limits[key]
    wanted = torch.from_numpy(value).to(held.raw)
    held.begin_at(wanted, limit, model.unit(key))
    cut = float((held.read().detach() != wanted).double().mean())
    if cut > CUT:
        warnings.warn(
            f"fluctuation_driven(model): {100 * cut:.0f} % of the weights {key} lie beyond their"
            f" limit ({limit}) and were moved to its border, so that the membrane fluctuates less"
            " than asked for. Widen the limit, or raise xi.",
            DomainWarning,
            stacklevel=5,
        )
