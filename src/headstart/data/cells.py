"""What stands in the cell of a table whose values have types, as the text that a CSV file would have."""

from __future__ import annotations

import math
from typing import Any

from headstart.data.labels import SEPARATOR


def as_text(value: Any) -> str | None:
    """A value as text: nothing as "", whole numbers without a point, lists divided by "|"; None for anything else."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").strip()  # JSON may have half a character
    if isinstance(value, list | tuple):
        texts = [None if isinstance(item, list | tuple) else as_text(item) for item in value]
        return None if None in texts else SEPARATOR.join(text for text in texts if text)
    return None
