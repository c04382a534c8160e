"""Pages looked at in a browser, at several widths at once: where their texts stand and what their tables say."""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.report.browser import complaints

CHECKS = Path(__file__).with_name("layout.js")
HEIGHT = 900
_FRAME = '<iframe name="{name}" style="width: {width}px; height: {height}px; border: 0" srcdoc="{page}"></iframe>'
_READ = """
window.addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")];
  const found = frames.map((frame) => [frame.name, lookAt(frame.contentDocument)]);
  document.body.replaceChildren();
  document.title = JSON.stringify(Object.fromEntries(found));
});
"""


@dataclass(frozen=True)
class Table:
    """One table as a reader sees it."""

    name: str
    headings: list[str]
    rows: list[list[list[str]]]
    """The lines of each cell."""


@dataclass(frozen=True)
class Seen:
    """One page at one width."""

    tables: list[Table]
    complaints: list[str]
    """Faults that a reader would see, at most 300 of them."""


def look(pages: Mapping[str, tuple[str, int]], folder: Path) -> dict[str, Seen]:
    """Return what is seen of each page, given as its text and a width in pixels; the browser starts once."""
    frames = [
        _FRAME.format(name=html.escape(name), width=width, height=HEIGHT, page=html.escape(text))
        for name, (text, width) in pages.items()
    ]
    script = f"<script>{CHECKS.read_text(encoding='utf-8')}{_READ}</script>"
    sheet = folder / "sheet.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>not read</title>'
    sheet.write_text(f"{head}{script}<body>{''.join(frames)}</body></html>", encoding="utf-8")
    document, console = complaints(sheet, folder, "--dump-dom", "--window-size=1600,1000")
    assert console == []
    title = re.search(r"<title>(.*?)</title>", document, re.DOTALL)
    assert title is not None
    found = json.loads(html.unescape(title.group(1)))
    return {
        name: Seen([Table(**table) for table in seen["tables"]], seen["complaints"]) for name, seen in found.items()
    }
