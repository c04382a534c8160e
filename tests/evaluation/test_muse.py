"""MUSE's metrics: by hand, and on a model compared with one text at a time."""

from dataclasses import replace

import pytest
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import PreTrainedModel

from tests.evaluation.tiny import TEXTS, byte_model, byte_tokenizer, greedy_text
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus, Document, Kind, MuseSets, Row, Split
from unlearning.errors import InputError
from unlearning.evaluation.distribution import Share, merge_shares
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.metrics import MUSE_METRICS
from unlearning.evaluation.muse import (
    KNOWLEDGE_TOKENS,
    VERBATIM_TOKENS,
    answer_part,
    muse,
    muse_metrics,
    rouge_l_f1,
)
from unlearning.evaluation.result import ItemScore

SCORER = RougeScorer(["rougeL"], use_stemmer=False)


def row(name: str, prompt: str, answer: str, kind: Kind = Kind.QUESTION) -> Row:
    """Return a passage or a question."""
    return Row(name, prompt, answer, "muse", kind, Split.FORGET)


SETS = MuseSets(
    verbatim=(
        row("verbatim/0", TEXTS[0][:40], TEXTS[0][40:], Kind.COMPLETION),
        row("verbatim/1", TEXTS[2][:30], TEXTS[2][30:], Kind.COMPLETION),
    ),
    forget=(row("forget/0", "Question: Who keeps the shop?\nAnswer: ", "Marcelo"),),
    retain=(
        row("retain/0", "Question: Where?\nAnswer: ", "Orvany"),
        row("retain/1", "Question: What?\nAnswer: ", "tea"),
    ),
)
MEMBERS = tuple(Document(f"m{number}", text) for number, text in enumerate(TEXTS[:2]))
OTHERS = tuple(Document(f"n{number}", text) for number, text in enumerate(TEXTS[2:]))


def measured(
    model: PreTrainedModel,
    sets: MuseSets | None = SETS,
    batch_tokens: int = 900,
    members: tuple[Document, ...] = MEMBERS,
) -> EvaluatedModel:
    """Return the model with the tiny tokenizer, its data and its settings."""
    corpus = Corpus((), (), members=members, nonmembers=OTHERS, muse=sets)
    return EvaluatedModel(model, byte_tokenizer(), corpus, EvaluationConfig(batch_tokens=batch_tokens), PromptConfig())


def losses(group: str, *values: float) -> list[ItemScore]:
    """Return documents with these Min-40% losses."""
    return [ItemScore(group, str(number), {"min_40_nats": value}) for number, value in enumerate(values)]


def test_f1_by_hand() -> None:
    """Two of three expected words come among four: 2 * 2 / (3 + 4). "running" and "run" are different words."""
    assert rouge_l_f1("the cat sat", "the black cat slept") == pytest.approx(4 / 7)
    assert rouge_l_f1("running", "run") == 0
    assert rouge_l_f1("same words", "Same words!") == 1
    assert rouge_l_f1("", "a") == rouge_l_f1("a", "?") == 0


def test_f1_is_that_of_rouge_score() -> None:
    """Both are equal on all pairs of texts."""
    for expected in TEXTS:
        for generated in (*TEXTS, TEXTS[0][20:] + TEXTS[1]):
            assert rouge_l_f1(expected, generated) == pytest.approx(
                SCORER.score(expected, generated)["rougeL"].fmeasure
            )


def test_metrics_by_hand() -> None:
    """Each group has its mean; the leakage compares with the reference's documents."""
    items = [ItemScore("verbatim", str(value), {"rouge_f1": value}) for value in (0.5, 1.0)]
    items += [ItemScore("knowledge_retain", "a", {"rouge_f1": 0.25})]
    items += losses("members", 1, 1) + losses("nonmembers", 2, 0)
    reference = losses("members", 3, 1) + losses("nonmembers", 2, 0)
    assert muse_metrics(items, reference) == {
        "muse_verbatim": 0.75,
        "muse_knowledge_forget": None,
        "muse_knowledge_retain": 0.25,
        "muse_auc": 0.5,
        "muse_privacy_leakage": pytest.approx(-100 / 3),
    }
    assert set(muse_metrics([], None)) == set(MUSE_METRICS)
    assert muse_metrics(items, None)["muse_privacy_leakage"] is None


def test_an_answer_ends_before_the_next_question() -> None:
    """An answer is cut at the first of the ends, wherever it stands."""
    assert answer_part(" Selby\n\nQuestion: Who") == " Selby"
    assert answer_part("Selby\nQuestion 7\n\n") == "Selby"
    assert answer_part("Selby Question: Who?") == "Selby "
    assert answer_part("Selby\nand Wilson") == "Selby\nand Wilson"


@torch.no_grad()
def naive_min_k(model: PreTrainedModel, text: str) -> float:
    """Return the loss of one document, from all its tokens' losses in order."""
    ids = byte_tokenizer()(text)["input_ids"]
    logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    nats = sorted((-logs[place - 1, ids[place]].item() for place in range(1, len(ids))), reverse=True)
    chosen = nats[: int((len(ids) - 1) * 0.4)]
    return sum(chosen) / len(chosen)


def said(model: PreTrainedModel, item: Row, tokens: int) -> str:
    """Return the first tokens of what the model says."""
    return greedy_text(model, byte_tokenizer(), item.input, tokens, {0})


@pytest.mark.by_default("9000")
@pytest.mark.parametrize("batch_tokens", [1, 9000])
def test_a_model_is_asked_one_text_at_a_time(batch_tokens: int) -> None:
    """True continuations are cut to as many tokens; answers end before the next question."""
    model, tokenizer = byte_model("olmo", 3), byte_tokenizer()
    expected = []
    for item in SETS.verbatim:
        truth = tokenizer.decode(tokenizer(item.output)["input_ids"][:VERBATIM_TOKENS])
        expected.append(("verbatim", item.id, rouge_l_f1(truth, said(model, item, VERBATIM_TOKENS))))
    for group, rows in (("knowledge_forget", SETS.forget), ("knowledge_retain", SETS.retain)):
        for item in rows:
            text = answer_part(said(model, item, KNOWLEDGE_TOKENS))
            expected.append((group, item.id, rouge_l_f1(item.output, text)))
    for group, documents in (("members", MEMBERS), ("nonmembers", OTHERS)):
        expected += [(group, document.id, naive_min_k(model, document.text)) for document in documents]
    found = muse(measured(model, batch_tokens=batch_tokens))
    assert [(item.group, item.id) for item in found] == [(group, name) for group, name, _ in expected]
    assert [next(iter(item.values.values())) for item in found] == pytest.approx([score for *_, score in expected])


def test_what_follows_the_answer_counts() -> None:
    """A model that says the passage and goes on has a recall of 1 and an F1 below it."""
    model = byte_model("olmo", 3)
    text = said(model, SETS.verbatim[0], VERBATIM_TOKENS)
    words = SCORER._tokenizer.tokenize(text)
    assert len(words) > 4
    known = row("verbatim/0", SETS.verbatim[0].input, " ".join(words[:2]), Kind.COMPLETION)
    (item, *_) = muse(measured(model, MuseSets(verbatim=(known,))))
    assert item.values["rouge_f1"] == pytest.approx(2 * 2 / (2 + len(words)))


def test_a_true_continuation_is_cut_too() -> None:
    """The true continuation is cut to as many tokens as are generated."""
    model, tokenizer = byte_model("olmo", 3), byte_tokenizer()
    text = said(model, SETS.verbatim[0], VERBATIM_TOKENS)
    whole = text + " and so on" * 60
    known = row("verbatim/0", SETS.verbatim[0].input, whole, Kind.COMPLETION)
    (item, *_) = muse(measured(model, MuseSets(verbatim=(known,))))
    cut = tokenizer.decode(tokenizer(whole)["input_ids"][:VERBATIM_TOKENS])
    assert item.values["rouge_f1"] == pytest.approx(rouge_l_f1(cut, text))
    assert rouge_l_f1(cut, text) > rouge_l_f1(whole, text)


def test_processes_share_what_is_asked() -> None:
    """The processes together have every item once, in order."""
    whole = measured(byte_model("olmo", 3))
    alone = muse(whole)
    shares = merge_shares([muse(replace(whole, share=Share(rank, 3))) for rank in range(3)])
    assert [(item.group, item.id) for item in shares] == [(item.group, item.id) for item in alone]
    for mine, theirs in zip(shares, alone, strict=True):
        assert mine.values == pytest.approx(theirs.values)


def test_without_questions_there_is_nothing() -> None:
    """Without MUSE's questions the membership documents are not scored for MUSE."""
    assert muse(measured(byte_model("olmo"), None)) == []


@pytest.mark.parametrize(
    ("text", "reason"), [("a", "document d: 1 token; must have 2"), ("ab " * 2000, r"document d: .* context of 1024")]
)
def test_documents_that_cannot_be_scored_are_named(text: str, reason: str) -> None:
    """The same documents are refused as in the membership test."""
    with pytest.raises(InputError, match=reason):
        muse(measured(byte_model("olmo"), MuseSets(), members=(Document("d", text),)))


def test_broken_weights_name_the_document() -> None:
    """Broken weights are refused with the name of the document."""
    model = byte_model("olmo")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"document m0: the model's loss is not a number"):
        muse(measured(model, MuseSets()))
