"""Hashes that say whether two computations are the same."""

import hashlib
import json
from dataclasses import asdict, is_dataclass
from typing import Any


def settings_hash(*parts: Any) -> str:
    """SHA-256 over plain data and dataclasses, in order; equal for equal content, whatever the key order."""
    plain = [asdict(part) if is_dataclass(part) and not isinstance(part, type) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
