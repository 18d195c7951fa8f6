"""Run every case of reliability, and write the tables of what was expected and what was found.

    .venv/bin/python benchmarks/reliability.py [--out docs/reliability.md] [--only rows]

Each case runs in a process of its own, all rows of faults in another one. `--only` runs one part
and keeps the other as the page has it.
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
COUNTED = """## Faults, counted

Each kind of fault many times: `{command} --only rows` makes every trial of
`tests/reliability/trust_rows.py`; `tests/reliability/test_trust_rows.py` makes a few of each with
the other tests. {met} of {total} kinds are right in every trial. Gradients and values of a CPU are
compared with those of a graphics card by `scripts/gpu_check`, not here.

| | fault | expected | right | s |
|---|---|---|---|---|
"""
COMMAND = ".venv/bin/python benchmarks/reliability.py"


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


def count() -> None:
    """Make every trial of every row of faults, and print a row of the table for each."""
    import torch
    from brian2 import prefs
    from trust_rows import rows as faults

    prefs.codegen.target = "numpy"
    torch.set_num_threads(1)
    for number in sorted(faults):
        row, start = faults[number], time.perf_counter()
        try:
            made, right, wrong = row.run()
        except Exception as error:
            made, right, wrong = 1, 0, f"{type(error).__name__}: {error}"
        seconds = f"{time.perf_counter() - start:.1f}"
        shown = f"{right}/{made}" if right == made else f"**{right}/{made}** {_anywhere(wrong)}"
        cells = [str(number), row.fault, row.expected, " ".join(shown.split()), seconds]
        text = " | ".join(cell.replace("|", "\\|") for cell in cells)
        print(f"{int(right == made)}\t| {text} |", flush=True)


def counted() -> Iterator[tuple[bool, str]]:
    """Whether each row of faults is right, and its row of the table."""
    command = [sys.executable, __file__, "--count"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        for line in child.stdout or ():
            if line.startswith(("0\t|", "1\t|")):
                print(line.rstrip(), flush=True)
                yield line[0] == "1", line[2:].rstrip()


def _cases_part() -> tuple[bool, str]:
    found = list(rows())
    head = HEAD.format(
        command=COMMAND,
        met=sum(met for met, _ in found),
        total=len(found),
        python=platform.python_version(),
        **{name: version(name) for name in ("brian2", "torch", "numpy")},
    )
    return all(met for met, _ in found), head + "\n".join(row for _, row in found) + "\n"


def _rows_part() -> tuple[bool, str]:
    found = list(counted())
    head = COUNTED.format(command=COMMAND, met=sum(met for met, _ in found), total=len(found))
    return all(met for met, _ in found), head + "\n".join(row for _, row in found) + "\n"


def main() -> None:
    """Run all cases and rows, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md")
    parser.add_argument("--case", help="Run this one, and print what was found.")
    parser.add_argument("--count", action="store_true", help="Count the faults, and print them.")
    parser.add_argument("--only", choices=("cases", "rows"), help="Run this part.")
    arguments = parser.parse_args()
    sys.path.insert(0, str(FOLDER))
    if arguments.case or arguments.count:
        one(arguments.case) if arguments.case else count()
        return
    before = arguments.out.read_text() if arguments.only else ""
    cases_part, mark, rows_part = before.partition(COUNTED[:10])
    all_met, parts = True, [cases_part.rstrip() + "\n", mark + rows_part]
    for k, (name, run) in enumerate((("cases", _cases_part), ("rows", _rows_part))):
        if arguments.only in (None, name):
            met, parts[k] = run()
            all_met = all_met and met
    arguments.out.write_text("\n".join(part for part in parts if part))
    sys.exit(0 if all_met else 1)


if __name__ == "__main__":
    main()
