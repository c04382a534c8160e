"""The cache keeps each part of an evaluation, and reuses it for exactly the same model, data and settings."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.evaluation.tiny import byte_model, byte_tokenizer, small_corpus
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.corpus import fingerprint
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.evaluation import cache
from unlearning.evaluation.cache import cache_key, cached_evaluate
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import PARTS
from unlearning.evaluation.result import EvaluationResult

CONFIG = EvaluationConfig(max_new_tokens=4, shots=0)
CORPUS = small_corpus("f" * 64)
NAMES = list(PARTS)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of parts that were really measured, in order."""
    ran: list[str] = []
    for name, part in list(PARTS.items()):

        def counted(what: EvaluatedModel, name: str = name, measure: object = part.measure) -> list[object]:
            ran.append(name)
            return measure(what)  # type: ignore[operator]

        monkeypatch.setitem(PARTS, name, dataclasses.replace(part, measure=counted))
    return ran


def run(
    folder: Path,
    corpus: Corpus = CORPUS,
    config: EvaluationConfig = CONFIG,
    prompt: PromptConfig | None = None,
    seed: int = 0,
) -> EvaluationResult:
    """Evaluate a tiny model with the cache in this folder."""
    model, tokenizer = byte_model("olmo", seed), byte_tokenizer()
    return cached_evaluate(model, tokenizer, corpus, config, prompt or PromptConfig(), "tiny", folder)


def files(folder: Path) -> list[str]:
    """Return the names of the files of the one evaluation in the cache, but for the locks of their writers."""
    (evaluation,) = (folder / "evaluations").iterdir()
    return sorted(path.name for path in evaluation.iterdir() if path.suffix != ".lock")


def test_the_same_is_measured_once(tmp_path: Path, measured: list[str]) -> None:
    """The first call measures all parts and writes a file for each; the second call measures none."""
    first = run(tmp_path)
    assert measured == NAMES
    assert files(tmp_path) == sorted(f"{name}.json" for name in NAMES)
    assert run(tmp_path) == first
    assert measured == NAMES


def test_a_change_of_anything_is_measured_anew(
    tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other weights, data, settings, prompts or another version of the code lead to a new measurement."""
    less = dataclasses.replace(CORPUS, members=CORPUS.members[:2])
    changes = [
        lambda: run(tmp_path),
        lambda: run(tmp_path, seed=1),
        lambda: run(tmp_path, corpus=dataclasses.replace(less, fingerprint=fingerprint(less))),
        lambda: run(tmp_path, config=dataclasses.replace(CONFIG, max_new_tokens=5)),
        lambda: run(tmp_path, config=dataclasses.replace(CONFIG, shots=1)),
        lambda: run(tmp_path, prompt=PromptConfig(max_tokens=99)),
        lambda: run(tmp_path, prompt=PromptConfig(date="2020-02-29")),
        lambda: run(tmp_path, prompt=PromptConfig(system="Be short.")),
    ]
    for number, change in enumerate(changes, start=1):
        change()
        change()
        assert measured == NAMES * number
    monkeypatch.setattr(cache, "METRICS_VERSION", -1)
    run(tmp_path)
    assert measured == NAMES * (len(changes) + 1)
    assert len(list((tmp_path / "evaluations").iterdir())) == len(changes) + 1


@pytest.mark.by_default("cloze", "wmdp")
@pytest.mark.parametrize("killed", NAMES[1:])
def test_a_kill_costs_the_part_it_falls_in(
    killed: str, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts before it are not measured again, and the result is that of an evaluation without a kill."""
    expected = run(tmp_path / "whole")
    measured.clear()

    def die(_: EvaluatedModel) -> list[object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(PARTS, killed, dataclasses.replace(PARTS[killed], measure=die))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    finished = NAMES[: NAMES.index(killed)]
    assert measured == finished
    assert run(tmp_path) == expected
    assert measured == NAMES


@pytest.mark.grid
@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '[{"id": "m0", "member": true}]', '[{"other": 1}]'])
@pytest.mark.parametrize("name", ["generations", "membership"])
def test_a_broken_part_is_measured_anew(content: str, name: str, tmp_path: Path, measured: list[str]) -> None:
    """Only the broken part is measured, and its file is whole afterwards."""
    expected = run(tmp_path)
    (file,) = (tmp_path / "evaluations").glob(f"*/{name}.json")
    whole = file.read_text()
    file.write_text(content)
    measured.clear()
    assert run(tmp_path) == expected
    assert run(tmp_path) == expected
    assert measured == [name]
    assert json.loads(file.read_text()) == json.loads(whole)


def test_the_key_knows_model_and_tokenizer() -> None:
    """The key changes with the last bit of a weight, but not with the model's mode or the tokenizer's last call."""

    def key(model: PreTrainedModel | None = None, tokenizer: PreTrainedTokenizerBase | None = None) -> str:
        return cache_key(model or byte_model("olmo"), tokenizer or byte_tokenizer(), CORPUS, CONFIG, PromptConfig())

    last_bit, other_end, halved = byte_model("olmo"), byte_model("olmo"), byte_model("olmo").bfloat16()
    with torch.no_grad():
        last_bit.lm_head.weight[-1, -1] = torch.nextafter(last_bit.lm_head.weight[-1, -1], torch.tensor(9.0).double())
    other_end.generation_config.eos_token_id = 7
    with_template, used = byte_tokenizer(), byte_tokenizer()
    with_template.chat_template = "{{ messages[0].content }}"
    used(["a", "bcd"], padding=True, truncation=True, max_length=2)
    different = [
        key(),
        key(last_bit),
        key(other_end),
        key(halved),
        key(byte_model("olmo", clip_qkv=1.0)),
        key(tokenizer=byte_tokenizer(bos=True)),
        key(tokenizer=with_template),
    ]
    assert len(set(different)) == len(different)
    assert key() == key(byte_model("olmo").train(), used)


def test_a_corpus_without_fingerprint_is_not_kept(tmp_path: Path, measured: list[str]) -> None:
    """Without a fingerprint it could not be told from another corpus."""
    for _ in range(2):
        run(tmp_path, corpus=dataclasses.replace(CORPUS, fingerprint=""))
    assert measured == NAMES * 2
    assert not (tmp_path / "evaluations").exists()


def test_an_adapter_must_be_merged(tmp_path: Path) -> None:
    """The scaling of an adapter is in no weight, so it is refused."""
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(byte_model("olmo"), LoraConfig(target_modules=["q_proj"])).get_base_model()
    with pytest.raises(InputError, match="must be merged"):
        cached_evaluate(adapted, byte_tokenizer(), CORPUS, CONFIG, PromptConfig(), "adapted", tmp_path)
