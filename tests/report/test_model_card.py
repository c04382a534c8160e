"""The README of a saved model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from unlearning.report.model_card import model_card


@pytest.fixture
def parts(tmp_path: Path, write_run: Callable[..., Path]) -> list[dict[str, Any]]:
    """Return configuration, metrics and provenance of a run."""
    folder = write_run(tmp_path / "run", documents=2)
    names = ("metrics.json", "provenance.json")
    return [
        yaml.safe_load((folder / "config.yaml").read_text()),
        *(json.loads((folder / name).read_text()) for name in names),
    ]


def _front_matter(card: str) -> dict[str, Any]:
    _, front, _ = card.split("---\n", 2)
    value: dict[str, Any] = yaml.safe_load(front)
    return value


def test_card_has_the_scores_and_valid_front_matter(parts: list[dict[str, Any]]) -> None:
    card = model_card(*parts)
    assert card.startswith("---\n")
    assert _front_matter(card) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["unlearning", "machine-unlearning", "semeval-2025-task-4"],
    }
    for model in ("target", "retrained", "unlearned"):
        assert f"{parts[1][model]['final']:.3f}" in card
    assert "0123456789abcdef" in card
    assert "from which the forget set of `sandbox` was unlearned. Base: the sandbox's own target model." in card
    assert "somebody" not in card


@pytest.mark.parametrize(
    ("path", "named"), [("allenai/OLMo-1B-0724-hf", True), ("/models/olmo", False), ("a/b/c", False)]
)
def test_only_a_repository_is_named_as_base(parts: list[dict[str, Any]], path: str, named: bool) -> None:
    parts[0]["model"]["path"] = path
    assert (_front_matter(model_card(*parts)).get("base_model") == path) is named


def test_an_adapter_says_so(parts: list[dict[str, Any]]) -> None:
    parts[0]["model"]["path"] = "owner/name"
    front = _front_matter(model_card(*parts, adapter=True))
    assert (front["library_name"], front["base_model_relation"]) == ("peft", "adapter")


def test_tables_keep_their_columns_whatever_the_values(parts: list[dict[str, Any]]) -> None:
    parts[0]["objective"]["note"] = "a|b\n`c` <b>"
    parts[1]["missing"] = ["utility: none | given"]
    lines = [line for line in model_card(*parts).splitlines() if line.startswith("|")]
    widths = {line.replace("\\|", "").count("|") for line in lines}
    assert widths == {3, 6}
