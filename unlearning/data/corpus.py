"""The identity of a corpus."""

import hashlib
import json
from dataclasses import asdict

from unlearning.data.rows import Corpus


def fingerprint(corpus: Corpus) -> str:
    """SHA-256 in hexadecimal over every field but the fingerprint itself, order included.

    JSON with fixed separators delimits the fields, so that no two corpora are the same bytes.
    """
    content = asdict(corpus)
    del content["fingerprint"]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
