"""Times of the last spikes of climbing fibres, and a kernel of their ages, in the cell they reach.

A parallel-fibre spike learns one `window` after its arrival. Then a climbing-fibre spike of age $a$
came `window` - $a$ after it: the kernel of that lag is known, without any trace in the synapse. The
kernel is the same for all synapses of a cell, which therefore computes it once, as `z_{c}`.
"""

from ._contracts import Teaching

BURST = 5  # a burst of five spikes, as of a periorbital stimulus, is remembered whole


RECENT = "int(t - {time} < window_{{c}} - 0.5*dt)"


def last(parameters: dict[str, str]) -> Teaching:
    """What a cell holds that remembers its climbing fibre's last spike: whether it is recent.

    Arguments:
        parameters: `window`.
    """
    new = "t1_{c} = (t - dt)*int(n_{c} > 0) + t1_{c}*int(n_{c} <= 0)"
    recent = RECENT.format(time="t1_{c}").format(c="{c}")
    return Teaching(
        equations="n_{c} : 1\nz_{c} : 1\nt1_{c} : second",
        before=f"{new}\nn_{{c}} = 0\nz_{{c}} = {recent}",
        parameters=parameters,
        initial={"t1": "-1000*second"},
    )


def fibre(kernel: str, parameters: dict[str, str], memory: int = BURST) -> Teaching:
    """What a cell holds that remembers when its climbing fibres fired last.

    Arguments:
        kernel: Of the lag `({lag})` by which a spike comes after that of the parallel fibre.
        parameters: `window` and those of the kernel.
        memory: Number of times that are remembered, each with the number of spikes that came then.
            Of more within a window the oldest are forgotten, and `lost_{c}` counts their spikes.
    """
    times, counts = ([f"{x}{k}_{{c}}" for k in range(1, memory + 1)] for x in "tk")
    moved = [
        f"{new} = {old}*int(n_{{c}} > 0) + {new}*int(n_{{c}} <= 0)"
        for states, first in ((times, "(t - dt)"), (counts, "n_{c}"))
        for new, old in zip(reversed(states), reversed([first, *states[:-1]]), strict=True)
    ]
    lag = "clip(window_{{c}} - t + {time}, 0*second, window_{{c}})"
    each = "{count}*" + RECENT + "*" + kernel.replace("{lag}", lag)
    terms = [
        each.format(time=time, count=count).format(c="{c}")
        for time, count in zip(times, counts, strict=True)
    ]
    oldest = RECENT.format(time=times[-1]).format(c="{c}")
    lost = f"lost_{{c}} += int(n_{{c}} > 0)*{counts[-1]}*{oldest}"
    held = ["n_{c} : 1", "z_{c} : 1", "lost_{c} : 1"]
    held += [*(f"{time} : second" for time in times), *(f"{count} : 1" for count in counts)]
    return Teaching(
        equations="\n".join(held),
        before="\n".join([lost, *moved, "n_{c} = 0", f"z_{{c}} = {' + '.join(terms)}"]),
        parameters=parameters,
        initial={f"t{k}": "-1000*second" for k in range(1, memory + 1)},
    )
