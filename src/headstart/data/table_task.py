"""What a table asks for: classes, several labels an image or a number; and its labels, read as that."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.data.labels import SEPARATOR, Label, Task
from headstart.data.table_file import Table
from headstart.errors import DataError, UsageError

# More whole numbers than this are a quantity rather than the names of classes.
MOST_CLASSES_OF_NUMBERS = 20
# With so large a share of numbers in a column, the rest are mistakes.
MOSTLY = 0.9
BINARY = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
# A comma divides only where no space follows: "Doe, John" is one name.
_DIVIDERS = {SEPARATOR: r"\|", ";": ";", ",": r",(?!\s)"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")


@dataclass(frozen=True)
class Labels:
    """What a table says of its images.

    Attributes:
        task: what is to be predicted.
        reason: why that.
        names: the classes, the labels, or the number's name, in the order that they have everywhere.
        rows: what each row says.
    """

    task: Task
    reason: str
    names: tuple[str, ...]
    rows: tuple[Label, ...]


def read_labels(table: Table, columns: Sequence[str], asked: Task | None) -> Labels:
    """The labels that stand in some columns.

    Args:
        table: the file.
        columns: one, or several that say 0 or 1 of a label each.
        asked: what to take them for; None to find out.

    Raises:
        UsageError: these columns can't be what is asked for.
        DataError: a cell isn't what its column holds.
    """
    if len(columns) > 1:
        if asked not in (None, "multi-label"):
            raise UsageError(
                f"{len(columns)} label columns are several labels an image, not {asked}",
                "name one, or leave --task out",
            )
        return _read_binary(table, columns, f"{len(columns)} columns of 0 and 1")
    (column,) = columns
    cells = table.cells(column)
    task, reason = (asked, "as asked") if asked else _guess(table, column, cells)
    if task == "regression":
        return Labels(task, reason, (column,), _read_numbers(table, column, cells))
    if task == "classes":
        return _read_classes(table, column, cells, reason)
    if all(cell.lower() in BINARY for cell in cells):
        return _read_binary(table, columns, reason)
    return _read_divided(table, column, cells, reason)


def is_binary(table: Table, column: str) -> bool:
    """Whether a column says 0 or 1 throughout."""
    return all(cell.lower() in BINARY for cell in table.cells(column))


def _guess(table: Table, column: str, cells: Sequence[str]) -> tuple[Task, str]:
    where = f"column {column!r}"
    filled = [cell for cell in cells if cell]
    numbers = [number for number in map(number_in, filled) if number is not None]
    if len(numbers) >= MOSTLY * max(len(filled), 1):
        different = len(set(numbers))
        if any(not number.is_integer() for number in numbers if math.isfinite(number)):
            return "regression", f"{where} has numbers with fractions"
        if different > MOST_CLASSES_OF_NUMBERS:
            return "regression", f"{where} has {different} different numbers, more than {MOST_CLASSES_OF_NUMBERS}"
        return "classes", f"{where} has only {different} different numbers, all of them whole"
    if divider := _divider(cells):
        _refuse_decimal_commas(table, column, cells, divider)
        return "multi-label", f"{where} has cells with several labels, divided by {divider!r}"
    return "classes", f"{where} has one name a cell"


def number_in(cell: str) -> float | None:
    """The number that a cell holds, perhaps infinite or NaN; None where it holds something else."""
    if "_" in cell:  # Python's own notation, which no table means
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _divider(cells: Sequence[str]) -> str | None:
    """The first of the dividers that is in any cell."""
    return next((sign for sign, found in _DIVIDERS.items() if any(re.search(found, cell) for cell in cells)), None)


def _refuse_decimal_commas(table: Table, column: str, cells: Sequence[str], divider: str) -> None:
    if divider == "," and all(_DECIMAL_COMMA.fullmatch(cell) for cell in cells if cell):
        row = next(row for row, cell in enumerate(cells) if "," in cell)
        raise table.problem(
            row,
            column,
            f"{cells[row]!r} is a number with a comma, or two labels",
            "write numbers with a point; for labels say --task multi-label",
        )


def _read_numbers(table: Table, column: str, cells: Sequence[str]) -> tuple[float, ...]:
    numbers = []
    for row, cell in enumerate(cells):
        number = number_in(cell)
        if number is None or not math.isfinite(number):
            what = "no number" if number is None else "no finite number"
            shown = f"{cell!r} is {what}" if cell else "there is no number"
            raise table.problem(
                row, column, shown, "mend it or remove the row; to take numbers as names say --task classes"
            )
        numbers.append(number)
    if len(set(numbers)) == 1:
        raise DataError(
            f"{table.path.name}, column {column!r}: every number is {numbers[0]:g}, so there is nothing to learn",
            "name another column with --label-column",
        )
    return tuple(numbers)


def _read_classes(table: Table, column: str, cells: Sequence[str], reason: str) -> Labels:
    for row, cell in enumerate(cells):
        if not cell:
            raise table.problem(row, column, "there is no label", "write one, or remove the row")
    names = tuple(sorted(set(cells)))
    if len(names) < 2:
        raise DataError(
            f"{table.path.name}, column {column!r} holds one class only, {names[0]!r}; a classifier needs at least two",
            "add images of another, or name another column with --label-column",
        )
    return Labels("classes", reason, names, tuple(cells))


def _read_binary(table: Table, columns: Sequence[str], reason: str) -> Labels:
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise UsageError(f"the label column {twice[0]!r} is named twice", "name it once")
    names = tuple(sorted(columns))
    found: list[list[str]] = [[] for _ in table.rows]
    for column in names:
        if SEPARATOR in column:
            raise DataError(f"the label {column!r} holds a {SEPARATOR!r}, which divides labels", "rename the column")
        for row, cell in enumerate(table.cells(column)):
            if cell.lower() not in BINARY:
                shown = f"{cell!r} is neither 0 nor 1" if cell else "there is neither 0 nor 1"
                raise table.problem(row, column, shown, "write 1 where the label applies and 0 where it doesn't")
            found[row] += [column] * BINARY[cell.lower()]
    return Labels("multi-label", reason, names, tuple(map(tuple, found)))


def _read_divided(table: Table, column: str, cells: Sequence[str], reason: str) -> Labels:
    divider = _divider(cells)
    pattern = _DIVIDERS[divider] if divider else r"\|"
    rows = [tuple(sorted({name.strip() for name in re.split(pattern, cell)} - {""})) for cell in cells]
    names = tuple(sorted({name for row in rows for name in row}))
    if not names:
        raise DataError(f"{table.path.name}, column {column!r} holds no label", "name another with --label-column")
    for row, labels in enumerate(rows):
        if any(SEPARATOR in name for name in labels):
            raise table.problem(row, column, f"a label holds a {SEPARATOR!r}", "divide labels by one sign throughout")
    if without := sum(not row for row in rows):
        reason += f"; {without:,} of {len(rows):,} images have none"
    return Labels("multi-label", reason, names, tuple(rows))
