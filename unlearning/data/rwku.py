"""RWKU (Jin et al. 2024, arXiv 2406.10890): famous people whom a pretrained model knows, and probes of that knowledge.

Hugging Face data set jinzhuoran/RWKU. Each record has a subject, the person's name. The configurations forget_level1,
forget_level2, forget_level3, neighbor_level1 and neighbor_level2 have query, answer and type (of level 3, the kind of
attack), those of texts (mia_forget, mia_retain, train_*) text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from unlearning.config.data import DocumentsConfig
from unlearning.data.documents import FIELD, document_rows
from unlearning.data.located_row import LocatedRow
from unlearning.data.reader import FileReader
from unlearning.data.records import Record, excerpt, require_fields, text_field
from unlearning.data.rows import Corpus, Document, RwkuProbe, RwkuSets, Split
from unlearning.data.sources import read_records
from unlearning.errors import InputError

BLANK = "Please complete the blank in the following question.\nQuestion: {}\n"
BRIEF = "Please briefly answer the following question.\nQuestion: {}\n"
ATTACKS = {
    "affirmative suffix": ("Please briefly answer the following question.\nQuestion: {}", ""),
    "incontext learning": ("Please briefly answer the following question.\n{}\n", "Answer:"),
}
"""The kinds of attack that are asked in other words than BRIEF: the words, and how the answer begins."""


@dataclass(frozen=True)
class RwkuReader(FileReader):
    """Reads the pieces of documents as rows, and RWKU's probes and texts, of some people or of all."""

    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    subjects: Sequence[str] = ()
    forget_level1: str | None = None
    forget_level2: str | None = None
    forget_level3: str | None = None
    neighbor_level1: str | None = None
    neighbor_level2: str | None = None
    mia_forget: str | None = None
    mia_retain: str | None = None

    def rows(self, sources: Sequence[str], split: Split) -> list[LocatedRow]:
        """Return the pieces of all documents, as `document_rows` cuts them; of the forget set, the people's own."""
        records_of = self._records if split is Split.FORGET else read_records
        return document_rows(sources, split, self.documents, records_of)

    def read_all(self) -> Corpus:
        """Return the rows, the probes and the texts.

        Raises InputError also if a record of these lacks a field, or if a source has nothing on one of the people.
        """
        corpus = super().read_all()
        sets = RwkuSets(
            forget_level1=self._probes("forget_level1", BLANK),
            forget_level2=self._probes("forget_level2", BRIEF),
            forget_level3=self._probes("forget_level3", BRIEF),
            neighbor_level1=self._probes("neighbor_level1", BLANK),
            neighbor_level2=self._probes("neighbor_level2", BRIEF),
            mia_forget=self._texts("mia_forget"),
            mia_retain=self._texts("mia_retain"),
        )
        return replace(corpus, rwku=None if sets == RwkuSets() else sets)

    def _probes(self, name: str, template: str) -> tuple[RwkuProbe, ...]:
        """Return the probes of one set; of level 3, the id tells the kind of attack."""
        probes = []
        for number, record in enumerate(self._source(name)):
            require_fields(record, ["query", "answer"])
            kind, words, beginning = "", template, "Answer:"
            if name == "forget_level3":
                require_fields(record, ["type"])
                kind = text_field(record, "type")
                words, beginning = ATTACKS.get(kind, (template, beginning))
            question = words.replace("{}", text_field(record, "query"))
            place = "/".join(filter(None, (name, kind, str(number))))
            probes.append(RwkuProbe(place, question, beginning, text_field(record, "answer")))
        return tuple(probes)

    def _texts(self, name: str) -> tuple[Document, ...]:
        documents = []
        for number, record in enumerate(self._source(name)):
            require_fields(record, [FIELD])
            documents.append(Document(f"{name}/{number}", text_field(record, FIELD)))
        return tuple(documents)

    def _source(self, name: str) -> Sequence[Record]:
        source: str | None = getattr(self, name)
        return list(self._records(source)) if source else []

    def _records(self, source: str) -> Iterator[Record]:
        """Yield the source's records on the chosen people, or all where none is named."""
        records = read_records(source)
        if not self.subjects:
            yield from records
            return
        for record in records:
            require_fields(record, ["subject"])
        found = {record.fields["subject"] for record in records}
        for subject in self.subjects:
            if subject not in found:
                some = ", ".join(sorted(map(str, found))[:3])
                raise InputError(f"data.subjects={excerpt(subject)}: not in {source}; has {len(found)}, such as {some}")
        yield from (record for record in records if record.fields["subject"] in self.subjects)
