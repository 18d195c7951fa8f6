"""load: a model from a file."""

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from mirrorneuron._arguments import checked
from mirrorneuron._callers import callers_names
from mirrorneuron.errors import (
    BundleError,
    DomainWarning,
    GradientWarning,
    MirrorNeuronError,
    TooLarge,
)

from ..backends import backends
from ..bounds import require_memory
from ..check import check, require_trainable
from ..mirror import Mirror
from ..place import device_of
from ..program import Array, Program
from ._fault import Fault, shown
from .archive import SPEC, parts_of, read_json, unpacked
from .codec import from_data
from .integrity import require_sound
from .settings import DTYPES, Settings, limits_of, require_names, surrogates_of
from .tensors import Found

FIELDS = ("program", "settings", "parameters")
RUN = 2  # steps and trials for which there has to be memory


@checked
def load(
    path: str | PathLike[str],
    network: Any = None,
    device: str | torch.device = "cpu",
    namespace: Mapping[str, Any] | None = None,
) -> Mirror:
    """Load a model that `save` wrote: it runs and trains as the one that was saved, bit for bit.

    Nothing in the file is executed, and nothing but the file is read. Brian2 is not needed; without
    it, durations and other quantities are plain numbers in SI units.

    Arguments:
        path: Of the file, or of a folder with the same three parts.
        network: The Brian2 network that was mirrored, or one that a script has built again, so that
            `model.write_back()` writes to it. It has to be the same but for its state and for the
            values that are trained.
        device: Where to run.
        namespace: Names for equations of the network whose group has no namespace, by default the
            caller's.

    Returns:
        The model.

    Raises:
        BundleError: The file cannot be read, is damaged, or is not what it claims to be; the
            network is another one.
        DomainError: There is no such device.
        TooLarge: The model does not fit into memory.
    """
    place, on = Path(path), device_of("load(path, ", device)
    asked = f"load({str(place)!r})"
    try:
        model = _model(*parts_of(place), on)
    except Fault as fault:
        raise _refused(asked, str(fault)) from fault
    except OSError as error:
        if isinstance(error, MirrorNeuronError):
            raise
        raise BundleError(
            f"{asked}: the file could not be read ({error}). Check the path; mn.save(model, path)"
            " makes such a file."
        ) from error
    if network is not None:
        names = callers_names() if namespace is None else namespace
        _attach(model, network, names, asked)
    return model


def loads(content: bytes) -> Mirror:
    """The model that the bytes of a file hold, on the CPU.

    Raises:
        BundleError: They hold none.
    """
    try:
        return _model(*unpacked(content), torch.device("cpu"))
    except Fault as fault:
        raise _refused("load(...)", str(fault)) from fault


def _refused(asked: str, why: str) -> BundleError:
    return BundleError(
        f"{asked}: this is no saved model that can be trusted: {why}. Nothing of it was run. Save"
        " the model again with mn.save(model, path), or take an older copy of the file."
    )


def _model(spec: bytes, weights: bytes, device: torch.device) -> Mirror:
    """The model that two parts hold.

    Raises:
        Fault: They hold none.
    """
    data = read_json(spec, SPEC)
    if tuple(data) != FIELDS:
        raise Fault(f"{SPEC} has other fields than {', '.join(FIELDS)}")
    found = Found(weights)
    program: Program = from_data(data["program"], Program, found.find, "program")
    require_sound(program)
    settings: Settings = from_data(data["settings"], Settings, found.find, "settings")
    require_names(settings)
    if settings.backend not in ("auto", *backends):
        raise Fault(f"the backend {shown(settings.backend)} is unknown")
    exact = _exact_values(data["parameters"], found)
    found.require_all_used()
    try:
        with warnings.catch_warnings():  # said when the network was mirrored
            warnings.simplefilter("ignore", DomainWarning)
            warnings.simplefilter("ignore", GradientWarning)
            model = _built(program, settings, device)
    except (Fault, TooLarge):
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise Fault(f"its network cannot be built ({shown(told, 300)})") from error
    _restore(model, exact, settings)
    return model


def _exact_values(data: Any, found: Found) -> dict[str, tuple[Array, Array]]:
    """Optimised value and reference of each parameter."""
    kind = Mapping[str, tuple[str, str]]
    names = from_data(data, kind, found.find, "parameters")
    return {key: (found.find(raw), found.find(ref)) for key, (raw, ref) in names.items()}


def _built(program: Program, settings: Settings, device: torch.device) -> Mirror:
    """The model as it was before training."""
    made_in = DTYPES[settings.made_in]
    require_memory(program, RUN, RUN, 0, made_in.itemsize, gradient=True)
    check(program)
    limits = limits_of(settings, program)
    for asked in limits:
        require_trainable(program, asked)
    model = Mirror(
        program,
        limits,
        surrogates_of(settings, program),
        settings.reset_gradient,
        made_in,
        device,
        settings.unsupported,
        backend=settings.backend,
    )
    model.script = settings.script
    return model.to(DTYPES[settings.dtype])


def _restore(model: Mirror, exact: Mapping[str, tuple[Array, Array]], settings: Settings) -> None:
    """Give parameters the values that training gave them."""
    if exact.keys() != model.trained.keys():
        raise Fault("its values are those of other parameters")
    for made, (key, held) in zip(settings.trained, model.trained.items(), strict=True):
        raw, reference = held.exact()
        given = [torch.from_numpy(x) for x in exact[key]]
        for ours, theirs in zip((raw, reference.to(raw)), given, strict=True):
            if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
                raise Fault(f"the value of {shown(key)} is {theirs.dtype} of another shape")
            if not bool(torch.isfinite(theirs).all()):
                raise Fault(f"the value of {shown(key)} is not finite")
        if not bool((given[1] > 0).all()):
            raise Fault(f"the reference of {shown(key)} is not positive")
        held.restore((given[0].to(raw.device), given[1].to(raw.device)))
        held.raw.requires_grad_(not made.frozen)


def _attach(model: Mirror, network: Any, names: Mapping[str, Any], asked: str) -> None:
    """Let a model write to a network, if that is the one that was mirrored.

    Raises:
        BundleError: It is another one; lists what differs.
    """
    from ..collect import as_network  # brings brian2
    from ..read import read
    from .compare import differences

    network = as_network(network, names)
    program, _ = read(network, names, strict=not model.unsupported)
    found = differences(model.program, program, set(model.keys))
    if found:
        listed = "\n".join(f"  {what}" for what in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        raise BundleError(
            f"{asked[:-1]}, network=...): the network is not the one that was mirrored. In these"
            f" places it differs:\n\n{listed}{more}\n\nValues would be written to where they do not"
            " belong. Build the network as it was, or mirror the new one."
        )
    model.network = network
