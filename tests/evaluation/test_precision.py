"""Weights in bfloat16 for scoring, against a checkpoint that plain code loads in bfloat16."""

import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.evaluation.test_evaluate import CONFIG, NEW_TOKENS, compare, known_corpus
from tests.evaluation.tiny import byte_model, byte_tokenizer
from tests.reference.official_score import Official
from tests.tiny_models import tiny_model
from unlearning.config.evaluation import Precision
from unlearning.config.prompt import PromptConfig
from unlearning.evaluation.cache import cache_key
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.precision import weights_in

IDS = torch.tensor([[5, 9, 40, 7, 12, 3]])


def loaded_in_bfloat16(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return the model as the official evaluator loads it from disk."""
    model.save_pretrained(folder)
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return loaded.eval()


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gemma2"])
@torch.no_grad()
def test_the_weights_are_those_of_a_checkpoint_loaded_in_bfloat16(family: str, tmp_path: Path) -> None:
    """All weights and logits are equal to the bit; afterwards the model is as it was."""
    model = tiny_model(family).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = model(IDS).logits
    plain = loaded_in_bfloat16(model, tmp_path)
    with weights_in(Precision.official, model):
        assert model.dtype == torch.bfloat16
        assert model.state_dict().keys() == plain.state_dict().keys()
        for name, tensor in model.state_dict().items():
            assert (name, tensor.dtype) == (name, plain.state_dict()[name].dtype)
            assert torch.equal(tensor, plain.state_dict()[name]), name
        assert torch.equal(model(IDS).logits, plain(IDS).logits)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(model(IDS).logits, own)
    with weights_in(Precision.own, model):
        assert model.dtype == torch.float32


def test_the_record_is_the_official_evaluator_s_in_bfloat16(tmp_path: Path) -> None:
    """One row at a time both sides round alike. The record says the type, and the cache tells both types apart."""
    model, tokenizer = byte_model("olmo", 5), byte_tokenizer()
    whole = known_corpus(model, tokenizer)
    # A document of each task, of which the second one is known.
    few = (0, 1, 6, 7, 8, 9)
    forget, retain = (tuple(rows[place] for place in few) for rows in (whole.forget, whole.retain))
    corpus = dataclasses.replace(whole, forget=forget, retain=retain, questions=whole.questions[:2])
    plain = loaded_in_bfloat16(model, tmp_path / "model")
    config = dataclasses.replace(CONFIG, precision=Precision.official, batch_tokens=1)
    with weights_in(config.precision, model):
        result = evaluate(model, tokenizer, corpus, config, PromptConfig(), "tiny")
        official_key = cache_key(model, tokenizer, corpus, config, PromptConfig())
    assert result.weights_dtype == "bfloat16"
    assert evaluate(plain, tokenizer, corpus, config, PromptConfig(), "tiny") == result
    compare(result, Official(plain, tokenizer, NEW_TOKENS), corpus, tmp_path, CONFIG.shots)
    own = dataclasses.replace(config, precision=Precision.own)
    assert cache_key(model, tokenizer, corpus, own, PromptConfig()) != official_key
    assert evaluate(model, tokenizer, corpus, own, PromptConfig(), "tiny").weights_dtype == "float64"
