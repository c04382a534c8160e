"""A hash that tells whether two computations are the same."""

import hashlib
import json
from dataclasses import asdict, is_dataclass
from typing import Any


def settings_hash(*parts: Any) -> str:
    """Return the SHA-256 of plain data and dataclasses, in order. The order of keys does not matter."""
    plain = [asdict(part) if is_dataclass(part) and not isinstance(part, type) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
