"""A corpus's first documents, and its identity."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Row

OPTIONAL = ("unseen", "tofu", "muse", "wmdp", "rwku")
"""What most corpora do not have."""
NOT_GIVEN = (("own", False), ("subject", None), ("holdout", ()))
"""Fields of rows and of TOFU's sets at their default values."""


def first_documents(corpus: Corpus, limit: int | None) -> Corpus:
    """Return the corpus with the rows of the first `limit` documents of each task in each split; None: all rows.

    A member whose text is that of a forget row which is cut off is no member any more, and is left out.
    """
    if limit is None:
        return corpus
    forget, retain = (_first_rows(rows, limit) for rows in (corpus.forget, corpus.retain))
    cut = {_text(row) for row in corpus.forget} - {_text(row) for row in forget}
    members = tuple(document for document in corpus.members if document.text not in cut)
    return replace(corpus, forget=forget, retain=retain, members=members)


def _text(row: Row) -> str:
    """Return input and output as one text, as the membership test has it."""
    return f"{row.input} {row.output}"


def _first_rows(rows: Sequence[Row], limit: int) -> tuple[Row, ...]:
    """Return the rows of the first `limit` documents of each task, in file order."""
    kept: dict[str, set[str]] = {}
    chosen = []
    for row in rows:
        documents = kept.setdefault(row.task, set())
        name = document_id(row.id)
        if name in documents or len(documents) < limit:
            documents.add(name)
            chosen.append(row)
    return tuple(chosen)


def fingerprint(corpus: Corpus) -> str:
    """Return the SHA-256, in hexadecimal, of every field but the fingerprint itself; the order of rows counts.

    JSON with fixed separators delimits the fields, so that no two corpora are the same bytes. What a corpus does not
    have and what rows do not say are left out: what is new in the code does not change the fingerprints of corpora
    without it.
    """
    content = asdict(corpus, dict_factory=lambda items: {name: value for name, value in items if _counts(name, value)})
    del content["fingerprint"], content["notes"]
    for name in OPTIONAL:
        if not content[name]:
            del content[name]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _counts(name: str, value: object) -> bool:
    return (name, value) not in NOT_GIVEN
