"""save: a model as one file."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import BundleError

from ..mirror import Mirror
from ..program import Program
from ._fault import Fault
from .archive import packed, write
from .codec import from_data, to_data
from .integrity import require_sound
from .savable import obstacles
from .settings import Settings, require_names, settings_of
from .tensors import Kept


@checked
def save(model: Mirror, path: str | PathLike[str]) -> Path:
    """Save a model: its network, its parameters and its settings, as data without any code.

    The file is a ZIP archive of `spec.json`, `weights.safetensors` and `manifest.json`, which has
    the digests of both. It appears when it is complete; a file that was there is replaced then and
    not before. `load` reads it, also where Brian2 is not installed.

    Arguments:
        model: What `mirror` made.
        path: Of the file, by custom `*.mirror`.

    Returns:
        The path.

    Raises:
        BundleError: Lists everything of the model that is code, or the file cannot be written.
    """
    place = Path(path)
    _require_mirror(model, place)
    try:
        write(place, bundle(model, f"save(model, {str(place)!r})"))
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(
            f"save(model, {str(place)!r}): the file could not be written ({error}). What was there"
            " before is untouched. Free some space, or name another place."
        ) from error
    return place


def _require_mirror(model: Any, place: Path) -> None:
    if not isinstance(model, Mirror):
        raise BundleError(
            f"save({type(model).__name__}, {str(place)!r}): that is no mirror. Write"
            " mn.save(mn.mirror(net), path); torch.save keeps other modules."
        )


def bundle(model: Mirror, asked: str) -> bytes:
    """A model as the bytes of a file.

    Arguments:
        model: What `mirror` made.
        asked: What was called, for messages.

    Raises:
        BundleError: Lists everything of the model that is code.
    """
    found = list(obstacles(model))
    if found:
        listed = "\n\n".join(f"  {item}".replace("\n", "\n  ") for item in found)
        raise BundleError(
            f"{asked}: {len(found)} {'part' if len(found) == 1 else 'parts'} of the model cannot be"
            f" saved.\n\n{listed}\n\nmodel.state_dict() has the values of the parameters; mirror"
            " the network again where it is needed."
        )
    kept = Kept()
    spec = {
        "program": to_data(model.program, Program, kept.keep, "program"),
        "settings": to_data(settings_of(model), Settings, kept.keep, "settings"),
        "parameters": {key: _exact(model, key, kept) for key in model.trained},
    }
    _require_readable(spec, kept, asked)
    text = json.dumps(spec, indent=1, allow_nan=False, ensure_ascii=True)
    return packed(text.encode(), kept.packed())


def _require_readable(spec: dict[str, Any], kept: Kept, asked: str) -> None:
    """Refuse to write what `load` would not read.

    Raises:
        BundleError: Names the part that is beyond what a file may hold.
    """
    try:
        require_sound(from_data(spec["program"], Program, kept.arrays.__getitem__, "program"))
        settings: Settings = from_data(spec["settings"], Settings, kept.arrays.__getitem__)
        require_names(settings)
    except Fault as fault:
        raise BundleError(
            f"{asked}: {fault}, and no file with that would be read again. What a file may hold has"
            " bounds, as it may come from a stranger. Change it in the network; until then,"
            " model.state_dict() has the values of the parameters."
        ) from fault


def _exact(model: Mirror, key: str, kept: Kept) -> list[str]:
    """Where the optimised value of a parameter is, and its reference."""
    raw, reference = model.trained[key].exact()
    return [
        kept.keep(f"parameters.{key}.{name}", _array(x))
        for name, x in (("raw", raw), ("reference", reference.to(raw)))
    ]


def _array(x: Tensor) -> Any:
    return x.detach().cpu().numpy()
