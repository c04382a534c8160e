"""What a run would train: its rows, its steps and the weights that move. All of it is known before weights are read."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.compatibility import require_layer_in_reach
from unlearning.config.objective_choices import BOTH_ANSWERS, Answers
from unlearning.config.scope import ScopeConfig
from unlearning.data.answers import invented_rows, other_rows, random_rows, refused_rows, repeated_rows
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus, Row
from unlearning.errors import InputError
from unlearning.models import anatomy
from unlearning.models.capabilities import capabilities
from unlearning.objectives.base import Objective
from unlearning.schedules.plan import PlanStep, Schedule
from unlearning.scopes.scope import Scope
from unlearning.training.checker import rows_to_check
from unlearning.training.row_model import first_trained_layer, plain_model
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.step_layout import layout_of
from unlearning.training.table_sizes import ReferenceSize, reference_kinds, reference_size
from unlearning.training.task import ComparedRows


@dataclass(frozen=True)
class PlannedTraining:
    """What a run would train."""

    objective: Objective
    rows: TrainingRows
    steps: list[PlanStep]
    """All steps of the schedule, whatever trainer.max_steps says."""
    compared: ComparedRows | None
    """What a moving ceiling looks at; None: the ceiling stays."""


def plan_training(
    config: UnlearnConfig,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    invented: Sequence[str] | None = None,
) -> PlannedTraining:
    """Return the rows and steps of a run.

    `invented` are the answers that the model invented to the forget rows; None: it has not been asked.

    Raises InputError for rows that cannot be encoded, for sets of which the schedule makes no steps, and where no
    forget row is like the unseen rows.
    """
    objective: Objective = build(config.objective)
    schedule: Schedule = build(config.schedule)
    rows = training_rows(objective.forget_answers, corpus, tokenizer, config, invented)
    forget_tokens, retain_tokens = ([len(row.input_ids) for row in of_set] for of_set in (rows.forget, rows.retain))
    steps = schedule.plan(forget_tokens, retain_tokens, config.ratio.retain_per_forget, config.seed)
    return PlannedTraining(objective, rows, steps, _compared(corpus, tokenizer, config))


def training_rows(
    answers: Answers,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    config: UnlearnConfig,
    invented: Sequence[str] | None,
) -> TrainingRows:
    """Return the encoded rows, with the answers that the objective asks for.

    Raises InputError for rows that cannot be encoded.
    """
    rows, prompt, seed = corpus.forget, config.prompt, config.seed
    retain = encode_rows(corpus.retain, tokenizer, prompt)
    if answers is Answers.own:
        return TrainingRows(encode_rows(rows, tokenizer, prompt), (), retain)
    if answers is Answers.random:
        return TrainingRows(random_rows(rows, tokenizer, prompt, seed), (), retain)
    if answers is Answers.repeated:
        return TrainingRows(repeated_rows(rows, tokenizer, prompt), (), retain)
    if answers is Answers.own_and_invented:
        alternates = invented_rows(rows, invented, tokenizer, prompt, seed)
        return TrainingRows(encode_rows(rows, tokenizer, prompt), alternates, retain)
    replaced = other_rows if answers in (Answers.other, Answers.own_and_other) else refused_rows
    others = replaced(rows, tokenizer, prompt, seed)
    if answers in BOTH_ANSWERS:
        return TrainingRows(encode_rows(rows, tokenizer, prompt), others, retain)
    return TrainingRows(others, (), retain)


def _compared(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, config: UnlearnConfig) -> ComparedRows | None:
    """Return unseen rows and the forget rows like them, for a ceiling that moves; None where it stays."""
    if not config.objective.ceiling_follows_unseen:
        return None
    alike = _alike(corpus.forget, corpus.unseen)
    encoded = (encode_rows(rows, tokenizer, config.prompt) for rows in (alike, corpus.unseen))
    return ComparedRows(*encoded)


def _alike(forget: Sequence[Row], unseen: Sequence[Row]) -> list[Row]:
    """Return the forget rows of the tasks and kinds that unseen rows have: a question's loss is not a document's.

    Raises InputError where there is none.
    """
    wanted, own = ({(row.task, row.kind) for row in rows} for rows in (unseen, forget))
    if not wanted & own:
        has, must = (", ".join(f"{task} {kind}" for task, kind in sorted(pairs)) for pairs in (wanted, own))
        raise InputError(f"data.unseen: rows of {has}; some must be like forget rows, of {must}")
    return [row for row in forget if (row.task, row.kind) in wanted]


def scoped_model(
    scope: ScopeConfig, model: PreTrainedModel, objective: Objective, layers: Sequence[int] | None
) -> nn.Module:
    """Freeze all weights of the model that are not trained, and return it, with its adapters where it gets any.

    `layers` are those that a trace chose; None where no layers are traced. Raises InputError where the scope does not
    fit the model or the objective.
    """
    applied: Scope = build(scope)
    scoped = applied.apply(model, layers)
    if objective.layer is not None:
        _freeze_after_layer(scoped, objective.layer)
    return scoped


def require_trainable_scope(config: UnlearnConfig, model: PreTrainedModel) -> None:
    """Raise InputError where no choice of layers by a trace would fit the model; its weights need not be there."""
    scope: Scope = build(config.scope)
    scope.require_fits(model)
    objective: Objective = build(config.objective)
    if objective.layer is not None:
        require_layer_in_reach(objective.layer, 0, len(anatomy.layers(model)))


def planned_layout(config: UnlearnConfig, planned: PlannedTraining, scoped: nn.Module, pad: int) -> StepLayout:
    """Return how the steps become forward passes, as far as it is known without weights."""
    model = plain_model(scoped)
    steps, packs = planned.steps[: config.trainer.max_steps], capabilities(model).packs
    apart = config.optimizer.sam_radius > 0
    return layout_of(model, planned.objective, planned.rows, pad, config.trainer, steps, packs, apart)


def planned_reference(
    config: UnlearnConfig, planned: PlannedTraining, scoped: nn.Module, steps: Sequence[PlanStep], layout: StepLayout
) -> ReferenceSize:
    """Return the size of what the model says before unlearning, for the rows of these steps and of checks."""
    used = list(steps)
    if config.stopping.check_every_steps is not None:
        used.append(rows_to_check(len(planned.rows.forget), len(planned.rows.retain), config.stopping))
    kinds = reference_kinds(planned.objective, used, planned.rows, layout)
    return reference_size(plain_model(scoped), planned.objective, kinds, planned.rows)


def _freeze_after_layer(model: nn.Module, layer: int) -> None:
    """Freeze everything after the layer that the objective uses: it gets no gradient, and devices would wait for one.

    Raises InputError where nothing else is to be trained, or where the model has no such layer.
    """
    inside = plain_model(model)
    layers = anatomy.layers(inside)
    require_layer_in_reach(layer, first_trained_layer(inside), len(layers))
    for module in (*layers[layer + 1 :], *anatomy.head_modules(inside)):
        for weight in module.parameters():
            if weight is not inside.get_input_embeddings().weight:
                weight.requires_grad_(False)
