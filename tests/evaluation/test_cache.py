import dataclasses
from pathlib import Path

import pytest
import torch

from tests.evaluation.tiny import byte_model, byte_tokenizer, small_corpus
from unlearning.config import EvaluationConfig, PromptConfig
from unlearning.errors import InputError
from unlearning.evaluation import cache
from unlearning.evaluation.cache import cache_key, cached_evaluate
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.result import EvaluationResult

CONFIG = EvaluationConfig(max_new_tokens=4, shots=0)
CORPUS = dataclasses.replace(small_corpus("f" * 64), questions=(), examples=())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of the evaluations that really ran."""
    ran: list[str] = []

    def counted(*arguments: object) -> EvaluationResult:
        ran.append(str(arguments[-1]))
        return evaluate(*arguments)

    monkeypatch.setattr(cache, "evaluate", counted)
    return ran


def run(folder: Path, label: str, corpus=CORPUS, config=CONFIG, prompt=None, seed: int = 0) -> EvaluationResult:
    model, tokenizer = byte_model("olmo", seed), byte_tokenizer()
    return cached_evaluate(model, tokenizer, corpus, config, prompt or PromptConfig(), label, folder)


def test_the_same_is_computed_once(tmp_path: Path, calls: list[str]) -> None:
    first, second = run(tmp_path, "first"), run(tmp_path, "second")
    assert calls == ["first"]
    assert first == second
    assert len(list((tmp_path / "evaluations").iterdir())) == 1


def test_a_change_of_anything_computes_anew(tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "first")
    run(tmp_path, "weights", seed=1)
    run(tmp_path, "corpus", corpus=dataclasses.replace(CORPUS, fingerprint="e" * 64))
    run(tmp_path, "config", config=dataclasses.replace(CONFIG, max_new_tokens=5))
    run(tmp_path, "prompt", prompt=PromptConfig(max_tokens=99))
    monkeypatch.setattr(cache, "METRICS_VERSION", -1)
    run(tmp_path, "version")
    assert calls == ["first", "weights", "corpus", "config", "prompt", "version"]


def test_the_key_knows_model_and_tokenizer() -> None:
    def key(model=None, tokenizer=None) -> str:
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


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"metrics": {}, "missing": [], "generations": [], "membership": []}']
)
def test_a_broken_file_is_computed_anew(content: str, tmp_path: Path, calls: list[str]) -> None:
    expected = run(tmp_path, "first")
    (file,) = (tmp_path / "evaluations").iterdir()
    file.write_text(content)
    assert run(tmp_path, "second") == expected
    assert run(tmp_path, "third") == expected
    assert calls == ["first", "second"]


def test_a_corpus_without_fingerprint_is_not_cached(tmp_path: Path, calls: list[str]) -> None:
    for label in ("first", "second"):
        run(tmp_path, label, corpus=dataclasses.replace(CORPUS, fingerprint=""))
    assert calls == ["first", "second"]
    assert not (tmp_path / "evaluations").exists()


def test_an_adapter_must_be_merged(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(byte_model("olmo"), LoraConfig(target_modules=["q_proj"])).get_base_model()
    with pytest.raises(InputError, match="must be merged"):
        cached_evaluate(adapted, byte_tokenizer(), CORPUS, CONFIG, PromptConfig(), "adapted", tmp_path)
