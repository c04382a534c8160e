"""Tables whose cells stand one below the other where a screen is as narrow as a telephone (docs/site.css)."""

from collections.abc import Iterable


def stacked(table: Iterable[str], *classes: str) -> list[str]:
    """Return the lines of a Markdown table inside an element of the class `stacked` and of these classes."""
    return [f'<div class="{" ".join(("stacked", *classes))}" markdown>', "", *table, "", "</div>"]
