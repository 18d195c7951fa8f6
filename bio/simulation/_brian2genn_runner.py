"""Runs in the environment of Brian2GeNN, by its own Python: makes a network anew and builds it.

    python _brian2genn_runner.py FOLDER

`FOLDER` holds job.json and job.npz. It needs brian2 2.5 and brian2genn there, and nothing of
mirrorneuron.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false, reportCallIssue=false, reportArgumentType=false

import json
import sys
from pathlib import Path

import numpy as np


def main(folder: Path) -> None:
    """Make the network, build it, and run it if that was asked for."""
    import brian2 as b2
    import brian2genn  # noqa: F401
    from brian2.units.fundamentalunits import Quantity, get_or_create_dimension

    job = json.loads((folder / "job.json").read_text())
    arrays = np.load(folder / "job.npz", allow_pickle=False)
    b2.prefs.codegen.target = "numpy"
    b2.set_device(
        "genn",
        directory=str(folder / "genn"),
        use_GPU=False,
        compile=job["compile"],
        run=job["compile"],
        with_output=True,
    )
    b2.defaultclock.dt = job["dt"] * b2.second
    made = {}

    def value(given):  # noqa: ANN001, ANN202
        if not isinstance(given, dict):
            return given
        if "group" in given:
            group = made[given["group"]]
            return group[given["start"] : given["stop"]] if "start" in given else group
        if "each" in given:
            return {k: value(v) for k, v in given["each"].items()}
        array = arrays[given["array"]]
        dims = given["dims"]
        if not any(dims):
            return array.item() if array.shape == () else array
        return Quantity(array, dim=get_or_create_dimension(dims))

    def namespace(entry):  # noqa: ANN001, ANN202
        return {name: value(held) for name, held in entry["namespace"].items()}

    for entry in job["objects"]:
        given = {k: value(v) for k, v in entry["given"].items()}
        kind, name = entry["kind"], entry["name"]
        if kind == "PoissonInput":
            target = given.pop("target")
            names = {"target_var", "N", "rate", "weight", "when", "order"}
            arguments = {k: v for k, v in given.items() if k in names}
            made[name] = b2.PoissonInput(target, **arguments)
            continue
        spaced = {} if kind == "SpikeGeneratorGroup" else {"namespace": namespace(entry)}
        group = getattr(b2, kind)(**given, **spaced, name=name)
        made[name] = group
        if kind == "Synapses":
            group.connect(i=arrays[f"{name}/i"], j=arrays[f"{name}/j"])
            for path in group._pathways:
                key = f"{name}/{path.objname}/delay"
                if key in arrays:
                    path.variables["delay"].set_value(arrays[key])
        for variable in entry["values"]:
            held = arrays[f"{name}/{variable}"]
            setattr(group, variable + "_", held if held.shape else held.item())
    for entry in job["regular"]:
        owner, given = value(entry["owner"]), {k: value(v) for k, v in entry["given"].items()}
        owner.namespace.update(namespace(entry))
        made[f"regular {len(made)}"] = owner.run_regularly(**given)
    spikes = {n: b2.SpikeMonitor(made[n], name=f"record_{k}") for k, n in enumerate(job["spikes"])}
    states = {
        key: b2.StateMonitor(
            made[key.split(".")[0]],
            key.split(".", 1)[1],
            record=arrays[f"rows/{key}"],
            dt=job["interval"] * b2.second,
            name=f"state_{k}",
        )
        for k, key in enumerate(job["record"])
    }
    network = b2.Network(list(made.values()), list(spikes.values()), list(states.values()))
    network.run(job["duration"] * b2.second)
    if job["compile"]:
        _save(folder, job, made, spikes, states)


def _save(folder, job, made, spikes, states) -> None:  # noqa: ANN001
    found = {}
    for name, monitor in spikes.items():
        found[f"step/{name}"] = np.rint(np.asarray(monitor.t_[:]) / job["dt"]).astype(np.int64)
        found[f"index/{name}"] = np.asarray(monitor.i[:])
    for key, monitor in states.items():
        found[f"trace/{key}"] = np.asarray(getattr(monitor, key.split(".", 1)[1] + "_")).T
    for entry in job["objects"]:
        for variable in entry["values"]:
            group = made[entry["name"]]
            found[f"final/{entry['name']}.{variable}"] = np.asarray(
                group.variables[variable].get_value()
            )
    np.savez(folder / "result.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
