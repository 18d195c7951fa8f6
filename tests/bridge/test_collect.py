"""What `run()` would leave out is said by name; delays are restored."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    magic_network,
    ms,
    restore,
    run,
    start_scope,
    store,
)

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, DomainWarning


def cells(name: str) -> NeuronGroup:
    return NeuronGroup(
        2, "dv/dt = (1.5 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact",
        name=name,
    )  # fmt: skip


class Holder:
    """As a script's own class that holds parts of a model."""

    def __init__(self, group: Any) -> None:
        self.group = group


def in_list(group: Any) -> Any:
    return [group]


def in_lists(group: Any) -> Any:
    return [[group], [3]]


def in_mapping(group: Any) -> Any:
    return {"a": {"b": group}}


def in_array(group: Any) -> Any:
    array = np.empty(2, dtype=object)
    array[0] = group
    return array


def in_mapping_of_lists(group: Any) -> Any:
    return {"layers": [group]}


KEEPERS = [in_list, in_lists, in_mapping, in_array, in_mapping_of_lists]


@pytest.mark.parametrize("given", [None, magic_network], ids=["nothing", "magic_network"])
@pytest.mark.parametrize("keep", KEEPERS)
def test_what_is_kept_in_containers_is_refused(keep: Callable[[Any], Any], given: Any) -> None:
    named, parts = cells("named"), keep(cells("lost"))
    assert named.N == 2 and parts is not None
    told = r"'parts' holds lost, which run\(\) would leave out.* Write mirror\(Network\(\.\.\., par"
    with pytest.raises(DomainError, match=told):
        mn.mirror(given)


def test_what_is_kept_in_attributes_is_refused() -> None:
    named, model = cells("named"), Holder(cells("lost"))
    assert named.N == 2 and model.group.N == 2
    with pytest.raises(DomainError, match=r"an attribute of 'model' holds lost, which run\(\)"):
        mn.mirror()


def test_the_parts_of_another_network_in_attributes_are_not_meant() -> None:
    named, model = cells("named"), Holder(cells("other"))
    other = Network(model.group)
    assert named.N == 2 and other.objects
    assert list(mn.mirror().program.groups) == ["named"]


def test_what_a_named_object_needs_is_missed_by_name() -> None:
    def made() -> Synapses:
        synapses = Synapses(cells("lost"), named, on_pre="v += 0.1", name="s")
        synapses.connect(j="i")
        keep.append(lambda: synapses.source)
        return synapses

    named, keep = cells("named"), list[Any]()
    s = made()
    with pytest.raises(DomainError, match=r"mirror\(\): s needs 'lost', to which no name refers"):
        mn.mirror(namespace={"named": named, "s": s})


def test_what_acts_on_named_objects_and_has_no_name_is_said() -> None:
    named = cells("named")

    def made() -> Callable[[], Any]:
        lost = Synapses(named, named, on_pre="v += 0.1", name="lost")
        lost.connect(j="i")
        return lambda: lost

    keep = made()
    with pytest.warns(DomainWarning, match=r"'lost' acts on objects that have a name here, and ha"):
        model = mn.mirror(namespace={"named": named})
    assert not model.program.pathways and keep() is not None


def test_what_nothing_holds_any_more_is_not_said() -> None:
    named = cells("named")
    for _ in range(2):  # as a cell of a notebook that is run twice
        s = Synapses(named, named, on_pre="v += 0.1")
        s.connect(j="i")
    assert len(mn.mirror().program.pathways) == 1


def test_what_an_earlier_scope_made_is_left_out_as_by_run() -> None:
    earlier = cells("earlier")
    start_scope()
    named = cells("named")
    assert earlier.N == named.N
    assert list(mn.mirror().program.groups) == ["named"]


# ---- delays


def delayed() -> tuple[Network, Synapses]:
    source = SpikeGeneratorGroup(2, [0, 1], [0, 0] * ms, name="source")
    s = Synapses(source, cells("target"), on_pre="v += 0.1", name="s")
    s.connect(j="i")
    s.delay = [5, 6] * ms
    return Network(source, s, s.target), s


def steps_of(model: mn.Mirror) -> list[int]:
    return model.program.pathways["s_pre"].delay.tolist()


@pytest.mark.parametrize("run_before", [False, True])
def test_restored_delays_are_those_that_were_stored(run_before: bool) -> None:
    network, s = delayed()
    if run_before:
        network.run(1 * ms)
    network.store()
    s.delay = 1 * ms
    with pytest.warns(DomainWarning, match=r"the delays of 's_pre' are again those of store\(\)"):
        network.restore()
    model = mn.mirror(network)
    assert steps_of(model) == [50, 60]
    assert mn.validate(network, model, 8 * ms).ok
    assert s.delay_[:].tolist() == [5e-3, 6e-3]


def test_the_magic_network_and_files_restore_delays(tmp_path: Any) -> None:
    network, s = delayed()
    network.store(filename=str(tmp_path / "state"))
    s.delay = 0 * ms
    with pytest.warns(DomainWarning, match=r"would leave them at 0 ms; from 2\.10 on it"):
        network.restore(filename=str(tmp_path / "state"))
    assert steps_of(mn.mirror(network)) == [50, 60]
    target = cells("magic")
    one = Synapses(target, target, on_pre="v += 0.1", delay=3 * ms, name="one")
    one.connect(j="i")
    parts = {"target": target, "one": one}
    run(1 * ms)
    store()
    one.delay = 1 * ms
    with pytest.warns(DomainWarning, match=r"the delays of 'one_pre' are again"):
        restore()
    assert mn.mirror(namespace=parts).program.pathways["one_pre"].delay.tolist() == [30, 30]


def test_restoring_fewer_synapses_restores_their_delays() -> None:
    network, s = delayed()
    network.store()
    s.connect(i=0, j=1)
    s.delay[2] = 7 * ms
    with pytest.warns(DomainWarning, match=r"would leave them at 5 to 7 ms"):
        network.restore()
    assert steps_of(mn.mirror(network)) == [50, 60]


def test_unchanged_delays_are_restored_in_silence() -> None:
    network, s = delayed()
    for delay in (1, 2):
        network.store()
        network.restore()
        s.delay = delay * ms
        assert steps_of(mn.mirror(network)) == [10 * delay] * 2


def test_simulations_restore_delays() -> None:
    def build() -> Network:
        network, s = delayed()
        network.store()
        s.delay = 1 * ms
        network.restore()
        return network

    with pytest.warns(DomainWarning, match="'s_pre' are again"):
        late = mn.simulate(build, 4 * ms, record=["target.v"], target="numpy")
    early = mn.simulate(lambda: delayed()[0], 4 * ms, record=["target.v"], target="numpy")
    np.testing.assert_array_equal(late["target.v"], early["target.v"])


SCRIPT = """
    {first}
    from brian2 import *
    {then}
    prefs.codegen.target = "numpy"
    g = SpikeGeneratorGroup(2, [0, 1], [0, 0]*ms)
    h = NeuronGroup(2, "x : 1")
    s = Synapses(g, h, on_pre="x += 1", name="s")
    s.connect(j="i")
    s.delay = [5, 6]*ms
    net = Network(g, h, s)
    net.store()
    {late}
    s.delay = 1*ms
    net.restore()
    print(*mn.mirror(net).program.pathways["s_pre"].delay)
    """


@pytest.mark.parametrize(
    ("place", "said", "found"),
    [
        ("first", "are again those of store()", "50 60"),
        ("then", "are again those of store()", "50 60"),
        ("late", "does not have the delays of 's_pre'", "10 10"),
    ],
)
def test_it_does_not_matter_which_is_imported_first(place: str, said: str, found: str) -> None:
    lines = dict.fromkeys(("first", "then", "late"), "") | {place: "import mirrorneuron as mn"}
    text = textwrap.dedent(SCRIPT).format(**lines)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.split("\n")[0].strip() == found
    assert said in done.stderr


def test_a_network_restored_before_the_import_is_said() -> None:
    network, _ = delayed()
    network.store()
    del network._stored_state["default"]["s_pre"]["delay"]
    with pytest.warns(DomainWarning, match=r"bring delays back: those of s_pre are mirrored as th"):
        mn.mirror(network)
