"""Settings of Sphinx: `scripts/docs` builds the pages, and any warning is an error."""

import os
import re
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
sys.path.insert(0, str(SOURCE))
os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
os.environ.pop("MPLBACKEND", None)  # figures of notebooks are inline

import mirrorneuron  # noqa: E402

project = "mirrorneuron"
author = "The mirrorneuron developers"
copyright = "The mirrorneuron developers, BSD-3-Clause"
version = release = mirrorneuron.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "figures"]
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = "mirrorneuron"
html_static_path = ["_static"]
html_css_files = ["mirrorneuron.css"]
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A text notebook has no outputs of its own, so that each is executed, and an error ends the build.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_execution_in_temp = True  # files that they write stay out of the sources
nb_output_stderr = "remove"  # bars of progress
nb_merge_streams = True
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the signatures of the source, where shapes are executed
autoclass_content = "class"
napoleon_numpy_docstring = False

MATH = re.compile(r"(?<![\\$\w])\$([^$\n]+)\$(?![\w])")


SOURCED = re.compile(r"^(\s*)(Source|Differs from \w+): ?(.*)$")


def _paragraphs(lines: list[str]) -> list[str]:
    """Lines in which each source is a paragraph of its own, with its heading in bold."""
    made, indent = list[str](), None
    for line in lines:
        head = SOURCED.match(line)
        if head:
            indent = head[1]
            made += ["", f"{indent}**{head[2]}:** {head[3]}"]
        elif indent is not None and line.strip():
            made.append(indent + line.strip())
        else:
            made.append(line)
            indent = None
    return made


def _as_rst(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """A docstring in reStructuredText: `$formula$` as a role, sources as paragraphs."""
    text = MATH.sub(lambda formula: f":math:`{formula[1]}`", "\n".join(_paragraphs(lines)))
    lines[:] = text.split("\n")


def setup(app: Any) -> None:
    """Connect what rewrites docstrings; napoleon, which reads their sections, comes after it."""
    app.connect("autodoc-process-docstring", _as_rst, priority=100)
