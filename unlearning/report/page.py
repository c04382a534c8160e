"""What all pages are made of: templates, filled in with the project's own objects, and the parts that they become."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from unlearning.report.answers import common_words, evenly, worst
from unlearning.report.comparison_row import COLUMNS
from unlearning.report.details import read_provenance
from unlearning.report.heat_maps import choices
from unlearning.report.pareto import front_labels
from unlearning.report.sensitivity import MEASURES
from unlearning.report.settings import flatten
from unlearning.report.statistic import around, interval, number
from unlearning.report.style import Picture
from unlearning.runs.provenance import without_home
from unlearning.scopes.ranges import layer_ranges

_ENVIRONMENT = Environment(
    loader=PackageLoader("unlearning", "report"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS = (
    *(around, common_words, evenly, front_labels, interval),
    *(layer_ranges, number, read_provenance, without_home, worst),
)
_ENVIRONMENT.filters |= {function.__name__: function for function in _FILTERS}
_ENVIRONMENT.filters |= {
    "decimals": lambda value, digits: "-" if value is None or value != value else f"{value:.{digits}f}",
    "flat": lambda config: flatten(without_home(config)),
}
_ENVIRONMENT.globals |= {"choices": choices, "columns": COLUMNS, "measures": MEASURES}


@dataclass(frozen=True)
class PagePart:
    """One part of a page, such as the evaluation of a model."""

    heading: str
    finding: str
    """What was found, in a sentence."""
    html: str
    """All that follows: tables, figures, lists."""
    pictures: list[Picture]
    """The figures in it, to be written as files too."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template of this folder, filled in; in one of HTML all values are escaped."""
    return _ENVIRONMENT.get_template(template).render(values)
