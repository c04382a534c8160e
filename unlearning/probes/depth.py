"""The depth probe: how much of a forgotten answer do the layers' states still carry, judged by the target model?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unlearning.config.probe import Measured
from unlearning.config.prompt import Supervised
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.ids import document_id
from unlearning.data.rows import Row
from unlearning.errors import InputError
from unlearning.evaluation.model_state import require_fits
from unlearning.probes.forget_answers import forget_rows
from unlearning.probes.patching import Losses, losses_by_patching
from unlearning.probes.probe import CurveScores, DoesNotApplyError, Measurement, ProbedModel, RowScore
from unlearning.progress.shown import shown_progress


@dataclass(frozen=True)
class DepthScore:
    """1 - UDS: the share of an answer that the states of a model's layers still carry, by activation patching.

    UDS is the Unlearning Depth Score (arXiv 2605.24614). Into the target model's run over question and answer, the
    output of layer l at the tokens that predict the answer is put from another model; D_l is the mean over these tokens
    of the fall of log p (`patching`). With D of the retrained model (D1) and of the model that is probed (D2):

        UDS = sum over l in K of D1_l clip(D2_l / D1_l, 0, 1) / sum over l in K of D1_l,    K = {l: D1_l > threshold}

    It is 0 for the target itself, and 1 for the retrained model. Questions without such a layer are left out. Only a
    model that was made of the target can be compared: another training run looks half forgotten.
    """

    threshold: float

    @property
    def title(self) -> str:
        """What is measured."""
        return "what the layers' states carry of the answer, put into the target"

    @property
    def measure(self) -> str:
        """The measure of what is left."""
        return "1 - UDS"

    def run(self, probed: ProbedModel) -> Measurement:
        """Return what is left of each question's answer, and layer by layer where the target knows it.

        Raises InputError for models of another number of layers or width, for a row that is too long, and for
        log-probabilities that are not a number.
        """
        if probed.compared is None:
            raise DoesNotApplyError("it takes a target and a retrained model")
        rows = forget_rows(probed.corpus, Measured.knowledge)
        encoded = self._encoded(probed, rows)
        target, retrained = probed.compared.target(), probed.compared.retrained()
        size, depth = probed.evaluation.batch_tokens, target.config.get_text_config().num_hidden_layers
        with shown_progress("patched layers", 2 * depth * len(rows)) as advance:
            known = losses_by_patching(target, retrained, encoded, size, advance)
            gone = losses_by_patching(target, probed.model, encoded, size, advance)
        for found in (known, gone):
            if np.isnan(found).any():
                place = int(np.isnan(found).any(0).argmax())
                raise InputError(f"row {rows[place].id}: log p is not a number (NaN); a model's weights are broken")
        return self.measurement(rows, known, gone)

    def measurement(self, rows: Sequence[Row], known: Losses, gone: Losses) -> Measurement:
        """Return the scores from D1 and D2, each (layers, rows). Raises DoesNotApplyError where K is always empty."""
        counted: NDArray[np.bool_] = np.greater(known, self.threshold)
        used = np.flatnonzero(counted.any(0)).tolist()
        if not used:
            raise DoesNotApplyError("patching in the retrained model costs the target nothing")
        weights = np.where(counted, known, 0.0)
        left = 1 - np.clip(np.divide(gone, known, out=np.zeros_like(gone), where=counted), 0.0, 1.0)
        scores = (weights * left).sum(0)[used] / weights.sum(0)[used]
        items = [_item(rows[place], score) for place, score in zip(used, scores, strict=True)]
        curve = [
            CurveScores(layer, [_item(rows[place], left[layer, place]) for place in np.flatnonzero(own).tolist()], [])
            for layer, own in enumerate(counted)
            if own.any()
        ]
        note = (
            f"{len(used)} of {len(rows)} questions have layers that count, on average {counted.sum(0)[used].mean():.1f}"
        )
        return Measurement(items, curve=curve, curve_over="layer", notes=[f"{note} of {len(counted)}"])

    def _encoded(self, probed: ProbedModel, rows: Sequence[Row]) -> list[EncodedRow]:
        prompt = replace(probed.prompt, append_eos=False, forget_supervised=Supervised.output)
        encoded = encode_rows(rows, probed.tokenizer, prompt)
        for row, tokens in zip(rows, encoded, strict=True):
            require_fits(probed.model, f"row {row.id}", len(tokens.input_ids), 0)
        return encoded


def _item(row: Row, score: float) -> RowScore:
    return RowScore(row.id, document_id(row.id), float(score))
