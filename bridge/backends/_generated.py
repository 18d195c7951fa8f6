"""Generated Python: text that becomes functions, whose lines tracebacks find."""

import linecache
import zlib
from typing import Any


def executed(text: str, title: str, scope: dict[str, Any]) -> dict[str, Any]:
    """What a text defines.

    Arguments:
        text: Python that was written by an engine.
        title: What it is called in tracebacks.
        scope: What it is given; takes what it defines.
    """
    name = f"<{title} {zlib.crc32(text.encode()):08x}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    exec(compile(text, name, "exec"), scope)
    return scope
