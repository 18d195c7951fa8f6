"""What people read of a mirror: the Program, the report, the generated code."""

import ast
import dataclasses
import linecache
import sys
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    mV,
    nA,
    nS,
    pF,
)

import mirrorneuron as mn
from mirrorneuron.bridge.backends.eager import emit
from mirrorneuron.bridge.program import Deliver, Program, Reset, Threshold, Update
from mirrorneuron.bridge.read import read
from mirrorneuron.errors import Unsupported


def build() -> Network:
    """One of everything that a Program can hold."""
    sound = TimedArray([0.1, 0.3, 0.2] * nA, dt=5 * ms, name="sound")
    stimulus = SpikeGeneratorGroup(3, [0, 1, 2], [1, 2, 3] * ms, name="stimulus")
    noise = PoissonGroup(4, rates="(50 + 10*i)*Hz", name="noise")
    cells = NeuronGroup(
        7,
        """dv/dt = (g_L*(E_L - v) + sound(t) + I) / C : volt (unless refractory)
           I : amp (constant)
           C : farad (shared, constant)
           field : 1""",
        threshold="v > -50*mV",
        reset="v = E_L",
        refractory=2 * ms,
        method="exponential_euler",
        namespace={"g_L": 10 * nS, "E_L": -60 * mV, "sound": sound},
        name="cells",
    )  # fmt: skip
    cells.v, cells.I, cells.C = -60 * mV, np.linspace(0, 0.1, 7) * nA, 100 * pF
    feed = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w, feed.delay = 2 * mV, np.linspace(0.1, 2.1, 21) * ms
    sums = Synapses(noise, cells, "field_post = 1.0*j : 1 (summed)", name="sums")
    sums.connect()
    return Network(stimulus, noise, cells, feed, sums, SpikeMonitor(cells, name="seen"))


@pytest.fixture
def program() -> Program:
    return read(build(), {})[0]


def test_a_printed_program_names_objects_units_counts_and_statements(program: Program):
    text = str(program)
    for part in (
        "Program: dt = 0.1 ms",
        "NeuronGroup 'cells': 7 elements, method 'exponential_euler'",
        "SpikeGeneratorGroup 'stimulus': 3 elements",
        "PoissonGroup 'noise': 4 elements",
        "Synapses 'feed': 21 elements",
        "Pathway 'feed_pre': stimulus.spike -> feed, delay 1 to 21 steps",
        "TimedArray 'sound': 3 values of 5 ms [A]",
        "g_L is 1e-08 [S]",
        "E_L is -0.06 [V]",
        "cells.spike for each of 7 cells where _cond",
        "cells.field sums over each of 28 sums",
        "for each synapse of feed where stimulus.spike arrives",
        "v_post += w",
        "where not_refractory",
    ):
        assert part in text, part
    lines = [line.split() for line in text.splitlines()]
    assert ["v", "[V]", "-0.06"] in lines
    assert ["I", "[A]", "0", "to", "1e-10"] in lines
    assert ["C", "[F]", "1e-10"] in lines
    assert ["w", "[V]", "0.002"] in lines


def test_slots_are_printed_in_the_order_of_brian2s_schedule(program: Program):
    text = str(program)
    titles = [f"{k}. {slot.name} " for k, slot in enumerate(program.slots, 1)]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    kinds = [type(slot) for slot in program.slots]
    assert kinds.index(Update) < kinds.index(Threshold) < kinds.index(Deliver)
    assert kinds.index(Deliver) < kinds.index(Reset)


def test_a_program_is_plain_data(program: Program):
    """Dataclasses, mappings, tuples, numpy arrays, numbers and texts, and nothing that lives."""
    plain = (str, int, float, bool, type(None), np.ndarray, np.generic)

    def walk(x: object, path: str) -> None:
        if dataclasses.is_dataclass(x):
            assert type(x).__module__.startswith("mirrorneuron"), path
            for field in dataclasses.fields(x):
                walk(getattr(x, field.name), f"{path}.{field.name}")
        elif isinstance(x, Mapping):
            for key, value in x.items():
                assert type(key) is str, path
                walk(value, f"{path}[{key!r}]")
        elif isinstance(x, tuple):
            for k, item in enumerate(x):
                walk(item, f"{path}[{k}]")
        else:
            assert type(x) in plain or type(x).__module__ == "numpy", (path, type(x))
            assert not isinstance(x, np.ndarray) or (type(x) is np.ndarray and x.dtype != object)

    walk(program, "program")


def test_a_programs_module_imports_neither_brian2_nor_torch():
    source = sys.modules[Program.__module__].__file__
    assert source is not None
    with open(source) as file:
        tree = ast.parse(file.read())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert not imported & {"brian2", "torch"}


def test_a_program_does_not_follow_its_network():
    network = build()
    program, _ = read(network, {})
    before = {key: v.value.copy() for key, v in program.variables.items()}
    network["feed"].w, network["cells"].v = 5 * mV, 0 * mV
    network.run(2 * ms)
    for key, variable in program.variables.items():
        np.testing.assert_array_equal(variable.value, before[key])


def test_reading_twice_gives_the_same_program():
    network = build()
    first, second = (str(read(network, {})[0]) for _ in range(2))
    assert first == second


def test_the_report_says_what_each_object_became():
    model = mn.mirror(build(), train=["feed.w", "cells.I"])
    text = str(model.report)
    assert text.startswith("Faithful: all 5 objects are mirrored.")
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert "NeuronGroup" in rows["cells"] and " 7 " in rows["cells"]
    assert "raises spikes" in rows["cells"] and "trained: I" in rows["cells"]
    assert "trained: w" in rows["feed"] and " 21 " in rows["feed"]
    assert "spikes as given" in rows["stimulus"]
    assert "summed over synapses" in rows["sums"]
    assert "monitor" in rows["seen"] and "recording.spikes" in rows["seen"]


def test_a_report_in_html_holds_no_tag_of_the_user():
    model = mn.mirror(build())
    evil = "<script>alert('x')</script>"
    item = Unsupported(evil, "<b>", f"calls {evil}", "", "")
    html = dataclasses.replace(model.report, unsupported=(item,))._repr_html_()
    assert "<script>" not in html and "<b>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<tr>") == html.count("</tr>") == 1 + 6 + 1
    assert model.report._repr_html_().startswith("<p>Faithful")


def test_what_is_left_out_is_in_text_and_html():
    network = build()

    network.add(NeuronGroup(1, "dv/dt = -v/ms : 1", method="gsl_rk4", name="stiff"))
    report = mn.mirror(network, strict=False).report
    assert not report.is_faithful
    for text in (str(report), report._repr_html_()):
        assert "Not faithful: 1 parts of the network are left out." in text
        assert "NeuronGroup" in text and "LEFT OUT: method=" in text


def test_a_printed_mirror_tells_size_step_and_type():
    text = repr(mn.mirror(build(), train=["feed.w"], dtype=torch.float64))
    assert "14 spiking elements, dt = 0.1 ms, float64 on cpu" in text
    assert "feed: Synapses of" in text and "trained: feed.w" in text


def test_the_generated_code_is_readable_python_with_the_users_names():
    model = mn.mirror(build(), train=["feed.w"])
    source = model.engine.code().source
    functions = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    assert functions[0] == "prelude"
    own = [n for n in functions if not n.endswith(("_values", "_crossing"))]
    assert len(own) == 1 + len(model.program.slots)
    assert any("cells" in name for name in functions)
    assert "'feed.w'" in source and "'cells.v'" in source
    assert "eval" not in source and "import" not in source


def test_a_traceback_shows_the_line_of_generated_code():
    code = mn.mirror(build()).engine.code()
    place = code.prelude.__code__
    line = linecache.getline(place.co_filename, place.co_firstlineno)
    assert line == "def prelude(V, c):\n"


def test_moving_what_is_constant_out_of_the_steps_changes_no_result(
    monkeypatch: pytest.MonkeyPatch,
):
    network = build()
    network.remove(network["noise"], network["sums"])

    def values() -> list[torch.Tensor]:
        model = mn.mirror(network, train=["feed.w", "cells.I", "cells.g_L"], dtype=torch.float64)
        recording = model.run(30 * ms, record=["cells.v"], seed=1)
        recording["cells.v"].sum().backward()
        gradients = [model.parameter(k).grad for k in model.limits]
        return [recording["cells.v"].detach(), recording.spikes["cells"], *gradients]

    moved = values()
    assert moved[1].sum() > 0
    hoist = emit.hoist

    def leaf_by_leaf(node: ast.expr, varying: set[str], keep: Callable[..., ast.expr]) -> ast.expr:
        """Moves single names only, so that every operation happens in every step."""
        if isinstance(node, ast.Name | ast.Constant):
            return hoist(node, varying, keep)
        changed = {k: leaf_by_leaf(v, varying, keep) for k, v in ast.iter_fields(node)
                   if k != "func" and isinstance(v, ast.expr)}  # fmt: skip
        listed = {k: [leaf_by_leaf(x, varying, keep) if isinstance(x, ast.expr) else x for x in v]
                  for k, v in ast.iter_fields(node) if isinstance(v, list)}  # fmt: skip
        return type(node)(**{**dict(ast.iter_fields(node)), **changed, **listed})

    monkeypatch.setattr(emit, "hoist", leaf_by_leaf)
    for a, b in zip(moved, values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    assert torch.equal(moved[0], values()[0])


def test_a_state_monitor_is_replaced_by_record():
    cells = NeuronGroup(2, "dv/dt = -v/(5*ms) : 1", method="exact", name="cells")
    network = Network(cells, StateMonitor(cells, "v", record=True, name="trace"))
    assert "run(record=[...])" in str(mn.mirror(network).report)
