"""Files that are damaged, or were made to do harm: refused by name, and nothing of them runs."""

import hashlib
import io
import json
import pickle
import stat
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, Synapses, TimedArray, ms, mV
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import mirrorneuron as mn
from mirrorneuron.bridge.bundle.load import loads
from mirrorneuron.errors import BundleError, MirrorNeuronError

MANIFEST, SPEC, WEIGHTS = "manifest.json", "spec.json", "weights.safetensors"
LONGEST = 2.0  # seconds


@pytest.fixture(scope="module")
def saved() -> bytes:
    """A saved model with a bit of everything."""
    sound = TimedArray(np.ones((5, 4)) * 12 * mV, dt=1 * ms, name="sound")
    cells = NeuronGroup(
        4, "dv/dt = (sound(t, i) - v)/tau + xi*mV*tau**-0.5 : volt (unless refractory)\n"
        "tau : second",
        threshold="v > 10*mV", reset="v = 0*mV", method="euler", refractory=1 * ms, name="cells",
        namespace={"sound": sound},
    )  # fmt: skip
    cells.tau = 10 * ms
    ee = Synapses(cells, cells, "w : volt", on_pre="v += w", delay=1 * ms, name="ee")
    ee.connect()
    ee.w = 0.1 * mV
    model = mn.mirror(Network(cells, ee), train={"ee.w": mn.Bounded(0 * mV, 1 * mV)},
                      dtype=torch.float64)  # fmt: skip
    from mirrorneuron.bridge.bundle.save import bundle

    return bundle(model, "save(...)")


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(given: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes], sign: bool = True,
           compression: int = zipfile.ZIP_STORED) -> bytes:  # fmt: skip
    """A bundle with other parts, whose digests are right."""
    given = dict(given)
    if sign:
        manifest = json.loads(given[MANIFEST])
        manifest["parts"] = {
            name: {"sha256": hashlib.sha256(given[name]).hexdigest(), "bytes": len(given[name])}
            for name in (SPEC, WEIGHTS)
        }
        given[MANIFEST] = json.dumps(manifest).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in given.items():
            archive.writestr(name, content)
        for info, content in more:
            archive.writestr(info, content)
    return file.getvalue()


# ---- damage


def values(model: mn.Mirror) -> list[torch.Tensor]:
    recording = model.run_steps(40, record=["cells.v"], seed=1)
    return [recording["cells.v"].detach(), *(p.detach() for p in model.parameters())]


def refused_or_equal(content: bytes, expected: list[torch.Tensor]) -> bool:
    """Whether damage was refused; else the model has to be the same."""
    try:
        model = loads(content)
    except BundleError:
        return True
    assert all(torch.equal(a, b) for a, b in zip(values(model), expected, strict=True))
    return False


def test_a_thousand_flipped_bits_are_refused_or_change_nothing(
    saved: bytes, rng: np.random.Generator
) -> None:
    expected = values(loads(saved))
    refused = 0
    for place in rng.choice(8 * len(saved), 1000, replace=False):
        content = bytearray(saved)
        content[place // 8] ^= 1 << (place % 8)
        refused += refused_or_equal(bytes(content), expected)
    assert refused >= 950  # others hit dates, versions, and what nobody reads


def test_a_flipped_bit_of_the_directory_or_the_manifest_is_refused_or_changes_nothing(
    saved: bytes, rng: np.random.Generator
) -> None:
    expected = values(loads(saved))
    start = saved.index(b"PK\x01\x02")
    weak = [*range(8 * start, 8 * len(saved)), *range(8 * 600)]
    for place in rng.choice(weak, 300, replace=False):
        content = bytearray(saved)
        content[place // 8] ^= 1 << (place % 8)
        refused_or_equal(bytes(content), expected)


def test_a_file_that_ends_early_is_refused(saved: bytes, rng: np.random.Generator) -> None:
    for length in rng.choice(len(saved), 200, replace=False):
        with pytest.raises(BundleError, match="no saved model that can be trusted"):
            loads(saved[:length])


# ---- harm

Change = Callable[[Any, dict[str, Any]], None]
Payload = Callable[[bytes], bytes]
PAYLOADS: dict[str, Payload] = {}


def payload(make: Payload) -> Payload:
    PAYLOADS[make.__name__] = make
    return make


def rewritten(change: Change) -> Payload:
    """A file whose specification and arrays were changed, and signed again."""

    def make(content: bytes) -> bytes:
        given = parts(content)
        spec, arrays = json.loads(given[SPEC]), dict(load_arrays(given[WEIGHTS]))
        change(spec, arrays)
        text = spec if isinstance(spec, bytes) else json.dumps(spec).encode()
        return packed(given | {SPEC: text, WEIGHTS: save_arrays(arrays)})

    return make


def slot(spec: Any, kind: str) -> Any:
    return next(s for s in spec["program"]["slots"] if s["slot"] == kind)


def expression(text: str) -> Payload:
    """A file with another expression in a state update."""

    def change(spec: Any, arrays: dict[str, Any]) -> None:
        slot(spec, "Update")["vector"][-1]["expression"] = text

    return rewritten(change)


CANARY = "/tmp/mirrorneuron-canary"
EXPRESSIONS = {
    "import": f"__import__('os').system('touch {CANARY}')",
    "import without quotes": "__import__(v)",
    "dunder name": "__builtins__",
    "builtin": "exec",
    "call of a builtin": "eval(v)",
    "open": "open(v)",
    "attribute": "v.__class__",
    "attribute of a number": "(1).__class__.__base__",
    "method": "v.numpy()",
    "attribute of the runtime": "c.f.torch",
    "subclasses": "().__class__.__bases__[0].__subclasses__()",
    "lambda": "(lambda: v)()",
    "walrus": "(v := 1)",
    "comprehension": "[v for v in (1, 2)]",
    "generator": "sum(v for v in v)",
    "conditional": "v if v > 1 else 0",
    "f-string": "f'{v}'",
    "string": "'text'",
    "bytes": "b'text'",
    "dictionary": "{1: v}",
    "subscript": "K[0]",
    "starred": "exp(*v)",
    "keyword": "exp(x=v)",
    "complex": "1j*v",
    "await": "await v",
    "yield": "(yield v)",
    "semicolon": "v; import os",
    "newline": "v\nimport os",
    "carriage return": "v\rimport os",
    "form feed": "v\x0cimport os",
    "null": "v\x00",
    "comment": "v # */ system(1)",
    "C comment": "v /* x */",
    "C block": "v); } int evil(void) { (0",
    "backslash": "v \\\n + 1",
    "non-ASCII": "ｖ + 1",
    "matrix product": "v @ v",
    "bitwise": "v & v",
    "chain of comparisons": "0 < v < 1",
    "in": "v in v",
    "is": "v is v",
    "unknown name": "secret",
    "unknown function": "system(v)",
    "method of the functions": "_call(v)",
    "wrong number of arguments": "exp(v, v)",
    "too few arguments": "where(v)",
    "call of a call": "exp(v)(v)",
    "empty": "",
    "power tower": "9**9**9**9",
    "power tower of names": "v**9**9**9",
    "large power": "v**100000",
    "large constant": "9" * 5000,
    "infinite constant": "1e999",
    "ten megabytes": "v + " * 2_500_000 + "v",
    "long": "v + " * 16_000 + "v",
    "ten thousand brackets": "(" * 10_000 + "v" + ")" * 10_000,
    "ninety brackets of calls": "exp(" * 99 + "v" + ")" * 99 + "**2" * 5000,
    "sixty thousand signs": "-" * 60_000 + "v",
    "ten thousand nots": "not " * 10_000 + "v",
    "chain of powers": "v**" * 20_000 + "v",
    "column of a table": "sound(t, 1e9)",
    "column of a table by a state": "sound(t, v)",
    "one argument of a table": "sound(t)",
}
PAYLOADS |= {f"expression: {name}": expression(text) for name, text in EXPRESSIONS.items()}

C_TEXT = 'x; } __attribute__((constructor)) static void evil(void) { system("touch X"); } /*'
PYTHON_TEXT = "x(S, K, c):\n    import os; os.system('touch X')\ndef y"


def field(change: Callable[[Any, Any], Any]) -> Payload:
    """A file with a changed field: gets the specification and the first state update."""
    return rewritten(lambda spec, arrays: change(spec, slot(spec, "Update")))


def set_in(place: str, value: Any) -> Payload:
    """A file in whose first state update a field has another value."""
    return field(lambda spec, update: update.__setitem__(place, value))


def renamed(old: str, new: str) -> Payload:
    """A file in which a name is another one wherever it stands."""

    def make(content: bytes) -> bytes:
        given = parts(content)
        text = given[SPEC].decode().replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
        weights = {k.replace(old, new): v for k, v in load_arrays(given[WEIGHTS]).items()}
        return packed(given | {SPEC: text.encode(), WEIGHTS: save_arrays(weights)})

    return make


TARGETS = {"target": C_TEXT, "op": "=eval(v); v =", "kind": "code", "scalar": "yes"}
PAYLOADS |= {
    "slot name with C text": set_in("name", C_TEXT),
    "slot name with Python text": set_in("name", PYTHON_TEXT),
    "slot name with a path": set_in("name", "../../etc/passwd"),
    "owner with C text": set_in("owner", C_TEXT),
    "when with C text": set_in("when", C_TEXT),
    "key with C text": set_in("keys", {"x": C_TEXT}),
    "constant with Python text": set_in("constants", {PYTHON_TEXT: 1.0}),
    "constant that is text": set_in("constants", {"x": "1); evil("}),
    "function that is another": set_in("functions", {"exp": "system"}),
    "function under another name": set_in("functions", {"system": "exp"}),
    "clock of another kind": set_in("clock", {"t": "__import__('os')"}),
    "clock_dt that is text": set_in("clock_dt", "__import__('os')"),
    "clock_dt that is zero": set_in("clock_dt", 0.0),
    "dt that is zero": set_in("dt", 0.0),
    "dt that is text": set_in("dt", "0.1"),
    "size that is negative": set_in("size", -1),
    "size that is huge": set_in("size", 2**40),
    "size that is a fraction": set_in("size", 4.5),
    "size that is null": set_in("size", None),
    "every that is zero": set_in("every", 0),
    "kind of a slot that runs Python": set_in("slot", "Host"),
    "kind of a slot that is a class": set_in("slot", "subprocess.Popen"),
    "unknown field": set_in("run", "__import__('os').system"),
    "torch function": set_in("torch", "os.system"),
    "statements that are text": set_in("vector", "v = 1"),
    "samplers of another kind": set_in("samplers", {"x": {"kind": "system", "args": [1, 2]}}),
    **{f"statement whose {name} is wrong":
       field(lambda spec, update, n=name, t=text: update["vector"][-1].__setitem__(n, t))
       for name, text in TARGETS.items()},
    "object renamed to C text": renamed("cells", C_TEXT),
    "object renamed to Python text": renamed("cells", PYTHON_TEXT),
    "object renamed to a path": renamed("cells", "../cells"),
    "variable renamed to a dunder": renamed("tau", "__import__"),
    "user's function": field(lambda spec, update: spec["program"].__setitem__(
        "functions", {"f": {"name": "f", "numpy": "os.system"}})),
    "program that is a list": field(lambda spec, update: spec.__setitem__("program", [])),
    "settings that are null": field(lambda spec, update: spec.__setitem__("settings", None)),
    "more fields": field(lambda spec, update: spec.__setitem__("code", "import os")),
    "backend with a path": field(
        lambda spec, update: spec["settings"].__setitem__("backend", "../../evil")),
    "surrogate that is a class": field(
        lambda spec, update: spec["settings"]["surrogates"]["cells"].__setitem__("kind", "Popen")),
    "limit that is a class": field(
        lambda spec, update: spec["settings"]["trained"][0].__setitem__("limit", "Popen")),
    "dtype that is a class": field(
        lambda spec, update: spec["settings"].__setitem__("dtype", "complex64")),
    "parameter of another name": field(
        lambda spec, update: spec["settings"]["trained"][0].__setitem__("names", [C_TEXT])),
    "parameter that is not there": field(
        lambda spec, update: spec["settings"]["trained"][0].__setitem__("names", ["ee.x"])),
    "width of a surrogate that is zero": field(
        lambda spec, update: spec["settings"]["surrogates"]["cells"].__setitem__("width", 0.0)),
    "terminal codes": field(
        lambda spec, update: spec["program"]["groups"]["cells"].__setitem__("kind", "\x1b[2J")),
    "a group without elements": field(
        lambda spec, update: spec["program"]["groups"]["cells"].__setitem__("size", 10**9)),
    "whole number beyond 64 bits": field(
        lambda spec, update: spec["program"].__setitem__("step", 10**30)),
}  # fmt: skip


def array_changed(place: str, change: Callable[[np.ndarray], np.ndarray]) -> Payload:
    """A file in which an array of a pathway, an index or a variable is another one."""

    def alter(spec: Any, arrays: dict[str, Any]) -> None:
        *path, last = place.split("/")
        inner = spec["program"]
        for step in path:
            inner = inner[step]
        old = arrays[inner[last]]
        inner[last] = "changed"
        arrays["changed"] = np.ascontiguousarray(change(old.copy()))
        used = json.dumps(spec)
        for name in list(arrays):
            if json.dumps(name) not in used:
                del arrays[name]

    return rewritten(alter)


def with_first(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(old: np.ndarray) -> np.ndarray:
        old.reshape(-1)[0] = value
        return old

    return change


PAYLOADS |= {
    "source beyond its group": array_changed("pathways/ee_pre/source", with_first(4)),
    "negative source": array_changed("pathways/ee_pre/source", with_first(-1)),
    "source far away": array_changed("pathways/ee_pre/source", with_first(2**31)),
    "negative delay": array_changed("pathways/ee_pre/delay", with_first(-1)),
    "delay that no memory holds": array_changed("pathways/ee_pre/delay", with_first(2**31 - 1)),
    "too few delays": array_changed("pathways/ee_pre/delay", lambda x: x[:-1]),
    "delay in fractions": array_changed("pathways/ee_pre/delay", lambda x: x + 0.5),
    "event under way at no synapse": array_changed(
        "pathways/ee_pre/pending", lambda x: np.array([[0, 99]])),
    "event later than its delay": array_changed(
        "pathways/ee_pre/pending", lambda x: np.array([[50, 0]])),
    "weights that are not finite": array_changed(
        "variables/ee.w/value", with_first(np.nan)),
    "too few weights": array_changed("variables/ee.w/value", lambda x: x[:-1]),
    "weights that are truth values": array_changed("variables/ee.w/value", lambda x: x > 0),
    "time constant of zero": array_changed("variables/cells.tau/value", lambda x: x * 0),
    "neuron number beyond its table": array_changed(
        "variables/cells.i/value", lambda x: x + 10**6),
    "table without values": array_changed("tables/sound/values", lambda x: x[:0]),
    "table of three axes": array_changed("tables/sound/values", lambda x: x[None]),
}  # fmt: skip


@payload
def index_beyond_its_array(content: bytes) -> bytes:
    def alter(spec: Any, arrays: dict[str, Any]) -> None:
        name = next(iter(spec["program"]["indices"]))
        arrays[spec["program"]["indices"][name]] = arrays[spec["program"]["indices"][name]] + 10**7

    return rewritten(alter)(content)


@payload
def pickle_in_place_of_the_file(content: bytes) -> bytes:
    return pickle.dumps(Evil())


@payload
def torch_file_in_place_of_the_file(content: bytes) -> bytes:
    file = io.BytesIO()
    torch.save({"a": Evil()}, file)
    return file.getvalue()


@payload
def pickle_in_place_of_the_weights(content: bytes) -> bytes:
    return packed(parts(content) | {WEIGHTS: pickle.dumps(Evil())})


@payload
def pickle_in_place_of_the_specification(content: bytes) -> bytes:
    return packed(parts(content) | {SPEC: pickle.dumps(Evil())})


class Evil:
    def __reduce__(self) -> Any:
        return open, (CANARY, "w")


def more_part(name: str, mode: int = 0o100644) -> Payload:
    """A file with one part more."""

    def make(content: bytes) -> bytes:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        return packed(parts(content), (info, b"/etc/passwd"))

    return make


PAYLOADS |= {
    "zip slip": more_part("../../tmp/mirrorneuron-canary"),
    "absolute path": more_part(CANARY),
    "folder": more_part("folder/"),
    "Python module": more_part("sitecustomize.py"),
    "pickle beside": more_part("data.pkl"),
    "name with a null": lambda content: content.replace(b"spec.json", b"spec.js\0n"),
    "name of Windows": more_part("C:\\spec.json"),
}


@payload
def a_part_twice(content: bytes) -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return packed(parts(content), (zipfile.ZipInfo(SPEC), b"{}"))


@payload
def a_link_in_place_of_a_part(content: bytes) -> bytes:
    given = parts(content)
    weights = given.pop(WEIGHTS)
    info = zipfile.ZipInfo(WEIGHTS)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return packed(given, (info, weights), sign=False)


@payload
def a_zip_bomb(content: bytes) -> bytes:
    given = parts(content) | {SPEC: b" " * 200_000_000}
    return packed(given, compression=zipfile.ZIP_DEFLATED)


@payload
def a_part_that_claims_a_terabyte(content: bytes) -> bytes:
    start = content.index(b"PK\x01\x02")
    sizes = struct.pack("<II", 0xFFFFFFFE, 0xFFFFFFFE)
    return content[: start + 20] + sizes + content[start + 28 :]


@payload
def an_encrypted_part(content: bytes) -> bytes:
    start = content.index(b"PK\x01\x02")
    return content[: start + 8] + b"\x01\x00" + content[start + 10 :]


def header(text: str, length: int | None = None) -> Payload:
    """A file whose weights have another header."""
    weights = struct.pack("<Q", len(text) if length is None else length) + text.encode() + b"\0" * 8
    return lambda content: packed(parts(content) | {WEIGHTS: weights})


PAYLOADS |= {
    "header that claims 1e12 elements": header(
        '{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'),
    "header that claims 1e12 elements in eight bytes": header(
        '{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}'),
    "header whose product overflows": header(
        '{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}}'),
    "header that goes backwards": header(
        '{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,0]}}'),
    "header of a terabyte": header("{}", 10**12),
    "header of an unknown type": header(
        '{"a":{"dtype":"OBJECT","shape":[1],"data_offsets":[0,8]}}'),
    "header of a type that numpy lacks": header(
        '{"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]}}'),
    "header that is no JSON": header("__import__('os')"),
}  # fmt: skip


def spec_text(text: str | bytes) -> Payload:
    """A file with another specification."""
    given = text if isinstance(text, bytes) else text.encode()
    return lambda content: packed(parts(content) | {SPEC: given})


PAYLOADS |= {
    "NaN in JSON": spec_text('{"program": NaN, "settings": {}, "parameters": {}}'),
    "infinity in JSON": spec_text('{"program": Infinity, "settings": {}, "parameters": {}}'),
    "a name twice in JSON": spec_text('{"program": {}, "program": {}}'),
    "deep JSON": spec_text("[" * 100_000 + "]" * 100_000),
    "deep objects": spec_text('{"a":' * 100_000 + "1" + "}" * 100_000),
    "JSON of one long number": spec_text('{"program": ' + "9" * 100_000 + "}"),
    "JSON that is a list": spec_text("[]"),
    "JSON that is null": spec_text("null"),
    "JSON that is empty": spec_text(""),
    "no UTF-8": spec_text(b"\xff\xfe{}"),
    "surrogate characters": spec_text('{"\\ud800": 1}'),
}  # fmt: skip


def manifest_text(text: str) -> Payload:
    return lambda content: packed(parts(content) | {MANIFEST: text.encode()}, sign=False)


PAYLOADS |= {
    "manifest of another format": manifest_text('{"format": "pickle"}'),
    "manifest of a later version": manifest_text(
        '{"format": "mirrorneuron bundle", "version": 2}'),
    "manifest whose version is a truth value": manifest_text(
        '{"format": "mirrorneuron bundle", "version": true}'),
    "manifest without digests": manifest_text('{"format": "mirrorneuron bundle", "version": 1}'),
    "manifest whose parts are a list": manifest_text(
        '{"format": "mirrorneuron bundle", "version": 1, "parts": []}'),
    "nothing": lambda content: b"",
    "text": lambda content: b"hello",
}  # fmt: skip


class Watch:
    """What Python does that could be harm, while it is on."""

    EVENTS = ("exec", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.remove",
              "os.rename", "os.mkdir", "os.symlink", "shutil.rmtree", "socket.connect", "open",
              "pickle.find_class", "ctypes.dlopen")  # fmt: skip

    def __init__(self) -> None:
        self.on, self.seen, self.allowed = False, list[str](), ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: Any) -> None:
        if self.on and event in self.EVENTS:
            plain = event == "open" and str(args[0]).startswith(("/proc/", "/sys/"))
            if not plain and not (event == "open" and str(args[0]) == self.allowed):
                self.seen.append(f"{event} {str(args)[:200]}")


@pytest.fixture(scope="module")
def watch(saved: bytes) -> Watch:
    """What is imported on first use is imported before anything is watched."""
    loads(saved)
    for make in (expression("v +"), header("{}", 10**12)):
        with pytest.raises(BundleError):
            loads(make(saved))
    return Watch()


@pytest.mark.parametrize("name", PAYLOADS)
def test_harm_is_refused_by_name_and_nothing_is_done(
    name: str, saved: bytes, watch: Watch, tmp_path: Path
) -> None:
    place = tmp_path / "hostile.mirror"
    place.write_bytes(PAYLOADS[name](saved))
    watch.seen, watch.allowed, watch.on = [], str(place), True
    start = time.perf_counter()
    try:
        with pytest.raises(MirrorNeuronError) as caught:
            mn.load(place)
    finally:
        watch.on = False
    assert time.perf_counter() - start < LONGEST
    assert watch.seen == []
    assert not Path(CANARY).exists() and list(tmp_path.iterdir()) == [place]
    text = str(caught.value)
    assert len(text) < 2000 and text.isprintable()
    assert isinstance(caught.value, BundleError) or "memory" in text or "free" in text


def test_links_in_a_folder_are_not_followed(saved: bytes, tmp_path: Path) -> None:
    for name, content in parts(saved).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "elsewhere").write_bytes((tmp_path / WEIGHTS).read_bytes())
    (tmp_path / WEIGHTS).unlink()
    (tmp_path / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"weights\.safetensors is a link to another file"):
        mn.load(tmp_path)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(BundleError, match="it is no file"):
            mn.load(place)
