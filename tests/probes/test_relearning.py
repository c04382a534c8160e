"""The relearning probe: the documents trained on, the documents asked, and the training itself."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from tests.evaluation.tiny import byte_model
from tests.probes.test_restoration import relearning
from tests.probes.world import corpus, probed
from unlearning.config.optimizer import Decay, OptimizerConfig
from unlearning.config.probe import Measured, RelearnOn, RelearnRows
from unlearning.data.encoding import encode_rows
from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.probes import relearning as module
from unlearning.probes.fine_tuning import FineTuning
from unlearning.probes.probe import DoesNotApplyError, ProbedModel, RowScore
from unlearning.scopes.layers import AllScope


def documents(rows: list[Row]) -> set[str]:
    """Return the names of the rows' documents."""
    return {document_id(row.id) for row in rows}


@pytest.mark.parametrize(("fraction", "count"), [(0.05, 1), (0.25, 3), (0.9, 9)])
def test_whole_documents_are_drawn(fraction: float, count: int) -> None:
    """ceil(fraction * 10) of ten documents are drawn with all their rows; from the retain set as many."""
    for source in RelearnOn:
        probe = replace(relearning(source), fraction=fraction)
        rows = probe.trained_on(corpus())
        assert len(documents(rows)) == count
        assert len(rows) == 3 * count
        assert {row.split.value for row in rows} == {source.value}
        assert documents(replace(probe, seed=3).trained_on(corpus())) != documents(rows) or count == 9


def test_what_was_shown_again_is_kept_apart() -> None:
    """The value is over the held-out documents; both groups are measured before and after training."""
    found = relearning().run(probed())
    assert [point.effort for point in found.curve] == [0, 1, 2]
    shown = documents(relearning().trained_on(corpus()))
    assert len(shown) == 2
    for point in found.curve:
        assert {item.document for item in point.beside} == shown
        assert len(point.beside) == 4
        assert len(point.asked) == 16
    assert {item.document for item in found.items}.isdisjoint(shown)
    assert found.notes == ["6 rows of 2 forget documents, lr 0.05"]


def test_after_training_on_retain_rows_all_are_asked() -> None:
    """No forget document was trained on."""
    found = relearning(RelearnOn.retain).run(probed())
    assert len(found.items) == 20
    assert not any(point.beside for point in found.curve)


def test_rows_of_one_kind_are_trained_on() -> None:
    """Of two documents: their four questions, or their two completions; without any the probe does not apply."""
    for rows, kinds in ((RelearnRows.questions, [Kind.QUESTION] * 4), (RelearnRows.completions, [Kind.COMPLETION] * 2)):
        probe = replace(relearning(RelearnOn.retain), rows=rows)
        assert [row.kind for row in probe.trained_on(corpus())] == kinds
    alone = tuple(row for row in corpus().retain if row.kind is Kind.QUESTION)
    with pytest.raises(DoesNotApplyError, match="the retain documents that were drawn have no completions"):
        probe.trained_on(replace(corpus(), retain=alone))


def test_the_ends_of_epochs() -> None:
    """Six rows, four a step: two steps are an epoch."""
    probe = replace(relearning(), epochs=3)
    assert probe.asked_after(6) == [2, 4, 6]
    assert probe.title == "up to 3 epochs on 20% of the forget documents; the others are asked"
    assert replace(probe, epochs=None).asked_after(6) == [1, 2]


def test_completions_can_be_asked() -> None:
    """Each document has one completion."""
    assert len(replace(relearning(), measured=Measured.regurgitation).run(probed()).items) == 8


def test_the_value_is_the_best_after_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value before training does not count: of 0.9 at first, then 0.5 and 0.25, the value is 0.5."""
    scores = iter([0.9, 0.5, 0.25])

    def known(asked: ProbedModel, rows: list[Row]) -> list[RowScore]:
        assert asked
        score = next(scores)
        return [RowScore(row.id, document_id(row.id), score) for row in rows]

    monkeypatch.setattr(module, "score_rows", known)
    assert {item.score for item in relearning().run(probed()).items} == {0.5}


def test_enough_steps_on_a_document_teach_it() -> None:
    """A random model that is trained on one person 60 times answers both questions about this person."""
    probe = replace(relearning(), fraction=0.1, steps=[60], lr=0.01, batch_rows=3)
    asked = probed()
    asked = replace(asked, evaluation=replace(asked.evaluation, max_new_tokens=16))
    point = probe.run(asked).curve[-1]
    assert [item.score for item in point.beside] == [1.0, 1.0]


def test_a_step_is_that_of_plain_adamw() -> None:
    """Three rows in one step, against a Transformers model and torch's own AdamW, clipped at norm 1.

    The loss is the mean over rows of the mean cross-entropy of the answer's tokens. In float64, because AdamW's first
    step is about lr times the gradient's sign, whatever its size.
    """
    asked = probed(byte_model("olmo"))
    encoded = encode_rows(asked.corpus.forget[:3], asked.tokenizer, asked.prompt)
    plain = copy.deepcopy(asked.model).train()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.0)
    losses = []
    for row in encoded:
        ids = torch.tensor([row.input_ids])
        logits = plain(input_ids=ids).logits[0, row.supervised_from - 1 : -1]
        losses.append(functional.cross_entropy(logits, ids[0, row.supervised_from :]))
    torch.stack(losses).mean().backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    optimizer.step()
    settings = OptimizerConfig(lr=0.01, decay=Decay.constant)
    AllScope().apply(asked.model, None)
    FineTuning(encoded, 1, 3, settings, 0, 1).run(asked.model, asked.trainer, [1], lambda _: None)
    for ours, theirs in zip(asked.model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5), (ours - theirs).abs().max()


def test_the_rate_goes_with_the_width() -> None:
    """The rate of a model of width 32 is 0.02 / 32 = 0.000625."""
    found = replace(relearning(), lr=None).run(probed())
    assert found.notes[0].endswith("lr 0.00063")


def test_too_small_sets_are_said_to_be() -> None:
    """The probe needs two forget documents, retain rows for the retain source, and questions for knowledge."""
    with pytest.raises(DoesNotApplyError, match="1 documents, too few to train on 1"):
        relearning().run(probed(count=1))
    asked = probed()
    with pytest.raises(DoesNotApplyError, match="retain set has 0 documents"):
        relearning(RelearnOn.retain).run(replace(asked, corpus=Corpus(asked.corpus.forget, ())))
    completions = tuple(row for row in asked.corpus.forget if row.kind == "sc")
    with pytest.raises(DoesNotApplyError, match="no questions"):
        relearning().run(replace(asked, corpus=Corpus(completions, ())))
