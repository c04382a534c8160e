"""The documents of the membership test."""

from unlearning.data.records import excerpt, require_fields, text_field
from unlearning.data.rows import Document
from unlearning.data.sources import read_records
from unlearning.errors import InputError


def read_membership(
    members: str | None, nonmembers: str | None, field: str
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Return the documents of both sources; none where both are null.

    Raises InputError if only one of the two is given, if one cannot be read, or if a text is in both.
    """
    if not members and not nonmembers:
        return (), ()
    if not members or not nonmembers:
        missing = "members" if nonmembers else "nonmembers"
        raise InputError(f"data.{missing}: null; must be given with its counterpart, or both null")
    inside, outside = read_documents(members, field), read_documents(nonmembers, field)
    texts = {document.text for document in inside}
    for document in outside:
        if document.text in texts:
            raise InputError(f"{nonmembers}: text of {excerpt(document.id)} is in {members} too")
    return inside, outside


def read_documents(source: str, field: str = "document") -> tuple[Document, ...]:
    """Return the source's documents: the text under `field`, the name under "id".

    Without an id, the seventh document is named "document7".

    Raises InputError if the source cannot be read, a text is missing or empty, or an id stands twice.
    """
    documents: dict[str, Document] = {}
    for number, record in enumerate(read_records(source), start=1):
        require_fields(record, [field])
        name = text_field(record, "id") if "id" in record.fields else f"document{number}"
        if name in documents:
            raise record.error(f"id {excerpt(name)} stands twice")
        documents[name] = Document(name, text_field(record, field))
    return tuple(documents.values())
