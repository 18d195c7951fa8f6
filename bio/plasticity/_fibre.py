"""Times of the last spikes of a climbing fibre, and a kernel of their ages, in a Purkinje cell.

A parallel-fibre spike learns one `window` after its arrival. Then a climbing-fibre spike of age $a$
came `window` - $a$ after it: the kernel of that lag is known, without any trace in the synapse. The
kernel is the same for all synapses of a cell, which therefore computes it once, as `z_{c}`.
"""

from mirrorneuron.bio.plasticity._contracts import Teaching

MEMORY = 5  # a burst of five spikes, as of a periorbital stimulus, is remembered whole


def fibre(kernel: str, parameters: dict[str, str], memory: int = MEMORY) -> Teaching:
    """What a cell holds that remembers the last spikes of its climbing fibre.

    Arguments:
        kernel: Of the lag `({lag})` by which a spike comes after that of the parallel fibre.
        parameters: `window` and those of the kernel.
        memory: Number of spikes remembered; of more within a window the oldest are forgotten.
    """
    times = [f"t{k}_{{c}}" for k in range(1, memory + 1)]
    shift = [
        f"{new} = {old}*int(n_{{c}} > 0) + {new}*int(n_{{c}} <= 0)"
        for new, old in zip(reversed(times), reversed(["(t - dt)", *times[:-1]]), strict=True)
    ]
    recent = "int(t - {time} < window_{{c}} - 0.5*dt)"
    lag = "clip(window_{{c}} - t + {time}, 0*second, window_{{c}})"
    terms = [
        (recent + "*" + kernel.replace("{lag}", lag)).format(time=time).format(c="{c}")
        for time in times
    ]
    return Teaching(
        equations="\n".join(["n_{c} : 1", "z_{c} : 1", *(f"{time} : second" for time in times)]),
        before="\n".join([*shift, "n_{c} = 0", f"z_{{c}} = {' + '.join(terms)}"]),
        parameters=parameters,
        initial={f"t{k}": "-1000*second" for k in range(1, memory + 1)},
    )
