"""The scores of all patches of one batch, from one forward pass of the receiver."""

from collections.abc import Mapping

from torch import Tensor

from unlearning.mediation.batch_edits import entering_edits, output_edits
from unlearning.mediation.first_layer import first_layer_outputs
from unlearning.mediation.hooks import edited_outputs, joining_rows, skipped_before
from unlearning.mediation.model_parts import PartKey
from unlearning.mediation.patch_batch import Patch, PatchBatch
from unlearning.mediation.prefix import PrefixCache
from unlearning.mediation.result import Scores
from unlearning.mediation.runs import RunRecord, TracedRun
from unlearning.mediation.scoring import answer_cells, answer_scores, answer_states


def patched_scores(
    batch: PatchBatch, receiver: TracedRun, received: RunRecord, outputs: Mapping[PartKey, Tensor]
) -> dict[Patch, Scores]:
    """Return the scores (D, M) of every patch of the batch.

    `received` is the record of the receiver without patches; `outputs` are the donors' recorded outputs. The score of
    a patch is the unpatched run's recorded score plus the difference between patched and unpatched rows of this batch.
    In half precision the shape of a batch changes the rounding of all its rows alike, and this cancels it.
    """
    parts = receiver.parts
    first = batch.first if parts.caches else 0
    rows = [fact * receiver.rows + row for fact in batch.facts for row in range(receiver.rows)]
    prefix = [(keys[rows, :, :first], values[rows, :, :first]) for keys, values in received.prefix]
    first_outputs = first_layer_outputs(batch, receiver, prefix, outputs, first)
    origins = batch.origins()
    cache = PrefixCache(prefix, [origins] * parts.depth) if first else None
    unpatched_facts = [receiver.facts[fact] for fact in batch.facts for _ in range(receiver.rows)]
    facts = [unpatched_facts[origin] for origin in origins.tolist()]
    cells = answer_cells(facts)
    edits = {parts.inner[key]: edit for key, edit in output_edits(batch, outputs, first, parts.depth).items()}
    ids = receiver.tokens(batch.facts, first)
    entering = entering_edits(batch, outputs, first_outputs, first)
    with (
        joining_rows([*parts.layers, parts.norm], batch.joining(), entering, len(rows)),
        skipped_before(parts.last_mlp, int(cells[1].min()) - first, ids.shape[1]),
        edited_outputs(receiver.corruption(batch.facts, first) | edits, ids.shape[1]),
    ):
        states = answer_states(parts, ids, cells, cache, first)
    scores = answer_scores(parts, states, cells, facts).double().cpu()
    unpatched = received.scores.flatten(0, 1)[rows]
    exact = (scores - scores[origins] + unpatched[origins]).numpy()
    return {item.patch: exact[item.rows] for item in batch.patch_rows}
