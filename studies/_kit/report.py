"""The page, the table and the printed text at the end of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mirrorneuron.analysis import Picture, Table, write_page

from .result import Metric, Result


def verdicts(metrics: Mapping[str, Metric], digits: int = 3) -> Table:
    """Every metric beside its target."""
    rows = (
        (
            name, f"{m.value:.{digits}g}", "-" if m.target is None else f"{m.target:.{digits}g}",
            m.unit, "" if m.ok is None else "hit" if m.ok else "missed",
        )
        for name, m in metrics.items()
    )  # fmt: skip
    return Table("Found beside target", ("", "found", "target", "unit", ""), tuple(rows))


def publish(
    out: Path,
    title: str,
    metrics: Mapping[str, Metric],
    findings: Sequence[Table | str],
    figures: Mapping[Path, str],
    about: str,
    movies: Sequence[Path] = (),
) -> Result:
    """Write `report.html`, and print its tables and texts.

    Arguments:
        out: Folder of the results.
        title: Of the page.
        metrics: By name.
        findings: Tables and texts, at the top of the page.
        figures: Captions of the pictures below them, by file.
        about: Text at the end: methods and sources.
        movies: Animations, which are part of the result but not of the page.
    """
    pictures = [Picture(path, caption) for path, caption in figures.items()]
    page = write_page(out / "report.html", title, [*findings, *pictures, about])
    print("\n" + "\n\n".join(map(str, findings)))
    return Result(metrics, (*figures, *movies), page)
