"""One page of HTML that carries everything it shows, and the same tables as plain text."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError

_PNG = b"\x89PNG\r\n\x1a\n"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
""".strip()
_TABLE_STYLE = """
.mn-table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums;
            margin: .5rem 0; }
.mn-table caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
.mn-table th { border-bottom: 1.5px solid #222; font-weight: 600; }
.mn-table th, .mn-table td { padding: .15rem .8rem .15rem 0; text-align: right; }
.mn-table th:first-child, .mn-table td:first-child { text-align: left; }
figure { margin: 1rem 0; } figure img { max-width: 100%; }
figcaption { font-size: 13px; color: #555; }
""".strip()


@checked
@dataclass(frozen=True)
class Table:
    """Rows of text under a caption.

    Attributes:
        caption: What the table shows.
        columns: Heads of the columns.
        rows: Cells, as they are to be read.

    Raises:
        ShapeError: A row has more or fewer cells than there are columns.

    Example:
        >>> print(Table("Rates", ("object", "rate [Hz]"), (("cells", "7.25"),)))
        Rates
        object  rate [Hz]
        ------  ---------
        cells        7.25
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ShapeError(
                    f"Table({self.caption!r}): the row {row} has {len(row)} cells, the table "
                    f"{len(self.columns)} columns. A cell belongs to a column. "
                    "Write '' for an empty one."
                )

    def __str__(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, tuple("-" * width for width in widths))
        return "\n".join([self.caption, *(_aligned(line, widths) for line in lines)])

    def to_html(self) -> str:
        """The table as HTML, everything escaped."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        body = "".join(f"<tr>{_cells(row)}</tr>" for row in self.rows)
        return (
            f'<table class="mn-table"><caption>{html.escape(self.caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


@checked
@dataclass(frozen=True)
class Picture:
    """A PNG file that becomes part of the page.

    Attributes:
        path: The file.
        caption: What the picture shows.
    """

    path: Path
    caption: str

    def to_html(self) -> str:
        """The picture as HTML, its bytes included.

        Raises:
            DomainError: The file is no PNG.
        """
        data = self.path.read_bytes()
        if not data.startswith(_PNG):
            raise DomainError(
                f"Picture({str(self.path)!r}): the file starts with {data[:8]!r}. A page takes "
                "PNG only, so that it shows everywhere and runs nothing. Write savefig('name.png')."
            )
        caption = html.escape(self.caption)
        source = base64.b64encode(data).decode("ascii")
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{source}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


Part = str | Table | Picture


def fragment(parts: Sequence[Part]) -> str:
    """Parts as HTML for inside a page or a notebook; a string is a paragraph, escaped.

    Arguments:
        parts: Paragraphs, tables and pictures in their order.
    """
    body = (f"<p>{html.escape(p)}</p>" if isinstance(p, str) else p.to_html() for p in parts)
    return f"<style>{_TABLE_STYLE}</style>" + "\n".join(body)


@checked
def page(title: str, parts: Sequence[Part]) -> str:
    """A whole page, which loads nothing and runs nothing.

    Arguments:
        title: Heading of the page.
        parts: Paragraphs, tables and pictures in their order.

    Example:
        >>> "&lt;script&gt;" in page("<script>", [])
        True
    """
    heading = html.escape(title)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{heading}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{heading}</h1>\n{fragment(parts)}\n</body></html>\n"
    )


@checked
def write_page(path: str | Path, title: str, parts: Sequence[Part]) -> Path:
    """Writes a page and returns where it is; missing directories are made.

    Arguments:
        path: The file to write.
        title: Heading of the page.
        parts: Paragraphs, tables and pictures in their order.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(title, parts), encoding="utf-8")
    return path


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
