"""How much memory there is."""

import os
from pathlib import Path


def available_memory() -> int:
    """Memory that a process could get now [byte]: what the system and its container leave."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            limits.append(int(line.split()[1]) * 1024)
    group = Path("/sys/fs/cgroup")
    ceiling, used = _lines(group / "memory.max"), _lines(group / "memory.current")
    if ceiling and used and ceiling[0] != "max":
        limits.append(int(ceiling[0]) - int(used[0]))
    return min(limits)


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
