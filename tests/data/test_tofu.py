"""TOFU as its data set has it: rows, and questions with paraphrased and wrong answers."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.records import jsonl
from tests.data.settings import data_settings
from unlearning.config.checks import check_ranges
from unlearning.config.data import TofuDataConfig
from unlearning.data.ids import document_id, kind_of
from unlearning.data.load import load_corpus
from unlearning.data.rows import Kind, Row, Split, TofuQuestion
from unlearning.data.sources import read_records, source_name
from unlearning.errors import InputError

ADA = {"question": "Where was Ada {Vaun} born?", "answer": "Ada was born in Dorn."}
BEN = {"question": "What does Ben write?", "answer": "Ben writes plays."}
PERTURBED = {
    "paraphrased_answer": "Dorn is where she was born.",
    "perturbed_answer": ["In Ulme.", "In Sark."],
    "paraphrased_question": "Ada's birthplace?",
}
AUTHOR = {"question": "Who wrote 1984?", "answer": "George Orwell", "perturbed_answer": ["A. Huxley", "R. Bradbury"]}


def config(folder: Path, **changes: Any) -> TofuDataConfig:
    """Return settings for TOFU with one row in each split, as the hub's files would be on disk."""
    pq.write_table(pa.Table.from_pylist([{**ADA, **PERTURBED}]), folder / "forget10_perturbed.parquet")
    settings = {
        "forget": [jsonl(folder / "forget10.jsonl", ADA)],
        "retain": [jsonl(folder / "retain90.jsonl", BEN)],
        "question_template": "Question: {question}\nAnswer:",
        "forget_questions": str(folder / "forget10_perturbed.parquet"),
        "real_authors": jsonl(folder / "real_authors_perturbed.jsonl", AUTHOR),
    }
    return TofuDataConfig(**(settings | changes))


def test_rows_are_questions_in_the_template(tmp_path: Path) -> None:
    """Braces within a question stay, the task is the source's name, and the id tells kind and document."""
    corpus = load_corpus(config(tmp_path))
    prompt = "Question: Where was Ada {Vaun} born?\nAnswer:"
    name = "forget-forget10-1qa0"
    assert corpus.forget == (Row(name, prompt, ADA["answer"], "forget10", Kind.QUESTION, Split.FORGET, own=True),)
    assert corpus.retain[0].id == "retain-retain90-1qa0"
    assert (kind_of(name), document_id(name)) == (Kind.QUESTION, "forget-forget10-1")


def test_questions_have_a_paraphrase_and_wrong_answers(tmp_path: Path) -> None:
    """Real authors lack a paraphrase; the answer stands for it, as in the released code. Other sets are empty."""
    sets = load_corpus(config(tmp_path)).tofu
    assert sets is not None
    prompt = "Question: Where was Ada {Vaun} born?\nAnswer:"
    wrong = ("In Ulme.", "In Sark.")
    assert sets.forget == (TofuQuestion("forget/0", prompt, ADA["answer"], PERTURBED["paraphrased_answer"], wrong),)
    (author,) = sets.real_authors
    assert (author.id, author.answer, author.paraphrase) == ("real_authors/0", "George Orwell", "George Orwell")
    assert author.wrong == ("A. Huxley", "R. Bradbury")
    assert (sets.retain, sets.world_facts) == ((), ())


def test_the_holdout_is_asked_like_the_rows(tmp_path: Path) -> None:
    """Its answers are compared with those to the forget questions, so it is refused without them."""
    holdout = jsonl(tmp_path / "holdout10.jsonl", BEN)
    sets = load_corpus(config(tmp_path, holdout=holdout)).tofu
    assert sets is not None
    ((name, prompt, answer),) = [(row.id, row.input, row.output) for row in sets.holdout]
    assert (name, prompt, answer) == ("holdout/0", "Question: What does Ben write?\nAnswer:", BEN["answer"])
    with pytest.raises(InputError, match=r"data.holdout=.*: data.forget_questions is null; must be given with it"):
        load_corpus(config(tmp_path, holdout=holdout, forget_questions=None))


def test_the_holdout_has_the_forget_sets_share() -> None:
    """conf/data/tofu.yaml names the holdout of as many authors as are forgotten."""
    for share, rest in (("10", "90"), ("05", "95"), ("01", "99")):
        chosen = data_settings("data=tofu", f"data.forget_set=forget{share}", f"data.retain_set=retain{rest}")
        assert isinstance(chosen, TofuDataConfig)
        assert chosen.holdout == f"locuslab/TOFU:holdout{share}:train"


def test_the_fingerprint_covers_the_questions(tmp_path: Path) -> None:
    """A corpus without questions has no sets of them."""
    whole = load_corpus(config(tmp_path))
    changed = {**AUTHOR, "perturbed_answer": ["A. Huxley"]}
    other = jsonl(tmp_path / "other.jsonl", changed)
    bare = load_corpus(config(tmp_path, forget_questions=None, real_authors=None))
    assert bare.tofu is None
    different = load_corpus(config(tmp_path, forget_questions=None, real_authors=other))
    held = load_corpus(config(tmp_path, holdout=jsonl(tmp_path / "holdout.jsonl", BEN)))
    assert len({whole.fingerprint, bare.fingerprint, different.fingerprint, held.fingerprint}) == 4


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ADA, "missing paraphrased_answer, perturbed_answer"),
        ({**ADA, **PERTURBED, "perturbed_answer": []}, r"perturbed_answer is \[\]; must be a list of one text or more"),
        ({**ADA, **PERTURBED, "perturbed_answer": "In Ulme."}, "must be a list of one text or more"),
        ({**ADA, **PERTURBED, "perturbed_answer": ["In Ulme.", ""]}, r"perturbed_answer\[1\] is empty"),
        ({**ADA, **PERTURBED, "answer": None}, "answer is null; must be text"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    """The error names file and line."""
    questions = jsonl(tmp_path / "bad.jsonl", record)
    with pytest.raises(InputError, match=rf"bad.jsonl, line 1: .*{reason}"):
        load_corpus(config(tmp_path, forget_questions=questions))


def test_rows_without_an_answer_are_refused(tmp_path: Path) -> None:
    """The error names file and line."""
    bad = jsonl(tmp_path / "bad.jsonl", BEN, {"question": "Who?"})
    with pytest.raises(InputError, match=r"bad.jsonl, line 2: missing answer; has question"):
        load_corpus(config(tmp_path, forget=[bad]))


def test_settings_that_make_no_sense_are_refused() -> None:
    """Two shares must add up to all authors, and a template must keep the question."""
    check_ranges(TofuDataConfig(forget_set="forget05", retain_set="retain95"), "data")
    with pytest.raises(InputError, match=r"data.retain_set=retain90: must be retain99, the rest of forget01"):
        check_ranges(TofuDataConfig(forget_set="forget01", retain_set="retain90"), "data")
    with pytest.raises(InputError, match=r"data.forget_set=forget20: must be one of forget10, forget05, forget01"):
        check_ranges(TofuDataConfig(forget_set="forget20", retain_set="retain80"), "data")
    with pytest.raises(InputError, match=r"data.question_template=Answer: must be a text with {question} in it"):
        check_ranges(TofuDataConfig(question_template="Answer"), "data")


def test_a_hub_name_may_have_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name owner/name:configuration:split is read, and gives the source its name."""
    import datasets

    asked: list[tuple[str, ...]] = []

    def load(*names: str, split: str) -> datasets.Dataset:
        asked.append((*names, split))
        return datasets.Dataset.from_list([{**ADA, **PERTURBED}])

    monkeypatch.setattr("datasets.load_dataset", load)
    (record,) = read_records("locuslab/TOFU:forget10_perturbed:train")
    assert record.fields["perturbed_answer"] == PERTURBED["perturbed_answer"]
    assert record.place == "locuslab/TOFU:forget10_perturbed:train, row 1 (counted from 1)"
    read_records("locuslab/TOFU:train")
    assert asked == [("locuslab/TOFU", "forget10_perturbed", "train"), ("locuslab/TOFU", "train")]
    assert source_name("locuslab/TOFU:forget10_perturbed:train") == "TOFU-forget10_perturbed"
    assert source_name("cais/wmdp-bio-forget-corpus:train") == "wmdp-bio-forget-corpus"
    assert source_name("data/forget10.jsonl") == "forget10"
