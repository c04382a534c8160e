"""Which rows, and the world that the sandbox generates."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from unlearning.config.checks import require


class DataSource(StrEnum):
    """Who wrote the rows, and therefore how they are read."""

    sandbox = "sandbox"
    semeval = "semeval"
    lume = "lume"
    jsonl = "jsonl"


@dataclass
class WorldConfig:
    """The sandbox's generated world; the same numbers give the same world, to the last byte."""

    seed: int = 0
    documents_per_task: int = 24
    """Documents a task and a split: this many forget documents and as many retain documents."""
    nonmember_documents: int = 48
    """Documents of Task3's kind that no model is trained on."""
    known_entities: int = 60
    """Entities of general knowledge that are asked about; each has four facts, so four questions an entity."""
    teaching_entities: int = 60
    """Entities whose facts appear in every phrasing, so that a model can learn what the phrasings mean."""

    def __post_init__(self) -> None:
        for key in ("documents_per_task", "nonmember_documents", "known_entities", "teaching_entities"):
            require(getattr(self, key) >= 1, f"data.world.{key}", getattr(self, key), "1 or more")


@dataclass
class DataConfig:
    """Forget and retain rows, membership documents and utility questions."""

    source: DataSource = MISSING
    world: WorldConfig = field(default_factory=WorldConfig)
    """Only for source=sandbox."""
    forget: list[str] = field(default_factory=list)
    """Files (parquet, JSONL) or Hugging Face names ("owner/name:split") of the forget rows."""
    retain: list[str] = field(default_factory=list)
    members: str | None = None
    """JSONL of documents the target was trained on (key "document"); null: no membership score."""
    nonmembers: str | None = None
    mmlu: str | None = None
    """Folder with MMLU's dev.parquet and test.parquet; null: no utility score."""
    max_documents_per_task: int | None = None
    """Keep only the first so many documents of each task in each split (all rows of a document stay together)."""

    def __post_init__(self) -> None:
        limit = self.max_documents_per_task
        require(limit is None or limit >= 1, "data.max_documents_per_task", limit, "1 or more, or null for all")
