"""The tutorial's notebook as a page: its texts, its code, and what each cell showed when it was last run."""

import base64
import json
from collections.abc import Iterator
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
            parts += [part for output in cell["outputs"] for part in _output(output, path.stem, pictures)]
    return "\n\n".join(parts) + "\n", pictures


def _output(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield what a cell showed: a picture, a table, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}_{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode("".join(data["image/png"]))
        yield f"![]({name})"
    elif "text/html" in data:
        yield "".join(data["text/html"])
    else:
        text = "".join(data.get("text/plain", output.get("text", [])))
        yield f"```text\n{text.rstrip()}\n```"
