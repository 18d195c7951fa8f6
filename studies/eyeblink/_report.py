"""What `eyeblink` found, as metrics, a table of trials and figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, INHIBITORY, REFERENCE
from mirrorneuron.bio.circuits import cerebellum
from mirrorneuron.bio.circuits.eyeblink import BEFORE, BIN, DEPRESSED, POTENTIATED, conditionable

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.file import write_csv
from .._kit.report import publish, verdicts
from ._session import LATE, STEP, Session

FIRST, LAST, END, BLOCK = 10, 20, 10, 5  # trials
COLORS = {"before": "0.5", "trained": EXCITATORY, "extinguished": GOOD, "longer": INHIBITORY}


# ---- which trials


def ends(session: Session, phase: str, number: int, first: bool = False) -> Bool[np.ndarray, " t"]:
    """The first or last trials of a phase."""
    inside = np.flatnonzero(session.where(phase))
    chosen = np.zeros(len(session["phase"]), dtype=bool)
    chosen[inside[:number] if first else inside[-number:]] = True
    return chosen


def probes(session: Session, phase: str) -> Bool[np.ndarray, " t"]:
    """Trials of the CS alone in the second half of a phase."""
    half = (int(session.where(phase).sum()) + 1) // 2
    return ends(session, phase, half) & session.where(phase, alone=True)


def states(session: Session) -> dict[str, Bool[np.ndarray, " t"]]:
    """Trials of the CS alone in each state of what was learned."""
    found = {"before": session.where("before"), "trained": probes(session, "acquisition")}
    if "extinction" in session.phases:
        found["extinguished"] = ends(session, "extinction", END)
        found["longer"] = probes(session, "longer")
    return found


@dataclass(frozen=True)
class Findings:
    """Sessions of all animals, whose learning ones are drawn.

    Arguments:
        seeds: Of the animals.
        learning: Their sessions with plasticity.
        fixed: Those with fixed weights.
    """

    seeds: Sequence[int]
    learning: Sequence[Session]
    fixed: Sequence[Session]


def report(out: Path, found: Findings, about: str) -> Result:
    """Metrics, trials as CSV, figures and page."""
    metrics = figures_of(found.learning, found.fixed)
    write_csv(out / "trials.csv", table_of_trials(found))
    figures = draw_all(
        out, found, (draw_learning, draw_lid, draw_rates, draw_weights, draw_rasters)
    )
    title = "Eyeblink conditioning in the spiking olivo-cerebellar circuit"
    return publish(out, title, metrics, [verdicts(metrics)], figures, about)


def table_of_trials(found: Findings) -> Iterator[Sequence[Any]]:
    """One line for each trial."""
    yield ("session", "seed", "trial", "phase", "interval_s", "us_s", "cr", "peak_s",
           "threshold_hz", "lid_max_hz")  # fmt: skip
    for kind, sessions in (("learning", found.learning), ("fixed", found.fixed)):
        for seed, session in zip(found.seeds, sessions, strict=True):
            columns = (session[name] for name in ("interval", "us", "peak", "threshold"))
            numbers = zip(*columns, session.highest, strict=True)
            known = zip(session["phase"], session["responded"], numbers, strict=True)
            for k, (phase, cr, values) in enumerate(known):
                interval, us, *others = (f"{value:.3f}" for value in values)
                yield kind, seed, k, session.phases[phase], interval, us, int(cr), *others


# ---- metrics


def figures_of(learning: Sequence[Session], fixed: Sequence[Session]) -> dict[str, Metric]:
    """Every number, mean over the animals, with its target."""

    def share(pick: Any, sessions: Sequence[Session] = learning) -> float:
        return float(np.mean([s.share(pick(s)) for s in sessions]))

    def trained_or_not(session: Session) -> Bool[np.ndarray, " t"]:
        return session.where("acquisition") | session.where("unpaired")

    def below(value: float, target: float) -> Metric:
        return Metric.below(value, "1", target)

    first, last = (
        [s.share(ends(s, phase, LAST, first=True)) for s in learning]
        for phase in ("acquisition", "reacquisition")
    )
    trained = [s.share(ends(s, "acquisition", LAST)) for s in learning]
    metrics = {
        "cr_before": below(share(lambda s: s.where("before") | s.where("before_longer")), 0.1),
        "cr_first_10": below(share(lambda s: ends(s, "acquisition", FIRST, first=True)), 0.1),
        "cr_trained": Metric.at_least(np.mean(trained), "1", 0.7),
        "cr_trained_worst": Metric(float(np.min(trained)), "1"),
        "cr_extinguished": below(share(lambda s: ends(s, "extinction", END)), 0.3),
        "cr_unpaired": below(share(lambda s: s.where("unpaired")), 0.1),
        "cr_fixed": below(share(trained_or_not, fixed), 0.1),
        "cr_acquisition_first_20": Metric(float(np.mean(first)), "1"),
        "cr_reacquisition_first_20": Metric(
            float(np.mean(last)), "1", None, bool(np.mean(last) > np.mean(first))
        ),
        "cr_longer": Metric(share(lambda s: ends(s, "longer", LAST)), "1"),
    }
    for name, phase, target in (("", "acquisition", 0.25), ("_longer", "longer", 0.5)):
        found = peak(learning, phase)
        hit = bool(abs(found - target) <= 50e-3)
        metrics[f"peak{name}"] = Metric(found * 1e3, "ms", target * 1e3, hit)
        shape = highest_of_mean(learning, phase)
        metrics[f"peak_of_mean{name}"] = Metric(shape * 1e3, "ms", target * 1e3)
        dip = change(learning, "purkinje", phase)
        metrics[f"purkinje_dip{name}"] = Metric.at_least(-dip, "1", 0.2)
        rise = change(learning, "dcn_p", phase)
        metrics[f"nuclear_rise{name}"] = Metric(rise, "1", 0.0, bool(rise > 0))
    for name in DEPRESSED[:1] + POTENTIATED[:1]:
        metrics[f"neutral_rate_{name}"] = Metric(neutral_rate(name), "Hz")
    rest = [s["rates_olive_0"][s.where("before")].mean() for s in learning]
    metrics["olive_at_rest"] = Metric(float(np.mean(rest)), "Hz")
    naive = [s["weights_0"][sample_at(s, "before")].mean() for s in learning]
    metrics["weight_before"] = Metric(float(np.mean(naive)), "1")
    other = [s["weights_1"][-1].mean() for s in learning]
    metrics["weight_other_zone_end"] = Metric(float(np.mean(other)), "1")
    for group in ("purkinje", "dcn_p"):
        metrics[f"{group}_naive"] = Metric(change(learning, group, "before"), "1")
        metrics[f"{group}_other_zone"] = Metric(change(learning, group, "acquisition", 1), "1")
    return metrics


def neutral_rate(name: str) -> float:
    """Rate of climbing fibres at which weights of a pathway do not drift [Hz]."""
    plastic = conditionable(cerebellum(scale=0.005))[name]
    steps = {key: float(np.asarray(plastic.values[key])) for key in ("A_plus", "A_minus")}
    return float(np.asarray(plastic.rule.neutral_rate(**steps)))


def peak(sessions: Sequence[Session], phase: str) -> float:
    """Median peak of the lid in the probes with a response [s]."""
    found = [s["peak"][probes(s, phase) & s["responded"]] for s in sessions]
    peaks = np.concatenate(found)
    return float(np.median(peaks)) if len(peaks) else float("nan")


def highest_of_mean(sessions: Sequence[Session], phase: str) -> float:
    """Peak of the mean lid of all probes, with or without a response [s]."""
    mean = np.mean([above(s, probes(s, phase)) for s in sessions], axis=0)
    return float(np.argmax(mean[round(sessions[0].onset / BIN) :]) * BIN)


def above(session: Session, selected: Bool[np.ndarray, " t"]) -> Float[np.ndarray, " time"]:
    """Mean lid above what it is before the CS [Hz]."""
    mean = session["lid"][selected].mean(0)
    at = round(session.onset / BIN)
    return mean - mean[at - round(BEFORE / BIN) : at].mean()


def change(sessions: Sequence[Session], group: str, phase: str, zone: int = 0) -> float:
    """Rate late in the CS over that before it, less 1, in trials of the CS alone [1]."""
    ratios = []
    for session in sessions:
        chosen = session.where(phase) if phase == "before" else probes(session, phase)
        late, rest = (session.window(group, zone, chosen, late) for late in (True, False))
        ratios.append(late / rest - 1 if rest else np.nan)
    return float(np.mean(ratios))


# ---- figures


def draw_learning(found: Findings) -> Figure:
    """Share of responses in blocks of trials, and rates late in the tone (CS)."""
    learning, fixed = found.learning, found.fixed
    figure, (responses, rates) = plt.subplots(
        2, 1, figsize=(9.6, 5.4), sharex=True, layout="constrained"
    )
    for session in learning:
        responses.plot(*blocks(session["responded"]), color=EXCITATORY, alpha=0.25, linewidth=1)
    mean = np.mean([s["responded"] for s in learning], axis=0)
    responses.plot(*blocks(mean), color=EXCITATORY, linewidth=2, label="plastic")
    mean = np.mean([s["responded"] for s in fixed], axis=0)  # its phases are the first of a session
    responses.plot(*blocks(mean), color="0.4", linestyle="--", label="weights fixed")
    for group, color, label in (
        ("purkinje", INHIBITORY, "Purkinje cells"), ("dcn_p", EXCITATORY, "nuclear cells")
    ):  # fmt: skip
        for zone, style in ((0, "-"), (1, ":")):
            late = np.mean([late_rate(s, group, zone) for s in learning], axis=0)
            name = f"{label}, {'zone with US' if zone == 0 else 'other zone'}"
            rates.plot(*blocks(late), color=color, linestyle=style, label=name)
    for ax in (responses, rates):
        mark_phases(learning[0], ax)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    responses.set(ylim=(-0.03, 1.03), ylabel=f"CR, of {BLOCK} trials")
    for number, phase in enumerate(learning[0].phases):
        middle = np.flatnonzero(learning[0]["phase"] == number).mean()
        responses.annotate(phase.replace("_", ", "), (middle, 1.03), ha="left", fontsize=8,
                           rotation=25, xycoords=("data", "axes fraction"))  # fmt: skip
    rates.set(xlabel="trial", ylabel="rate late in the CS (Hz)", ylim=(0, None))
    return figure


def blocks(values: Any) -> tuple[Any, Any]:
    """Middle and mean of each block of trials."""
    starts = np.arange(0, len(values), BLOCK)
    return (
        starts + (BLOCK - 1) / 2,
        np.array([np.mean(values[start : start + BLOCK]) for start in starts]),
    )


def late_rate(session: Session, group: str, zone: int) -> Float[np.ndarray, " trial"]:
    """Rate late in the CS of each trial [Hz]."""
    rates, found = session[f"rates_{group}_{zone}"], []
    for row, interval in zip(rates, session["interval"], strict=True):
        a, b = (round((session.onset + interval + edge) / STEP) for edge in LATE)
        found.append(row[a:b].mean())
    return np.array(found)


def mark_phases(session: Session, ax: Any) -> None:
    """A line where each phase begins."""
    for edge in np.flatnonzero(np.diff(session["phase"])) + 0.5:
        ax.axvline(edge, color="0.8", linewidth=1, zorder=0)


def draw_lid(found: Findings) -> Figure:
    """The lid in trials of the tone alone: mean over animals, with each animal faint."""
    learning = found.learning
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.4), sharey=True, layout="constrained")
    time = (np.arange(len(learning[0]["lid"][0])) * BIN - learning[0].onset) * 1e3
    shown = {0: ("before", "trained", "extinguished"), 1: ("before", "longer")}
    for column, ax in enumerate(axes):
        interval = (0.25, 0.5)[column] * 1e3
        ax.axvspan(0, interval + 10, color="0.93", zorder=0)
        ax.axvline(interval, color=BAD, linewidth=1, linestyle=":")
        for state in shown[column]:
            rows = [above(s, states(s)[state]) for s in learning if state in states(s)]
            for row in rows:
                ax.plot(time, row, color=COLORS[state], alpha=0.25, linewidth=0.8)
            name = "before (the reference)" if state == "before" else state
            ax.plot(time, np.mean(rows, axis=0), color=COLORS[state], linewidth=2, label=name)
        margin = np.mean([s["threshold"].mean() - baseline(s) for s in learning])
        ax.axhline(margin, color="0.5", linewidth=1, linestyle="--", label="threshold of a CR")
        ax.legend(loc="upper left", fontsize=8)
        ax.set(xlabel="time from onset of the CS (ms)", xlim=(time[0], time[-1]))
    axes[0].set_ylabel("lid above baseline (Hz)")
    return figure


def baseline(session: Session) -> float:
    """Mean lid before the CS [Hz]."""
    at = round(session.onset / BIN)
    return float(session["lid"][:, at - round(BEFORE / BIN) : at].mean())


def draw_rates(found: Findings) -> Figure:
    """Rates of four groups in trials of the tone alone, before and after, in both zones."""
    learning = found.learning
    groups = (("granule", "granule cells"), ("basket", "basket cells"),
              ("purkinje", "Purkinje cells"), ("dcn_p", "nuclear cells"))  # fmt: skip
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 5.4), sharex=True, layout="constrained")
    for ax, (group, name) in zip(axes.ravel(), groups, strict=True):
        ax.axvspan(0, 260, color="0.93", zorder=0)
        for state in ("before", "trained"):
            for zone, style in ((0, "-"), (1, ":")):
                key = f"rates_{group}_{zone}"
                if key not in learning[0].arrays:
                    continue
                rows = [s[key][states(s)[state]].mean(0) for s in learning]
                both = np.mean(rows, axis=0).reshape(-1, 2).mean(1)
                time = ((np.arange(len(both)) + 0.5) * 2 * STEP - learning[0].onset) * 1e3
                word = "" if group in ("granule", "basket") else (", with US", ", other zone")[zone]
                ax.plot(time, both, style, color=COLORS[state], label=state + word)
        ax.set_title(name, fontsize=9, loc="left")
        ax.set(ylim=(0, None), ylabel="rate (Hz)")
        ax.legend(fontsize=7)
    for ax in axes[1]:
        ax.set_xlabel("time from onset of the CS (ms)")
    return figure


def draw_weights(found: Findings) -> Figure:
    """Weights of parallel fibres on Purkinje cells.

    Their distribution, what the spikes of the tone find, and the mean over the session.
    """
    learning = found.learning
    figure, (spread, profile, course) = plt.subplots(
        1, 3, figsize=(10.4, 3.2), layout="constrained"
    )
    session = learning[0]
    at = {name: sample_at(session, name) for name in states(session)}
    edges = np.linspace(0, 1, 26)
    for name, k in at.items():
        if name == "before":
            continue
        weights = np.concatenate([s["weights_0"][k] for s in learning])
        counts = np.histogram(weights, edges)[0] / len(weights)
        spread.stairs(counts, edges, color=COLORS[name], label=name)
    spread.set(xlabel="weight, of the start", ylabel="share of synapses", yscale="log")
    spread.legend(fontsize=8)
    for name, k in at.items():
        mean = np.mean([s["effective_0"][k] for s in learning], axis=0)
        time = (np.arange(len(mean)) + 0.5) * STEP * 1e3
        profile.plot(time, mean, color=COLORS[name], label=name)
    for interval, name in ((250, "trained"), (500, "longer")):
        profile.axvline(interval, color=COLORS[name], linestyle=":", linewidth=1)
    profile.set(xlabel="time of the spike in the CS (ms)", ylabel="weight under spikes of the CS",
                ylim=(0, 1.05))  # fmt: skip
    for zone, style in ((0, "-"), (1, ":")):
        mean = np.mean([s[f"weights_{zone}"].mean(1) for s in learning], axis=0)
        course.plot(session["sampled"], mean, style, color=REFERENCE,
                    label=("zone with US", "other zone")[zone])  # fmt: skip
    course.set(xlabel="time of the session (s)", ylabel="mean weight", ylim=(0, 1.05))
    course.legend(fontsize=8, loc="lower left")
    return figure


def sample_at(session: Session, state: str) -> int:
    """Sample of the weights at the end of a state's trials."""
    last = session["start"][states(session)[state]][-1] + session["lid"].shape[1] * BIN
    return min(int(np.searchsorted(session["sampled"], last)), len(session["sampled"]) - 1)


def draw_rasters(found: Findings) -> Figure:
    """Spikes of the first animal: Purkinje and nuclear cells in one trial of each state."""
    session = found.learning[0]
    names = [name for name in states(session) if name != "extinguished"]
    figure, axes = plt.subplots(
        2, len(names), figsize=(3.2 * len(names), 4.2), sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for row, (group, name) in enumerate((("purkinje", "Purkinje"), ("dcn_p", "nuclear"))):
        spikes = session[f"raster_{group}"]
        cells = np.unique(spikes[:, 1])
        for ax, state in zip(axes[row], names, strict=True):
            there = np.intersect1d(np.flatnonzero(states(session)[state]), spikes[:, 0])
            trial = there[0 if state == "before" else -1]
            own = spikes[spikes[:, 0] == trial]
            interval = float(session["interval"][int(trial)]) * 1e3
            ax.axvspan(0, interval + 10, color="0.93", zorder=0)
            y = np.searchsorted(cells, own[:, 1])
            ax.vlines((own[:, 2] - session.onset) * 1e3, y - 0.4, y + 0.4, color=REFERENCE,
                      linewidth=0.7)  # fmt: skip
            ax.set(ylim=(-0.6, len(cells) - 0.4), xlim=(-300, 700))
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
            if row == 0:
                ax.set_title(state, fontsize=9)
        axes[row, 0].set_ylabel(f"{name} cell")
    for ax in axes[1]:
        ax.set_xlabel("time from onset of the CS (ms)")
    return figure
