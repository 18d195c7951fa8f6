"""Command line: run studies, and see what works on this machine."""

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .errors import MirrorNeuronError

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mirrorneuron {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Options of the command itself."""


@app.command()
def studies() -> None:
    """List the studies."""
    from .studies import studies as known

    for name, study in known.items():
        typer.echo(f"{name:<20}{study().title}")


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    quick: Annotated[bool, typer.Option(help="Settings that take a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from an interrupted run.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Recordings of your own, in the layout of the study.")
    ] = None,
) -> None:
    """Run a study, print its figures and where the pictures are."""
    from .studies import studies as known

    _end_at_ctrl_c()
    logging.getLogger("py.warnings").addFilter(_is_news)  # brian2 sends warnings there
    chosen = known[study]() if data is None else known[study]().with_data(data)
    settings = (chosen.quick() if quick else chosen).with_(seed=seed)
    folder = out or Path("out") / study
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = settings.run(folder, progress=sys.stderr.isatty(), resume=resume)
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command with --resume goes on.", err=True)
        raise typer.Exit(130) from None
    metrics = result.write(folder)
    typer.echo(f"\n{result}\n")
    for path in (*result.figures, result.report, metrics):
        if path is not None:
            typer.echo(path)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="Name of the data set.")] = None,
    again: Annotated[bool, typer.Option(help="Fetch it even if it is there.")] = False,
) -> None:
    """Fetch a data set that studies read, or list all."""
    from .studies._kit.data import DATA_SETS, data_set

    if name is None:
        for known in DATA_SETS.values():
            typer.echo(known)
        return
    chosen = data_set(name)
    typer.echo(chosen)
    if again or chosen.found is None:
        typer.echo("Fetching ...")
        typer.echo(f"Complete, and its digest is right: {chosen.fetch()}")


@app.command()
def check(
    script: Annotated[Path, typer.Argument(help="A Brian2 script. It is run unmodified.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments of the script, after --.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="How long to compare, as in Brian2: 100ms, 2*second.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for the result.")] = None,
    run: Annotated[int, typer.Option(help="Which run() of the script to mirror.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="Compare over so many steps at most.", min=1)
    ] = None,
    preferences: Annotated[
        bool, typer.Option(help="Let Brian2 read ./brian_preferences, if there is one.")
    ] = True,
) -> None:
    """Mirror the network that a Brian2 script runs, and compare the two.

    Exit code 0: faithful; 1: not faithful; 2: the script itself failed.
    """
    from ._preferences import look

    if not preferences:
        look(refuse=True)
    shown = sys.stderr.isatty()
    if shown:
        typer.echo(f"Importing Brian2 and torch, then running {script} ...", err=True)
    from .check import check_script
    from .units import parse_time

    _end_at_ctrl_c()
    logging.getLogger("py.warnings").addFilter(_is_news)
    compared = parse_time(duration) if duration else None
    try:
        finding = check_script(script, compared, run, seed, arguments or (), steps, shown)
    except KeyboardInterrupt:
        typer.echo("Interrupted: there is no verdict.", err=True)
        raise typer.Exit(130) from None
    typer.echo(finding)
    if json is not None:
        json.write_text(finding.to_json())
    raise typer.Exit(finding.exit_code)


def _end_at_ctrl_c() -> None:
    """End at Ctrl-C: brian2's handler, set by its import, ends only the present simulation."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a warning is worth reading: brian2 2.9 calls pyparsing by old names."""
    return "PyparsingDeprecationWarning" not in record.getMessage()


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False,
) -> None:
    """Say what is installed here, and what each part of mirrorneuron can use."""
    from .doctor import as_json, examine

    states = list(examine())
    if json:
        typer.echo(as_json(states))
        return
    for state in states:
        typer.echo(f"{'  ' if state.ok else '- '}{state.name:<16}{state.found}")


def main() -> None:
    """Entry point: errors of ours are messages, not tracebacks; Ctrl-C exits with 130."""
    try:
        app()
    except MirrorNeuronError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
