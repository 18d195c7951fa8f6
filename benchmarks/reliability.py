"""Run every case of reliability, and write the table of what was expected and what was found.

    .venv/bin/python benchmarks/reliability.py [--out docs/reliability.md]

Each case runs in a process of its own.
"""

import argparse
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "reliability"
LONGEST = 220
HEAD = """# Reliability

What real scripts, faults and hands do to a mirror: one small case for each kind, what is expected
of it, and what was found. `{command}` runs every case of
`tests/reliability/reliability_cases.py` in a process of its own and writes this page;
`tests/reliability/test_reliability.py` runs them with the other tests.

{met} of {total} cases give what is expected. Python {python}, brian2 {brian2}, torch {torch},
numpy {numpy}. Seconds are wall time of the case alone, without imports.

| kind | case | expected | | found | s |
|---|---|---|---|---|---|
"""


def one(name: str) -> None:
    """Run one case, and print what was found."""
    from brian2 import prefs
    from reliability_cases import cases

    prefs.codegen.target = "numpy"
    start = time.perf_counter()
    try:
        found, met = cases[name].run(), True
    except Exception as error:
        found, met = f"{type(error).__name__}: {error}", False
    seconds = time.perf_counter() - start
    met = met and seconds < cases[name].seconds
    print(f"\n{int(met)}\t{seconds:.2f}\t{_anywhere(' '.join(found.split()))}")


def _anywhere(text: str) -> str:
    """A message without the folders of this machine."""
    kept = re.escape(tempfile.gettempdir())
    return re.sub(rf"{kept}/\w+", "FOLDER", text.replace(f"{ROOT}/", ""))


def rows() -> Iterator[tuple[bool, str]]:
    """Whether each case is met, and its row of the table."""
    from reliability_cases import cases

    for name, case in cases.items():
        done = subprocess.run(
            [sys.executable, __file__, "--case", name], capture_output=True, text=True, check=False
        )
        last = done.stdout.strip().splitlines()[-1:] or ["0\t0\tit crashed"]
        met, seconds, found = last[0].split("\t", 2)
        print(f"{'met' if met == '1' else 'NOT MET':8}{name}: {found[:100]}", flush=True)
        shown = found if len(found) <= LONGEST else f"{found[:LONGEST]} …"
        cells = [case.kind, name, case.expected, "✓" if met == "1" else "**✗**", shown, seconds]
        text = " | ".join(cell.replace("|", "\\|") for cell in cells)
        yield met == "1", f"| {text} |"


def main() -> None:
    """Run all cases, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md")
    parser.add_argument("--case", help="Run this one, and print what was found.")
    arguments = parser.parse_args()
    sys.path.insert(0, str(FOLDER))
    if arguments.case:
        one(arguments.case)
        return
    found = list(rows())
    head = HEAD.format(
        command=".venv/bin/python benchmarks/reliability.py",
        met=sum(met for met, _ in found),
        total=len(found),
        python=platform.python_version(),
        **{name: version(name) for name in ("brian2", "torch", "numpy")},
    )
    arguments.out.write_text(head + "\n".join(row for _, row in found) + "\n")
    sys.exit(0 if all(met for met, _ in found) else 1)


if __name__ == "__main__":
    main()
