"""The stage of the probes: its cache, its files, and what the table says of an adapter."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from tests.evaluation.tiny import byte_model, byte_tokenizer
from tests.probes.world import corpus
from unlearning.commands.stages.probe import add_results, probe_models, probe_summary
from unlearning.commands.stages.probe_measurements import ProbeSettings
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.probe import AdapterConfig, LinearProbeConfig, PrimedConfig, ProbeConfig, QuantizedConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.probes import quantization
from unlearning.probes.models_to_probe import ModelsToProbe
from unlearning.probes.probe import ProbedModel
from unlearning.probes.questions import Questions
from unlearning.probes.table import ModelRole, ProbeResult

PROBES: dict[str, ProbeConfig] = {"int4": QuantizedConfig(bits=4), "adapter": AdapterConfig()}


def to_probe(unlearned_seed: int = 1, adapter: bool = True, retrained: bool = True) -> ModelsToProbe:
    """Return random models; the unlearned model has another seed than the target."""
    seeds = {ModelRole.target: 0, ModelRole.unlearned: unlearned_seed} | ({ModelRole.retrained: 2} if retrained else {})
    models: dict[ModelRole, Callable[[], PreTrainedModel]] = {
        role: lambda seed=seed: byte_model("olmo", seed).float()  # type: ignore[misc]
        for role, seed in seeds.items()
    }
    return ModelsToProbe(models, byte_tokenizer(), corpus(4), adapter)


def ask(folder: Path, asked: ModelsToProbe, probes: dict[str, ProbeConfig] | None = None) -> dict[str, ProbeResult]:
    """Probe the models and write into folder/run, with the cache beside it."""
    trainer = TrainerConfig(accelerator="cpu")
    how = ProbeSettings(PromptConfig(), EvaluationConfig(max_new_tokens=3), trainer, folder / "cache")
    return probe_models(PROBES if probes is None else probes, asked, how, folder / "run")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the first weight of each model that is asked the plain questions."""
    seen: list[float] = []
    original = Questions.run

    def looking(self: Questions, probed: ProbedModel) -> object:
        seen.append(next(probed.model.parameters()).flatten()[0].item())
        return original(self, probed)

    monkeypatch.setattr(Questions, "run", looking)
    return seen


def test_what_was_found_is_not_asked_again(tmp_path: Path, plain: list[float]) -> None:
    """Models of the same weights are asked once; another unlearned model is asked, the target is not."""
    first = ask(tmp_path, to_probe())
    assert len(plain) == 3
    assert ask(tmp_path, to_probe()) == first
    assert len(plain) == 3
    ask(tmp_path, to_probe(unlearned_seed=5))
    assert len(plain) == 4


def test_a_run_that_was_killed_goes_on(tmp_path: Path, plain: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before the error is in probes.json, and is not asked again."""
    original, calls = quantization.Quantized.run, []

    def killed(self: quantization.Quantized, probed: ProbedModel) -> object:
        calls.append(probed)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, probed)

    monkeypatch.setattr(quantization.Quantized, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, to_probe())
    written = {line["name"]: line for line in json.loads((tmp_path / "run" / "probes.json").read_text())["probes"]}
    assert sorted(written["unprobed"]["values"]) == ["target", "unlearned"]
    assert sorted(written["int4"]["values"]) == ["target"]
    lines = ask(tmp_path, to_probe())
    assert sorted(lines["int4"].values) == ["retrained", "target", "unlearned"]
    assert len(plain) == 3
    assert len(calls) == 4


def test_what_is_unreadable_is_asked_again(tmp_path: Path, plain: list[float]) -> None:
    """A file that is incomplete or has other content is measured again."""
    first = ask(tmp_path, to_probe(), {})
    for place, path in enumerate(sorted((tmp_path / "cache" / "probes").iterdir())):
        path.write_text('{"items": [' if place else "{}")
    assert ask(tmp_path, to_probe(), {}) == first
    assert len(plain) == 6


def test_without_its_adapter_the_model_is_the_target(tmp_path: Path) -> None:
    """Nothing is computed for an adapter; without one the probe does not apply."""
    line = ask(tmp_path, to_probe())["adapter"]
    assert line.values["unlearned"] == line.values["target"]
    refused = ask(tmp_path, to_probe(adapter=False))["adapter"]
    assert refused.reason == "the model was not released as an adapter"
    assert not refused.values


def test_a_probe_that_does_not_apply_stops_no_other(tmp_path: Path) -> None:
    """A probe that does not apply has a reason in place of numbers."""
    probes = {"primed": PrimedConfig(words=9), "linear": LinearProbeConfig(folds=9), "int8": QuantizedConfig()}
    lines = ask(tmp_path, to_probe(), probes)
    assert {name: bool(line.reason) for name, line in lines.items()} == {
        "unprobed": False, "primed": True, "linear": True, "int8": False, "worst_case": False,
    }  # fmt: skip
    with (tmp_path / "run" / "probes.csv").open() as handle:
        rows = {row["probe"]: row for row in csv.DictReader(handle)}
    assert rows["primed"]["does_not_apply"] == "no answer has more than 9 words"
    assert rows["int8"]["unlearned"] == str(lines["int8"].values["unlearned"].value)


def test_every_rows_score_is_written(tmp_path: Path) -> None:
    """The file has the answers of every probe and model, and for the worst case the probe of each row."""
    lines = ask(tmp_path, to_probe(retrained=False), {"int8": QuantizedConfig()})
    found = [json.loads(line) for line in (tmp_path / "run" / "probe_answers.jsonl").read_text().splitlines()]
    assert len(found) == 3 * 2 * 8
    assert {(one["probe"], one["model"]) for one in found} == {
        (name, role) for name in lines for role in ("target", "unlearned")
    }
    assert probe_summary(lines) == {}


def test_lines_join_those_of_the_run_that_was_probed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """New results replace those of the same name; a folder that cannot be written leads to a warning."""
    earlier = {name: ProbeResult(name, "before", "exact match") for name in ("kept", "int4")}
    add_results(earlier, tmp_path)
    add_results({"int4": ProbeResult("int4", "after", "exact match")}, tmp_path)
    written = json.loads((tmp_path / "probes.json").read_text())["probes"]
    assert [(line["name"], line["title"]) for line in written] == [("kept", "before"), ("int4", "after")]
    (tmp_path / "file").write_text("")
    add_results(earlier, tmp_path / "file")
    assert "is not written" in capsys.readouterr().err


def test_models_are_asked_one_after_the_other(tmp_path: Path) -> None:
    """Each model is loaded once the one before it is no longer needed."""
    order = []
    asked = to_probe()
    models = dict(asked.models)
    for role, load in asked.models.items():

        def noted(role: ModelRole = role, load: Callable[[], PreTrainedModel] = load) -> PreTrainedModel:
            order.append(role)
            return load()

        models[role] = noted
    ask(tmp_path, ModelsToProbe(models, asked.tokenizer, asked.corpus, True), {})
    assert order == [ModelRole.target, ModelRole.unlearned, ModelRole.retrained]
