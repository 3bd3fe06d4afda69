"""What commands print: results to stdout, progress to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.progress import Display


@contextmanager
def shown_progress() -> Iterator[Display]:
    """Progress on a descriptor of its own, so that silencing native libraries doesn't silence it."""
    from headstart.progress import RichDisplay

    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as file:
        yield RichDisplay(file)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Lines with aligned columns on stdout; without names for the columns, no line for them."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, show_header=any(columns), pad_edge=False)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # as Text, so that brackets in names aren't markup
    # Where nobody looks at it, a table is as wide as its longest line: other programs read it line by line.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))
