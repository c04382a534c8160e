"""Forget and retain rows, membership documents and utility questions, read and checked.

Bad input stops here: every complaint is an InputError of one line that names the file, the row and the
reason.
"""

from collections.abc import Sequence
from dataclasses import replace

from unlearning.config import DataConfig, DataSource
from unlearning.data.corpus import fingerprint
from unlearning.data.ids import document_id
from unlearning.data.mmlu import read_mmlu
from unlearning.data.placed import check_disjoint, read_placed
from unlearning.data.records import excerpt, require_fields, text_field
from unlearning.data.rows import Corpus, Document, Row, Split
from unlearning.data.sources import FORMS, read_records
from unlearning.errors import InputError

__all__ = ["load_corpus", "read_documents", "read_mmlu", "read_rows"]


def load_corpus(config: DataConfig) -> Corpus:
    """Everything that ``config`` names; for the sandbox, its generated world.

    ``max_documents_per_task`` cuts the forget and the retain rows only: membership documents and questions
    stay.

    Raises InputError if anything named cannot be read, if a row is in both sets, or if keys contradict each
    other.
    """
    corpus = _generate(config) if config.source is DataSource.sandbox else _read(config)
    limit = config.max_documents_per_task
    if limit is not None:
        corpus = replace(
            corpus,
            forget=_first_documents(corpus.forget, limit),
            retain=_first_documents(corpus.retain, limit),
        )
    return replace(corpus, fingerprint=fingerprint(corpus))


def read_rows(sources: Sequence[str], split: Split, source: DataSource) -> tuple[Row, ...]:
    """Rows of all sources, in order.

    Official rows (semeval, lume) have id, input, output and task; the id tells the kind. Rows of source jsonl
    need input and output only. There an id that tells no kind needs a "kind" ("sc" or "qa"); without an id
    the kind is "qa" if not given, and "forget-row7qa0" becomes the id of the seventh forget row; without a
    task it is told from the id, else it is Task1. A "split" column, where there is one, must agree with
    ``split``.

    Raises InputError if a source cannot be read or a row is not as described, or if an id stands twice.
    """
    return tuple(placed.row for placed in read_placed(sources, split, source))


def read_documents(path: str) -> tuple[Document, ...]:
    """Documents of the membership test: the text under "document", the name under "id", if there is one.

    Without it, the seventh document is named "document7".

    Raises InputError if the file cannot be read, a text is missing or empty, or an id stands twice.
    """
    documents: dict[str, Document] = {}
    for number, record in enumerate(read_records(path), start=1):
        require_fields(record, ["document"])
        name = text_field(record, "id") if "id" in record.fields else f"document{number}"
        if name in documents:
            raise record.error(f"id {excerpt(name)} stands twice")
        documents[name] = Document(name, text_field(record, "document"))
    return tuple(documents.values())


def _generate(config: DataConfig) -> Corpus:
    from unlearning.sandbox.world import generate

    for key in ("forget", "retain", "members", "nonmembers", "mmlu"):
        if value := getattr(config, key):
            raise InputError(f"data.{key}={value}: must be empty where data.source={config.source.name}")
    return generate(config.world)


def _read(config: DataConfig) -> Corpus:
    for split in Split:
        if not getattr(config, split.value):
            raise InputError(f"data.{split.value}: not given; must be a list, each {FORMS}")
    forget = read_placed(config.forget, Split.FORGET, config.source)
    retain = read_placed(config.retain, Split.RETAIN, config.source)
    check_disjoint(forget, retain)
    members, nonmembers = _read_membership(config)
    questions, examples = read_mmlu(config.mmlu) if config.mmlu else ((), ())
    return Corpus(
        forget=tuple(placed.row for placed in forget),
        retain=tuple(placed.row for placed in retain),
        members=members,
        nonmembers=nonmembers,
        questions=questions,
        examples=examples,
    )


def _first_documents(rows: Sequence[Row], limit: int) -> tuple[Row, ...]:
    """The rows of the first ``limit`` documents of each task, in file order."""
    kept: dict[str, set[str]] = {}
    chosen = []
    for row in rows:
        documents = kept.setdefault(row.task, set())
        name = document_id(row.id)
        if name in documents or len(documents) < limit:
            documents.add(name)
            chosen.append(row)
    return tuple(chosen)


def _read_membership(config: DataConfig) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    if not config.members and not config.nonmembers:
        return (), ()
    if not config.members or not config.nonmembers:
        missing = "members" if config.nonmembers else "nonmembers"
        raise InputError(f"data.{missing}: null; must be given with its counterpart, or both null")
    members, nonmembers = read_documents(config.members), read_documents(config.nonmembers)
    both = {document.text for document in members}
    for document in nonmembers:
        if document.text in both:
            raise InputError(f"{config.nonmembers}: text of {excerpt(document.id)} is in {config.members} too")
    return members, nonmembers
