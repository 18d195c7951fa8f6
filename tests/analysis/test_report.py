import base64

import pytest

from mirrorneuron.analysis import Picture, Table, page, write_page
from mirrorneuron.errors import DomainError, ShapeError

# One grey pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def test_everything_is_escaped():
    evil = "<script>alert('x')</script>"
    text = page(evil, [evil, Table(evil, (evil,), ((evil,),))])
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 6


def test_a_picture_is_inside_the_page(tmp_path):
    (tmp_path / "dot.png").write_bytes(PNG)
    text = page("Title", [Picture(tmp_path / "dot.png", 'a "dot"')])
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in text
    assert "a &quot;dot&quot;" in text


def test_the_page_refers_to_nothing_outside():
    text = page("Title", ["Text", Table("Numbers", ("a", "b"), (("1", "2"),))])
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text


def test_what_is_no_png_is_refused(tmp_path):
    (tmp_path / "evil.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(DomainError, match=r"takes PNG only.*savefig\('name.png'\)"):
        page("Title", [Picture(tmp_path / "evil.png", "")])


def test_a_row_has_a_cell_for_each_column():
    with pytest.raises(ShapeError, match=r"has 1 cells, the table 2 columns"):
        Table("Numbers", ("a", "b"), (("1",),))


def test_a_table_reads_well_as_text():
    table = Table("Rates", ("object", "Hz"), (("cells", "7.5"), ("b", "10")))
    lines = ["Rates", "object   Hz", "------  ---", "cells   7.5", "b        10"]
    assert str(table).splitlines() == lines


def test_an_empty_table_is_its_head():
    assert str(Table("Rates", ("object",), ())).splitlines() == ["Rates", "object", "------"]


def test_a_page_is_written_where_it_is_wanted(tmp_path):
    path = write_page(tmp_path / "new" / "page.html", "Größe", ["µ"])
    assert "Größe" in path.read_text(encoding="utf-8")
