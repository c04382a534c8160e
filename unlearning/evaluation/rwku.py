"""RWKU (Jin et al. 2024, arXiv 2406.10890): what a model still says about people, and about what is close to them.

- Forget and neighbour probes: mean ROUGE-L recall of the greedy answer at each level, 0 to 1; lower is better on the
  forget set, higher on the neighbours. Words are those of `unicode_words`; the released code uses the package rouge,
  which counts each word once, distinguishes capitals and keeps commas, and so gives somewhat lower numbers.
- The loss of texts about the people and about others, in nats a token.

The benchmark's utility sets are not measured here: MMLU, BBH, TruthfulQA and TriviaQA are also tasks of
lm-evaluation-harness (`evaluation.harness.tasks`).
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from unlearning.config.prompt import PromptStyle
from unlearning.data.encoding import encode_prompts
from unlearning.data.joint import join_rows
from unlearning.data.rows import Document, Kind, Row, RwkuProbe, Split
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import document_scores
from unlearning.evaluation.metrics import RWKU_METRICS
from unlearning.evaluation.result import ItemScore
from unlearning.evaluation.rouge import rouge_l_recall
from unlearning.evaluation.unicode_words import unicode_words
from unlearning.progress.shown import shown_progress

NEW_TOKENS = 30
"""Most tokens of an answer. The released code would end an answer at a line end too, but asks for that token by a text
that the tokenizers of its models do not have, so only the end of the turn ends one."""
LEVELS = ("forget_level1", "forget_level2", "forget_level3", "neighbor_level1", "neighbor_level2")
TEXTS = {"mia_forget": "forget_nats", "mia_retain": "retain_nats"}
"""Each set of texts, and the group of its scores."""


def rwku(evaluated: EvaluatedModel) -> list[ItemScore]:
    """Return the ROUGE-L recall of the answer to each probe, then the loss of each text; empty without RWKU's sets.

    Raises InputError for what does not fit into the model's context, and for losses or logits that are not a number.
    """
    sets = evaluated.corpus.rwku
    if sets is None:
        return []
    probes = [(name, probe) for name in LEVELS for probe in getattr(sets, name)]
    texts = [(group, text) for name, group in TEXTS.items() for text in getattr(sets, name)]
    own = evaluated.share.of([*probes, *texts])
    answers = _answers(evaluated, [(name, item) for name, item in own if isinstance(item, RwkuProbe)])
    return answers + _losses(evaluated, [(name, item) for name, item in own if isinstance(item, Document)])


def rwku_metrics(items: Sequence[ItemScore]) -> dict[str, float | None]:
    """Return all RWKU_METRICS: the mean of each group; None for a group without items."""
    metrics: dict[str, float | None] = dict.fromkeys(RWKU_METRICS)
    for key in RWKU_METRICS:
        values = [value for item in items if f"rwku_{item.group}" == key for value in item.values.values()]
        metrics[key] = fmean(values) if values else None
    return metrics


def probe_prompts(evaluated: EvaluatedModel, probes: Sequence[RwkuProbe]) -> list[list[int]]:
    """Return the tokens of each question and of the beginning that is written for its answer.

    In the raw style the beginning stands right behind the question, which ends with a line end.
    """
    tokenizer, prompt = evaluated.tokenizer, evaluated.prompt
    if prompt.style is PromptStyle.raw:
        return encode_prompts([probe.question + probe.beginning for probe in probes], tokenizer, prompt)
    begun = [probe for probe in probes if probe.beginning]
    plain = [probe for probe in probes if not probe.beginning]
    questions, beginnings = [probe.question for probe in begun], [probe.beginning for probe in begun]
    joint = join_rows(questions, beginnings, tokenizer, replace(prompt, append_eos=False))
    found = {probe.id: list(row.tokens.ids) for probe, row in zip(begun, joint, strict=True)}
    alone = encode_prompts([probe.question for probe in plain], tokenizer, prompt)
    found |= {probe.id: tokens for probe, tokens in zip(plain, alone, strict=True)}
    return [found[probe.id] for probe in probes]


def _answers(evaluated: EvaluatedModel, asked: Sequence[tuple[str, RwkuProbe]]) -> list[ItemScore]:
    if not asked:
        return []
    probes = [probe for _, probe in asked]
    rows = [
        Row(probe.id, probe.question, probe.answer, "rwku", Kind.COMPLETION, Split.FORGET, own=True) for probe in probes
    ]
    model, tokenizer = evaluated.model, evaluated.tokenizer
    ends = end_tokens(model, tokenizer, evaluated.prompt)
    prompts = probe_prompts(evaluated, probes)
    texts = generate(model, tokenizer, rows, prompts, ends, NEW_TOKENS, evaluated.config.batch_tokens)
    return [
        ItemScore(name, probe.id, {"rouge_recall": rouge_l_recall(probe.answer, text, unicode_words)})
        for (name, probe), text in zip(asked, texts, strict=True)
    ]


def _losses(evaluated: EvaluatedModel, texts: Sequence[tuple[str, Document]]) -> list[ItemScore]:
    documents = [document for _, document in texts]
    with shown_progress("RWKU texts", len(documents)) as advance:
        scores = document_scores(
            evaluated.model, evaluated.tokenizer, documents, 0, evaluated.config.batch_tokens, advance
        )
    return [
        ItemScore(group, score.id, {"loss_nats": score.loss_nats})
        for (group, _), score in zip(texts, scores, strict=True)
    ]
