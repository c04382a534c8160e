"""Tests of experiments/*/study.py: the README's table and the figures follow from the committed results."""

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/study.py"))
SAME_PIXELS = 20
"""How many pixels may differ, because edges are rounded a little differently on other processors."""
VISIBLE = 0.1
"""Smallest difference of a pixel, on a scale from 0 to 1, that counts."""


def study(name: str) -> Any:
    """Return the study of this name."""
    return importlib.import_module(f"experiments.{name}.study").STUDY


def differing(png: bytes, other: bytes) -> int:
    """Return how many pixels of two pictures differ; all of them if the sizes differ."""
    first, second = imread(io.BytesIO(png)), imread(io.BytesIO(other))
    if first.shape != second.shape:
        return int(first.shape[0] * first.shape[1])
    return int((np.abs(first - second).max(axis=-1) > VISIBLE).sum())


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_s_table_is_that_of_the_results(name: str) -> None:
    """The README is equal to the last character."""
    own = study(name)
    assert own.readme() == (own.folder / "README.md").read_text()


@pytest.mark.by_default("layer_choice")
@pytest.mark.parametrize("name", NAMES)
def test_the_figures_are_those_of_the_results(name: str) -> None:
    """Each figure, drawn again from results.csv, is equal to the committed one, and the README shows it."""
    own = study(name)
    for item in own.pictures(own.lines()):
        assert differing(item.png, (own.folder / f"{item.name}.png").read_bytes()) <= SAME_PIXELS
        assert f"({item.name}.png)" in (own.folder / "README.md").read_text()


@pytest.mark.by_default("chunking")
@pytest.mark.parametrize("name", NAMES)
def test_other_results_are_another_figure(name: str) -> None:
    """If all numbers with digits after the point are a tenth smaller, the figure differs: the test above can fail."""
    own = study(name)
    changed = [
        {
            key: f"{0.9 * float(cell):.4f}" if cell.replace(".", "", 1).isdigit() and "." in cell else cell
            for key, cell in line.items()
        }
        for line in own.lines()
    ]
    for item in own.pictures(changed):
        assert differing(item.png, (own.folder / f"{item.name}.png").read_bytes()) > SAME_PIXELS


def test_the_readme_has_every_study_s_answer() -> None:
    """The list of studies in docs/studies.md follows from the committed results."""
    answers = importlib.import_module("experiments.answers")
    assert answers.page() == (ROOT / "docs" / "studies.md").read_text()
    assert len(answers.studies()) == len(NAMES)


@pytest.mark.parametrize("text", ["none", "<!-- results -->\nno end", "no start <!-- /results -->\n"])
def test_a_readme_without_its_markers_is_refused(text: str) -> None:
    """A README without both markers, in their order, is refused."""
    common = importlib.import_module("experiments.study")
    with pytest.raises(ValueError, match="needs both markers"):
        common.replace_between(common.MARKERS, text, "table")
