"""What the framework's metrics say of one model's knowledge of the forget set."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.api.configuration import compose
from unlearning.config.build import build
from unlearning.config.commands import ProbeCommandConfig
from unlearning.config.probe import Measured
from unlearning.config.prompt import Supervised
from unlearning.data.encoding import encode_rows
from unlearning.data.rows import Corpus
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.membership import membership_metrics
from unlearning.evaluation.memorisation import memorisation_metrics
from unlearning.evaluation.parts import PARTS
from unlearning.evaluation.semeval import mean_scores
from unlearning.probes.depth import DepthScore
from unlearning.probes.forget_answers import forget_rows
from unlearning.probes.patching import Losses, losses_by_patching
from unlearning.probes.probe import ProbedModel

EVALUATION = (
    *("forget_knowledge", "forget_regurgitation", "forget_extraction_strength", "forget_exact_memorisation"),
    *("mia_auc", "mia_auc_min_k_plus", "mia_score", "retain_knowledge"),
)
"""Metrics of an evaluation. The last one says nothing of the forget set: it tells which models are still of use."""
LEAKS = (1, 128)
"""Numbers of samples of leak@k."""
COLUMNS = (*EVALUATION, "paraphrased", "recognition", *(f"leak_{count}" for count in LEAKS), "depth")
"""All numbers of a model, by the names of metrics and probes."""
WORDS = [
    "model.path=.",
    "probe=[paraphrased,recognition,leakage,depth]",
    f"probes.leakage.counts=[{','.join(map(str, LEAKS))}]",
    "probes.leakage.spellings=4",
    "trainer=cpu",
]
"""Words of `unlearn-probe`."""


@dataclass(frozen=True)
class Scorer:
    """All that models are measured with."""

    corpus: Corpus
    tokenizer: PreTrainedTokenizerBase
    target: PreTrainedModel
    settings: ProbeCommandConfig
    known: Losses
    """What each layer's states of the retrained model cost the target: D1 of the depth score."""

    def numbers(self, model: PreTrainedModel) -> dict[str, float]:
        """Return the model's COLUMNS."""
        model.eval()
        settings = self.settings
        evaluated = EvaluatedModel(model, self.tokenizer, self.corpus, settings.evaluation, settings.prompt)
        scores = {name: PARTS[name].measure(evaluated) for name in ("generations", "membership", "memorisation")}
        found = {
            **mean_scores(scores["generations"]),
            **membership_metrics(scores["membership"], None),
            **memorisation_metrics(scores["memorisation"]),
            **self._probes(model),
        }
        return {key: _number(found, key) for key in COLUMNS}

    def _probes(self, model: PreTrainedModel) -> dict[str, float]:
        """Return the value of each probe; of leakage those of all LEAKS."""
        settings, found = self.settings, {}
        probed = ProbedModel(model, self.tokenizer, self.corpus, settings.prompt, settings.evaluation, settings.trainer)
        for name, config in settings.probes.items():
            probe = build(config)
            if isinstance(probe, DepthScore):
                gone = patched(self.target, model, self.corpus, self.tokenizer, settings)
                measured = probe.measurement(forget_rows(self.corpus, Measured.knowledge), self.known, gone)
            else:
                measured = probe.run(probed)
            found[name] = fmean(item.score for item in measured.items)
            if name == "leakage":
                found |= {f"leak_{point.effort}": fmean(item.score for item in point.asked) for point in measured.curve}
        return found


def make_scorer(
    corpus: Corpus, tokenizer: PreTrainedTokenizerBase, target: PreTrainedModel, retrained: PreTrainedModel
) -> Scorer:
    """Return what measures models that are compared with these two."""
    settings: ProbeCommandConfig = compose(WORDS, "probe").settings
    return Scorer(corpus, tokenizer, target, settings, patched(target, retrained, corpus, tokenizer, settings))


def patched(
    target: PreTrainedModel,
    source: PreTrainedModel,
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    settings: ProbeCommandConfig,
) -> Losses:
    """Return what each layer's states of `source` cost the target (layers, questions), as the depth probe has it.

    The probe computes this of the retrained model for every model anew; here it is computed once.
    """
    prompt = replace(settings.prompt, append_eos=False, forget_supervised=Supervised.output)
    rows = encode_rows(forget_rows(corpus, Measured.knowledge), tokenizer, prompt)
    return losses_by_patching(target, source, rows, settings.evaluation.batch_tokens, lambda _: None)


def _number(found: Mapping[str, float | None], key: str) -> float:
    value = found[key]
    assert value is not None, key
    return value
