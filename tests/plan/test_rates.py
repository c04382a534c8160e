"""Rates of one run, and the time that they give for another."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.evaluation import test_muse, test_rwku, test_tofu, test_wmdp
from tests.evaluation.tiny import byte_model, byte_tokenizer, multiple_choice, small_corpus
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.plan.counts import counts_of
from unlearning.plan.machine import Machine, this_machine
from unlearning.plan.rates import expected_seconds, measured_rates, rate_file
from unlearning.plan.work import SAMPLE, Work, scoring_work, tokens_of
from unlearning.progress.measured import Measured, parts_measured


def test_rates_and_times() -> None:
    """A part counts by the share of its items that were done; one that is over at once tells nothing."""
    work = {"generation": Work(40, 400, 8e9), "steps": Work(10, 100, 6e9), "WMDP": Work(5, 50, 1e9)}
    parts = [Measured("generation", 20, 1.0), Measured("generation", 40, 2.0), Measured("steps", 10, 3.0)]
    parts += [Measured("WMDP", 5, 0.1), Measured("tracing facts", 3, 9.0)]
    # 60 of 40 items are 1.5 times the work: 12e9 in 3 s.
    rates = measured_rates(parts, work)
    assert rates == {"generation": 4e9, "steps": 2e9}
    assert expected_seconds({"generation": work["generation"], "steps": work["steps"]}, rates) == 2 + 3
    assert expected_seconds(work, rates) is None


def test_the_file(tmp_path: Path) -> None:
    """Rates of a part take the place of older ones, other parts stay, and another shape or machine has another file."""
    counts, machine = counts_of(byte_model("llama")), Machine("one", "cpu", 1, 1e9)
    file = rate_file(tmp_path, machine, "32-true", counts)
    assert file.read() == {}
    file.add({})
    assert not file.path.exists()
    file.add({"steps": 1.0, "generation": 2.0})
    file.add({"steps": 3.0})
    assert rate_file(tmp_path, machine, "32-true", counts).read() == {"steps": 3.0, "generation": 2.0}
    assert rate_file(tmp_path, machine, "bf16-true", counts).path != file.path
    assert rate_file(tmp_path, Machine("another", "cpu", 1, 1e9), "32-true", counts).path != file.path
    assert rate_file(tmp_path, machine, "32-true", counts_of(byte_model("llama", num_hidden_layers=3))).read() == {}
    file.path.write_text("{")
    assert file.read() == {}


def test_another_number_of_threads_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread has another rate than two."""
    names = []
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        names.append(this_machine(TrainerConfig(accelerator="cpu", devices="1")).name)
    assert [f", {threads} of " in name for threads, name in enumerate(names, start=1)] == [True, True]


def test_the_parts_are_those_of_an_evaluation() -> None:
    """A plan names parts and counts items as the evaluation itself does, of all benchmarks together."""
    model, tokenizer = byte_model("llama").float(), byte_tokenizer()
    corpus = replace(small_corpus(), tofu=test_tofu.SETS, muse=test_muse.SETS, wmdp=test_wmdp.QUESTIONS)
    corpus = replace(corpus, rwku=test_rwku.SETS)
    config, prompt = EvaluationConfig(max_new_tokens=4, shots=1), PromptConfig()
    planned = scoring_work(counts_of(model), EvaluatedModel(model, tokenizer, corpus, config, prompt))
    with parts_measured() as parts:
        evaluate(model, tokenizer, corpus, config, prompt, "tiny")
    done = Counter[str]()
    for part in parts:
        done[part.name] += part.items
    assert {name: work.items for name, work in planned.items()} == done
    assert all(work.flops > 0 for work in planned.values())


def test_many_texts_are_sampled() -> None:
    """The tokens of few texts are counted; of many alike, they follow from a part of them."""
    tokenizer = byte_tokenizer()
    texts = [question.question for question in multiple_choice(9)[0]]
    one_by_one = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    assert tokens_of(texts, tokenizer) == sum(one_by_one)
    assert tokens_of([], tokenizer) == 0
    many = texts * SAMPLE
    assert tokens_of(many, tokenizer) == pytest.approx(SAMPLE * sum(one_by_one), rel=0.02)
