from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure

from mirrorneuron.analysis import SpikeTrains, plot
from mirrorneuron.errors import DomainError, ShapeError, UnknownName

matplotlib.use("agg")


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def trains():
    return SpikeTrains((np.array([0.1, 0.2]), np.array([]), np.array([0.05])), duration=0.25)


def drawn(ax):
    return [line.get_xydata() for line in ax.lines]


def test_a_raster_draws_each_spike_in_ms_at_its_neuron(ax, trains):
    assert plot.plot_raster(trains, ax=ax) is ax
    np.testing.assert_allclose(drawn(ax)[0], [[100, 0], [200, 0], [50, 2]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "neuron")
    assert ax.get_ylim()[0] < ax.get_ylim()[1]
    line = ax.lines[0]
    assert (line.get_marker(), line.get_markersize(), line.get_linestyle()) == (".", 1, "None")


def test_a_split_raster_is_blue_and_red(ax, trains):
    plot.plot_raster(trains, inhibitory=np.array([False, False, True]), ax=ax)
    blue, red = (matplotlib.colors.to_rgb(line.get_color()) for line in ax.lines)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert [len(points) for points in drawn(ax)] == [2, 1]


def test_a_split_needs_a_side_for_each_neuron(ax, trains):
    with pytest.raises(ShapeError, match="inhibitory has 2 values, trains has 3 neurons"):
        plot.plot_raster(trains, inhibitory=np.array([False, True]), ax=ax)


def test_a_rate_is_the_mean_over_neurons(ax):
    steady = np.arange(5e-3, 1.0, 10e-3)
    plot.plot_rate(SpikeTrains((steady, np.array([])), duration=1.0), ax=ax)
    np.testing.assert_allclose(drawn(ax)[0][:, 1], 50.0, rtol=0.03)
    assert ax.get_ylabel() == "rate (Hz)"


def test_a_second_rate_fits_into_the_axes(ax):
    slow, fast = (SpikeTrains((np.arange(5e-3, 1.0, p),), duration=1.0) for p in (20e-3, 10e-3))
    plot.plot_rate(slow, ax=ax)
    plot.plot_rate(fast, ax=ax)
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 100


def test_an_interval_histogram_is_a_density(ax, trains):
    plot.plot_isi_histogram(trains, bins=np.array([0.0, 0.05, 0.15]), ax=ax)
    values, edges, _ = ax.patches[0].get_data()
    np.testing.assert_allclose(edges, [0, 50, 150])
    np.testing.assert_allclose(values, [0, 0.01])
    assert ax.get_xlabel() == "inter-spike interval (ms)"


@pytest.mark.parametrize(("unit", "value"), [("mV", -70.0), ("V", -0.07), ("uV", -70_000.0)])
def test_traces_read_in_the_unit_of_the_axis(ax, unit, value):
    plot.plot_traces(np.full((10, 2), -0.07), dt=1e-4, unit=unit, ax=ax)
    assert len(ax.lines) == 2
    np.testing.assert_allclose(drawn(ax)[0][-1], [0.9, value])
    assert ax.get_ylabel() == f"membrane potential ({unit.replace('u', 'µ')})"


def test_scale_bars_take_the_place_of_the_axes(ax):
    values = np.linspace(-0.07, -0.05, 1000)[:, None]
    plot.plot_traces(values, dt=1e-4, scale_bars=True, ax=ax)
    assert not ax.axison
    assert sorted(text.get_text() for text in ax.texts) == ["20 ms", "5 mV"]


def test_a_learning_curve_draws_each_step_and_their_mean(ax):
    plot.plot_learning_curve(np.array([4.0, 2.0, 1.0, 1.0]), smooth=2, ax=ax)
    single, mean = drawn(ax)
    np.testing.assert_allclose(single[:, 1], [4, 2, 1, 1])
    np.testing.assert_allclose(mean, [[0.5, 3], [1.5, 1.5], [2.5, 1]])
    assert ax.get_yscale() == "log"


def test_weights_before_and_after_are_told_apart(ax):
    plot.plot_weights(np.array([1e-9, 3e-9]), before=np.array([2e-9, 2e-9]), ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["before training", "after training"]
    assert [patch.get_data().values.sum() for patch in ax.patches] == [2, 2]
    assert ax.get_xlabel() == "weight (nS)"


@pytest.mark.parametrize(
    "draw",
    [
        plot.plot_raster,
        plot.plot_rate,
        plot.plot_isi_histogram,
        lambda trains: plot.plot_traces(np.zeros((0, 1)), dt=1e-3),
        lambda trains: plot.plot_learning_curve(np.array([])),
        lambda trains: plot.plot_weights(np.array([])),
    ],
)
def test_nothing_to_draw_is_an_empty_figure_of_its_own(draw):
    ax = draw(SpikeTrains((np.array([]),), duration=0.1))
    assert ax.get_xlabel()
    ax.figure.canvas.draw()
    matplotlib.pyplot.close(ax.figure)


def test_drawing_changes_no_settings_of_the_user():
    before = dict(matplotlib.rcParams)
    ax = plot.plot_traces(np.zeros((5, 1)), dt=1e-3)
    matplotlib.pyplot.close(ax.figure)
    assert dict(matplotlib.rcParams) == before


def test_the_style_is_shipped():
    assert plot.STYLE.is_file()


def test_a_raster_takes_what_simulations_give(ax, trains):
    from mirrorneuron.bio.recording import Simulation, Spikes

    spikes = Spikes(np.array([500, 1000, 2000]), np.array([2, 0, 0]), 1e-4, 3)
    simulation = Simulation(
        backend="x", dt=1e-4, duration=0.25, seed=None, t=np.empty(0), spikes={"a": spikes},
        traces={}, indices={}, final={}, units={}, seconds={}, versions={},
    )  # fmt: skip
    assert simulation.population_rate("a").shape == (2500,)
    assert simulation.population_rate("a")[500] == pytest.approx(1 / (3 * 1e-4))
    expected = [[100, 0], [200, 0], [50, 2]]
    for given in (simulation, spikes, simulation.spike_trains("a"), trains):
        axes = Figure().subplots()
        plot.plot_raster(given, ax=axes)
        np.testing.assert_allclose(drawn(axes)[0], expected)
        plot.plot_rate(given, ax=axes)
    with pytest.raises(DomainError, match="spikes of 2 groups"):
        plot.plot_rate(replace(simulation, spikes={"a": spikes, "b": spikes}), ax=ax)
    with pytest.raises(DomainError, match="these are no spikes"):
        plot.plot_raster("a", ax=ax)


def test_a_raster_of_several_groups_stacks_them_under_their_names(ax, trains):
    simulation = SimpleNamespace(
        spikes={"E": by_neuron(trains), "I": by_neuron(trains)}, duration=0.25
    )
    plot.plot_raster(simulation, ax=ax)
    upper = drawn(ax)[1]
    np.testing.assert_allclose(upper, [[100, 3], [200, 3], [50, 5]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["E", "I"]
    assert ax.get_ylim() == (-0.5, 5.5)


def test_a_raster_of_one_of_several_groups_has_its_neurons(ax, trains):
    simulation = SimpleNamespace(
        spikes={"E": by_neuron(trains), "I": by_neuron(trains)}, duration=0.25
    )
    plot.plot_raster(simulation, ax=ax, group="I")
    np.testing.assert_allclose(drawn(ax)[0], [[100, 0], [200, 0], [50, 2]])
    with pytest.raises(UnknownName, match="group='X' is not known"):
        plot.plot_raster(simulation, ax=ax, group="X")
    with pytest.raises(DomainError, match=r"spikes of 2 groups \(E, I\), and none was chosen"):
        plot.plot_rate(simulation, ax=ax)


def by_neuron(trains):
    return dict(enumerate(trains.trains))


def test_a_figure_leaves_the_interactive_mode_that_its_backend_sets(monkeypatch):
    """The inline backend of notebooks switches it on when the first figure is made."""
    from matplotlib import pyplot

    made = pyplot.subplots

    def first(**how):
        matplotlib.interactive(True)
        return made(**how)

    monkeypatch.setattr(pyplot, "subplots", first)
    matplotlib.interactive(False)
    try:
        plot.plot_learning_curve([1.0, 0.5])
        assert matplotlib.is_interactive()
    finally:
        matplotlib.interactive(False)
        pyplot.close("all")


def test_groups_that_are_too_low_for_their_name_have_none(ax, trains):
    tall = dict(enumerate([np.array([0.1])] * 97))
    simulation = SimpleNamespace(spikes={"low": by_neuron(trains), "tall": tall}, duration=0.25)
    plot.plot_raster(simulation, ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["tall"]
