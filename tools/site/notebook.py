"""The tutorial's notebook as a page: its texts, its code, and what each cell showed when it was last run."""

import base64
import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by their names."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts.append(f"```python\n{source}\n```")
            parts += _outputs(cell["outputs"], path.stem, pictures)
    return "\n\n".join(parts) + "\n", pictures


def _outputs(outputs: list[dict[str, Any]], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield what a cell showed, in its order: pictures, tables, and each run of lines of text as one block."""
    for is_text, some in groupby(outputs, lambda output: _text(output) is not None):
        if is_text:
            yield f"```text\n{''.join(str(_text(output)) for output in some).rstrip()}\n```"
            continue
        for output in some:
            if "image/png" in output["data"]:
                name = f"{stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(output["data"]["image/png"]))
                yield f"![]({name})"
            else:
                yield _plain_table("".join(output["data"]["text/html"]))


def _text(output: dict[str, Any]) -> str | None:
    """Return the text that an output is, without colours; None for a picture or a table."""
    data = output.get("data", {})
    html = "".join(data.get("text/html", ""))
    if "image/png" in data or "<table" in html:
        return None
    return re.sub(r"\x1b\[[\d;]*m", "", "".join(data.get("text/plain", output.get("text", []))))


def _plain_table(html: str) -> str:
    """Return pandas' table as a table that has the site's style in place of its own."""
    return re.sub(r"<style.*?</style>\s*", "", html, flags=re.DOTALL).replace(' border="1" class="dataframe"', "")
