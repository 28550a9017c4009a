"""How Sphinx builds the site: `make docs` writes it to docs/_build/html, and any warning fails the build."""

import re

from sphinx.application import Sphinx

project = "Millrace"
author = "The Millrace authors"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build", "reference/schemas"]
nitpicky = True

html_theme = "furo"
html_title = "Millrace"
html_copy_source = False

# GitHub's spelling of diagrams and of links to headings, so that one text serves both the site and the web view.
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # examples shorten values as "..."

_PAGE_LINK = re.compile(r"\]\(([\w/-]+)\.md\)")
_SECTION = re.compile(r"^## ", re.MULTILINE)


def _add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Append a table of contents for each section of the front page: its links, which also read well without a site."""
    if name != "index":
        return
    for section in _SECTION.split(source[0])[1:]:
        title, _, text = section.partition("\n")
        pages = "\n".join(_PAGE_LINK.findall(text))
        if pages:
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook of this file."""
    app.connect("source-read", _add_contents)
    return {"parallel_read_safe": True}
