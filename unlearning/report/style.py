"""One look for all figures, and figures as SVG that follow the page's light or dark colours."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from unlearning.artefacts import write_bytes

# Each neutral is a colour that occurs nowhere else, so that the SVG can name the page's variable in its place.
INK, MUTED, GRID, SURFACE = "#1d2128", "#667081", "#e4e7ed", "#fefefe"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", SURFACE: "--surface"}

TARGET, RETRAINED = "#8a94a6", "#c99a1d"
FORGET, RETAIN, WEIGHT = "#d9534f", "#2a7fd4", "#7a8699"
KINDS = {"layer": "#2f6fde", "mlp": "#d9761a", "attention": "#14826f"}
PLACEBO, CHOSEN = "#98a1b0", "#e8b931"
DIVERGING = "RdBu_r"
ON_LIGHT, ON_DARK = "#15181d", "#ffffff"
"""Text on a colour that is the same on light and dark pages."""
DASHED = (0, (3, 3))
_ID = re.compile(r'(\bid="|href="#|url\(#)(?=[^<>]*>)')
"""What stands before an id inside a tag of an SVG."""
METHODS = ("#2f6fde", "#d1478f", "#1f9d8b", "#7b57d1", "#c2561d", "#6b8f1f", "#1b9bd1", "#a33ea1", "#8a5a44", "#5c6b8a")

STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 8.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": SURFACE,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "fixed",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Picture:
    """One figure with its title and caption, ready for the page and for a file."""

    name: str
    title: str
    caption: str
    svg: str
    figure: Figure = field(repr=False, compare=False)

    @cached_property
    def png(self) -> bytes:
        """The figure for slides and for trackers, drawn when it is asked for: a page of many methods writes few."""
        with _styled(), io.BytesIO() as file:
            self.figure.savefig(file, format="png", dpi=150)
            return file.getvalue()


def picture(
    name: str, title: str, caption: str, size: tuple[float, float], draw: Callable[..., None], *data: object
) -> Picture:
    """Return a figure of `size` inches that `draw` fills with the data; `name` is the name of its file."""
    with _styled(), io.StringIO() as file:
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, *data)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing, transparent=True)
        return Picture(name, title, caption, _page_svg(file.getvalue()), figure)


@contextmanager
def _styled() -> Iterator[None]:
    """Set the look."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A character that the font lacks is a box in the file; on the page it is in the browser's font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def write_pictures(folder: Path, pictures: Iterable[Picture]) -> list[Path]:
    """Write the figures as PNG files, for slides and for trackers, and return their paths."""
    paths = []
    for item in pictures:
        paths.append(folder / f"{item.name}.png")
        write_bytes(paths[-1], item.png)
    return paths


def shared_legend(figure: Any, place: str, columns: int) -> None:
    """Add a legend outside the axes that has each name in them once, in the order in which they were drawn."""
    found = [axis.get_legend_handles_labels() for axis in figure.axes]
    named = {label: handle for handles, labels in found for handle, label in zip(handles, labels, strict=True)}
    figure.legend(named.values(), named, loc=f"outside {place}", ncols=columns)


def method_colours(labels: Iterable[str]) -> dict[str, str]:
    """Return a colour for each method, the target and the retrained model, the same in every figure of a report."""
    own = {label: METHODS[index % len(METHODS)] for index, label in enumerate(dict.fromkeys(labels))}
    return {**own, "untouched target": TARGET, "retrained model": RETRAINED}


def _page_svg(svg: str) -> str:
    """Return an SVG without prolog and fixed size, with ids of its own and the page's variables as neutral colours."""
    svg = svg[svg.index("<svg") :]
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = _ID.sub(rf"\g<0>{own}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    head, _, rest = svg.partition(">")
    return re.sub(r' (width|height)="[\d.]+pt"', "", head) + ' aria-hidden="true">' + rest
