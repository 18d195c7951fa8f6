"""The stepper's C program: one function that makes a step of a whole model."""

import re
from collections.abc import Iterator, Mapping

from .stepper_populations import Neurons, Synapses

HEAD = """#include <math.h>
#include <stdint.h>
typedef double scalar;
typedef double timepoint;
static uint64_t *_stream;
static double gennrand_uniform(void) {
    uint64_t z = (*_stream += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return ((z ^ (z >> 31)) >> 11) * (1.0 / 9007199254740992.0);
}
static double gennrand_normal(void) {
    double u = 1.0 - gennrand_uniform(), w = gennrand_uniform();
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * w);
}
static int gennrand_binomial(int count, double p) {
    int found = 0;
    for (int k = 0; k < count; k++) found += gennrand_uniform() < p;
    return found;
}
"""
KINDS = (
    ("dynamics", "synapse_dynamics_code"),
    ("event", "pre_event_syn_code"),
    ("pre", "pre_spike_syn_code"),
    ("post", "post_spike_syn_code"),
)
C_TYPES = {"scalar": "double", "timepoint": "double", "int": "int", "unsigned int": "int"}


def source(neurons: Mapping[str, Neurons], synapses: Mapping[str, Synapses]) -> str:
    """The whole program: its text depends on code strings and sizes, and not on values."""
    writer = _Writer(neurons, synapses)
    return "\n".join([HEAD, *writer.functions(), *writer.main()]) + "\n"


class _Writer:
    def __init__(self, neurons: Mapping[str, Neurons], synapses: Mapping[str, Synapses]) -> None:
        self.neurons, self.synapses = neurons, synapses
        self.places: dict[str, int] = {}
        count = 0
        for n in neurons.values():
            self.places[n.name] = count
            count += 4 + len(n.vars) + len(n.extra_global_params)
        for s in synapses.values():
            self.places[s.name] = count
            count += 7 + len(s.vars) + len(s.extra_global_params)

    def functions(self) -> Iterator[str]:
        for k, s in enumerate(self.synapses.values()):
            given = s.update.given
            for kind, key in KINDS:
                if given.get(key):
                    yield from self._synapses(k, s, kind, given[key])
        for k, n in enumerate(self.neurons.values()):
            yield from self._neurons(k, n)

    def main(self) -> Iterator[str]:
        yield "void step(void **_a, double dt, int64_t _step, int64_t _place, uint64_t *_rng) {"
        yield "    _stream = _rng;"
        for kind, key in KINDS:
            for k, s in enumerate(self.synapses.values()):
                if s.update.given.get(key):
                    yield f"    _{kind}_{k}(_a, dt, _step);"
        for k in range(len(self.neurons)):
            yield f"    _neurons_{k}(_a, dt, _step, _place);"
        yield "}"

    # ---- synapses

    def _synapses(self, k: int, s: Synapses, kind: str, code: str) -> Iterator[str]:
        first = self.places[s.name]
        yield f"static void _{kind}_{k}(void **_a, double dt, int64_t _step) {{"
        yield "    const timepoint t = _step * dt;"
        yield f"    const int64_t *_rows = _a[{first + 1}], *_columns = _a[{first + 4}];"
        yield f"    const int64_t *_column = _a[{first + 5}];"
        yield f"    const int *_pre_of = _a[{first + 2}], *_post_of = _a[{first + 3}];"
        yield f"    double *_inputs = _a[{first + 6}];"
        yield f"    const int64_t _slots_in = {s.max_dendritic_delay_timesteps};"
        yield f"    const int64_t _num_post = {s.trg.size}, _front = _step % _slots_in;"
        yield from self._numbers(first, s.update.params, code)
        yield from self._pointers(first + 7, s, code)
        if kind == "dynamics":
            yield f"    for (int64_t _q = 0; _q < _rows[{s.src.size}]; _q++) {{"
        elif kind == "event":
            yield f"    for (int _i = 0; _i < {s.src.size}; _i++)"
            yield f"    if ({self._condition(s)})"
            yield "    for (int64_t _q = _rows[_i]; _q < _rows[_i + 1]; _q++) {"
        else:
            group = s.src if kind == "pre" else s.trg
            delay = s.axonal_delay_steps if kind == "pre" else s.back_prop_delay_steps
            spikes = self.places[group.name] + 1
            yield f"    const int64_t _when = _step - 1 - {delay};"
            yield "    if (_when < 0) return;"
            yield f"    const int64_t _at = _when % {group.slots};"
            yield f"    const int *_spikes = (int *)_a[{spikes}] + _at * {max(group.size, 1)};"
            yield f"    const int64_t _count = ((int64_t *)_a[{spikes + 1}])[_at];"
            yield "    for (int64_t _e = 0; _e < _count; _e++)"
            lines = "_rows" if kind == "pre" else "_columns"
            first_last = f"_o = {lines}[_spikes[_e]]; _o < {lines}[_spikes[_e] + 1]"
            yield f"    for (int64_t {first_last}; _o++) {{"
            yield f"        const int64_t _q = {'_o' if kind == 'pre' else '_column[_o]'};"
        yield "        const int id_pre = _pre_of[_q], id_post = _post_of[_q];"
        yield "#define addToPost(x) (_inputs[_front * _num_post + id_post] += (x))"
        yield "#define addToPostDelay(x, d) \\"
        yield "        (_inputs[((_step + (d)) % _slots_in) * _num_post + id_post] += (x))"
        yield from self._loaded(s, code)
        yield "    }\n#undef addToPost\n#undef addToPostDelay\n}"

    def _condition(self, s: Synapses) -> str:
        """When the presynaptic neuron `_i` gives an event."""
        text = s.update.given["pre_event_threshold_condition_code"]
        for name in s.update.refs["pre"]:
            text = re.sub(rf"\b{re.escape(name)}\b", f"_r_{name}[_i]", text)
        return text

    def _pointers(self, first: int, s: Synapses, code: str) -> Iterator[str]:
        types = dict(s.update.given.get("vars", ()))
        for k, name in enumerate(s.vars):
            yield f"    {C_TYPES[types[name]]} *_v_{name} = _a[{first + k}];"
        for k, name in enumerate(s.extra_global_params):
            yield f"    const double *{name} = _a[{first + len(s.vars) + k}];"
        for side in ("pre", "post"):
            for name, (group, variable) in s.update.refs[side].items():
                kind = C_TYPES[dict(group.model["vars"])[variable]]
                place = self.places[group.name] + 4 + list(group.vars).index(variable)
                yield f"    const {kind} *_r_{name} = _a[{place}];"

    def _loaded(self, s: Synapses, code: str) -> Iterator[str]:
        types = dict(s.update.given.get("vars", ()))
        used = [name for name in s.vars if _has(code, name)]
        for name in used:
            yield f"        {C_TYPES[types[name]]} {name} = _v_{name}[_q];"
        for side in ("pre", "post"):
            for name, (group, variable) in s.update.refs[side].items():
                if _has(code, name):
                    kind = C_TYPES[dict(group.model["vars"])[variable]]
                    yield f"        const {kind} {name} = _r_{name}[id_{side}];"
        yield f"        {{ {code} }}"
        yield from (f"        _v_{name}[_q] = {name};" for name in used)

    def _numbers(self, place: int, params: Mapping[str, float], code: str) -> Iterator[str]:
        yield f"    const double *_numbers = _a[{place}];"
        for k, name in enumerate(params):
            if _has(code, name):
                yield f"    const scalar {name} = _numbers[{k}];"

    # ---- neurons

    def _neurons(self, k: int, n: Neurons) -> Iterator[str]:
        first, model = self.places[n.name], n.model
        code = model.get("sim_code") or ""
        condition, reset = model.get("threshold_condition_code"), model.get("reset_code") or ""
        text = f"{code} {condition} {reset}"
        yield f"static void _neurons_{k}(void **_a, double dt, int64_t _step, int64_t _place) {{"
        yield "    const timepoint t = _step * dt;"
        yield f"    int *_spikes = (int *)_a[{first + 1}] + (_step % {n.slots}) * {max(n.size, 1)};"
        yield f"    int64_t *_count = (int64_t *)_a[{first + 2}] + _step % {n.slots};"
        room = -(-n.size // 8) + 1
        yield f"    uint8_t *_recorded = (uint8_t *)_a[{first + 3}] + _place * {room};"
        yield "    *_count = 0;"
        if n.spike_recording_enabled:
            yield f"    for (int _b = 0; _b < {room}; _b++) _recorded[_b] = 0;"
        yield from self._numbers(first, n.params, text)
        types = dict(model.get("vars", ()))
        for m, name in enumerate(n.vars):
            yield f"    {C_TYPES[types[name]]} *_v_{name} = _a[{first + 4 + m}];"
        for m, name in enumerate(n.extra_global_params):
            yield f"    const double *{name} = _a[{first + 4 + len(n.vars) + m}];"
        incoming = [s for s in self.synapses.values() if s.trg is n]
        for s in incoming:
            q = list(self.synapses).index(s.name)
            front = f"(_step % {s.max_dendritic_delay_timesteps}) * {n.size}"
            yield f"    double *_from_{q} = (double *)_a[{self.places[s.name] + 6}] + {front};"
        yield f"    for (int id = 0; id < {n.size}; id++) {{"
        for name, _, value in model.get("additional_input_vars", ()):
            yield f"        scalar {name} = {value};"
        for s in incoming:
            q = list(self.synapses).index(s.name)
            if s.post_target_var in {name for name, _, _ in model["additional_input_vars"]}:
                yield f"        {s.post_target_var} += _from_{q}[id];"
            yield f"        _from_{q}[id] = 0.0;"
        used = [name for name in n.vars if _has(text, name)]
        for name in used:
            yield f"        {C_TYPES[types[name]]} {name} = _v_{name}[id];"
        yield f"        {code}"
        if condition:
            yield f"        if ({condition}) {{"
            yield "            _spikes[(*_count)++] = id;"
            if n.spike_recording_enabled:
                yield "            _recorded[id >> 3] |= 1 << (id & 7);"
            yield f"            {reset}"
            yield "        }"
        yield from (f"        _v_{name}[id] = {name};" for name in used)
        yield "    }\n}"


def _has(code: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", code) is not None
