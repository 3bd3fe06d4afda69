"""A table of images: columns of them or of their paths, and of labels, perhaps of parts, of groups and of weights."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.audit import check_weights
from headstart.data.dataset import PART_NAMES, Dataset, Part, Sample
from headstart.data.labels import TASKS, Task, names_in
from headstart.data.table_file import Table
from headstart.data.table_task import Labels, is_binary, number_in, read_labels
from headstart.errors import DataError, UnknownNameError, UsageError
from headstart.images.file import ImageFile

AUTO = "auto"
AS_ASKED = "as asked"
# Letters of a path that isn't there.
LONGEST_SHOWN = 200
# What columns are usually called, without spaces and underscores.
IMAGE_NAMES = ("image", "file", "path", "filename", "filepath", "imagepath", "imagefile", "img", "picture", "photo")
LABEL_NAMES = ("label", "labels", "class", "classes", "target", "targets", "category", "tag", "tags", "grade", "cls")
PART_COLUMNS = ("split", "part", "set", "subset")
# Instead of a column, to leave groups, weights or parts alone.
NO_COLUMN = "none"
# Of what images are taken several times; with "id" after it, or not.
GROUP_NAMES = (
    "group",
    "patient",
    "subject",
    "case",
    "participant",
    "animal",
    "specimen",
    "slide",
    "session",
    "sequence",
)
# Of how much images count; with an "s" after it, or not.
WEIGHT_NAMES = ("sampleweight", "imageweight", "instanceweight", "exampleweight")
# A column that is called only this may as well say how heavy something is. With numbers up to 1 it hardly does.
BARE_WEIGHT, LARGEST_BARE_WEIGHT = "weight", 1.0


@dataclass(frozen=True)
class TableChoice:
    """What the user says about a table; what is left open is guessed from its names and cells.

    Attributes:
        image_column: with the paths.
        label_columns: one, or several of 0 and 1.
        task: "auto", or what the labels are.
        group_column: that says what an image was taken of, or "none".
        weight_column: that says how much an image counts in learning, or "none".
        split_column: that says which part an image is in, or "none".
    """

    image_column: str | None = None
    label_columns: tuple[str, ...] = ()
    task: str = AUTO
    group_column: str | None = None
    weight_column: str | None = None
    split_column: str | None = None

    def check(self) -> None:
        """Refuses a task that there isn't.

        Raises:
            UnknownNameError: it is none of those.
        """
        if self.task not in (AUTO, *TASKS):
            raise UnknownNameError("task", self.task, (AUTO, *TASKS))

    @property
    def asked(self) -> Task | None:
        """The task, if one was asked for."""
        return next((task for task in TASKS if task == self.task), None)

    def options(self) -> list[str]:
        """The options of the command line that say the same."""
        image = [] if self.image_column is None else ["--image-column", self.image_column]
        labels = [word for column in self.label_columns for word in ("--label-column", column)]
        groups = [] if self.group_column is None else ["--group-column", self.group_column]
        weights = [] if self.weight_column is None else ["--weight-column", self.weight_column]
        parts = [] if self.split_column is None else ["--split-column", self.split_column]
        return image + labels + groups + weights + parts + ([] if self.task == AUTO else ["--task", self.task])


def images_of(table: Table, choice: TableChoice) -> Dataset:
    """The images that a table holds or names, with what it says of them.

    Paths are relative to the table's folder. A dataset's root is that folder or, where images lie outside it, the next
    one above that holds all of them; where the table holds the images, it is the table itself.

    Raises:
        UsageError: a column isn't there, or it can't be told which holds what.
        DataError: a cell is empty, isn't what its column holds, or names a file that isn't there or is named twice; or
            there is nothing to learn something from.
    """
    image, why_image = _image_column(table, choice.image_column)
    part, why_part = _part_column(table, choice, image)
    taken = {image, part}
    group, why_group = _group_column(table, choice, taken | {choice.weight_column})
    weight, why_weight = _weight_column(table, choice, taken | {group})
    columns, why_labels = _label_columns(table, choice.label_columns, taken | {group, weight})
    files = table.images.get(image) or _paths(table, image)
    labels = read_labels(table, columns, choice.asked)
    parts = _parts(table, part) if part else [None] * len(files)
    groups = [cell or None for cell in table.cells(group)] if group else [None] * len(files)
    weights = _weights(table, weight) if weight else [None] * len(files)
    rows = zip(files, labels.rows, parts, groups, weights, strict=True)
    samples = tuple(Sample(*row) for row in sorted(rows, key=lambda row: row[0]))
    _check_trained(table, labels, samples)
    choices = [
        ("images", f"column {image!r}", why_image),
        ("labels", f"column{'s' * (len(columns) > 1)} {', '.join(map(repr, columns))}", why_labels),
        ("task", labels.task, labels.reason),
    ]
    choices += [("parts", f"column {part!r}", why_part)] if part else []
    choices += [("groups", f"column {group!r}", f"{why_group}; {_counted(groups)}")] if group else []
    choices += _choice_of_weights(weight, why_weight, samples)
    root = table.path if image in table.images else _root(table.path, [Path(str(file)) for file in files])
    dataset = Dataset(root, samples, labels.names, labels.task, "table", tuple(choices))
    check_weights(dataset, _to_train_on(samples))
    return dataset


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _image_column(table: Table, asked: str | None) -> tuple[str, str]:
    if asked is not None:
        table.cells(asked)
        return asked, AS_ASKED
    if len(table.images) == 1:
        return next(iter(table.images)), "the only one that holds images"
    for name in IMAGE_NAMES:
        for column in table.columns:
            if _plain(column) == name:
                return column, "called as such columns are"
    if any(column and _is_file(_file(table, column)) for column in table.columns):
        raise DataError(f"{table.path.name} has no header: its first row names an image", "put names above the columns")
    for column in table.columns:
        if table.columns.count(column) == 1 and _is_file(_file(table, table.cells(column)[0])):
            return column, "its first cell names a file"
    raise UsageError(
        f"no column of {table.path.name} is called as a column of images is, and none names files that are there",
        f"name it with --image-column; there are {', '.join(map(repr, table.columns))}",
    )


def _part_column(table: Table, choice: TableChoice, image: str) -> tuple[str | None, str]:
    """The one that was asked for, or one that is called so and holds the name of a part somewhere."""
    if choice.split_column is not None:
        taken = {image, choice.group_column, choice.weight_column, *choice.label_columns}
        return _asked_for(table, choice.split_column, taken, "split"), AS_ASKED
    found = (column for column in table.columns if _is_of_parts(table, column))
    return next(found, None), "called so, and holds their names"


def _is_of_parts(table: Table, column: str) -> bool:
    is_called_so = _plain(column) in PART_COLUMNS and table.columns.count(column) == 1
    return is_called_so and any(cell.lower() in PART_NAMES for cell in table.cells(column))


def _group_column(table: Table, choice: TableChoice, taken: set[str | None]) -> tuple[str | None, str]:
    """The one that was asked for, or one that is called so, tells some images to be of a kind, and isn't the label."""
    if choice.group_column is not None:
        return _asked_for(table, choice.group_column, taken | set(choice.label_columns), "group"), AS_ASKED
    free = _free(table, taken | set(choice.label_columns))
    called = [column for column in free if _plain(column).removesuffix("id") in GROUP_NAMES]
    is_label = len(free) == 1 and not choice.label_columns
    if len(called) != 1 or is_label:
        return None, ""
    cells = [cell for cell in table.cells(called[0]) if cell]
    return (called[0], "called as such columns are") if len(set(cells)) < len(cells) else (None, "")


def _weight_column(table: Table, choice: TableChoice, taken: set[str | None]) -> tuple[str | None, str]:
    """The one that was asked for, or one that is called so, holds weights, and isn't the label; if it is none, why."""
    taken = taken | set(choice.label_columns)
    if choice.weight_column is not None:
        return _asked_for(table, choice.weight_column, taken, "weight"), AS_ASKED
    free = _free(table, taken)
    clear = [column for column in free if _plain(column).removesuffix("s") in WEIGHT_NAMES]
    bare = [] if clear else [column for column in free if _plain(column).removesuffix("s") == BARE_WEIGHT]
    called = clear or bare
    is_label = len(free) == 1 and not choice.label_columns
    is_label_told = bool(choice.label_columns) or any(_plain(column) in LABEL_NAMES for column in free)
    if len(called) != 1 or is_label or (bare and not is_label_told):
        return None, ""
    try:
        weights = _weights(table, called[0])
    except DataError as error:
        return None, f"{error.problem}; {_takes(called[0])} once that is mended"
    if bare and max(weights) > LARGEST_BARE_WEIGHT:
        reason = f"column {called[0]!r} has numbers above {LARGEST_BARE_WEIGHT:g}, which may be a measurement"
        return None, f"{reason}; {_takes(called[0])}"
    return called[0], "called as such columns are"


def _takes(column: str) -> str:
    return f"--weight-column {shlex.quote(column)} takes it"


def _weights(table: Table, column: str) -> list[float]:
    weights = []
    for row, cell in enumerate(table.cells(column)):
        weight = number_in(cell)
        if weight is None or not 0 <= weight < math.inf:
            what = "no number" if weight is None else "below 0" if weight < 0 else "no finite number"
            shown = f"{cell!r} is {what}" if cell else "there is no weight"
            mend = "write a number from 0 on, or leave weights alone with --weight-column none"
            raise table.problem(row, column, shown, mend)
        weights.append(weight)
    return weights


def _choice_of_weights(column: str | None, reason: str, samples: Sequence[Sample]) -> list[tuple[str, str, str]]:
    if column is None:
        return [("weights", "none", reason)] if reason else []
    weights = [sample.weight for sample in samples if sample.weight is not None]
    none = sum(not weight for weight in weights)
    left_out = f"; {none:,} image{'s' * (none > 1)} of weight 0, for measuring only" if none else ""
    told = f"{reason}; from {min(weights):g} to {max(weights):g}, in learning alone{left_out}"
    return [("weights", f"column {column!r}", told)]


def _asked_for(table: Table, asked: str, taken: set[str | None], what: str) -> str | None:
    """The column that was asked for, if it wasn't none."""
    if asked == NO_COLUMN and asked not in table.columns:
        return None
    table.cells(asked)
    if asked in taken:
        raise UsageError(f"the column {asked!r} can't hold {what}s as well", f"name another with --{what}-column")
    return asked


def _free(table: Table, taken: set[str | None]) -> list[str]:
    """Columns that are left, of a name of their own."""
    return [column for column in table.columns if column not in taken and table.columns.count(column) == 1]


def _counted(groups: Sequence[str | None]) -> str:
    different = len({group for group in groups if group is not None})
    alone = sum(group is None for group in groups)
    return f"{different:,} groups" + (f", and {alone:,} image{'s' * (alone > 1)} of none" if alone else "")


def _label_columns(table: Table, asked: Sequence[str], taken: set[str | None]) -> tuple[tuple[str, ...], str]:
    if asked:
        if clash := [column for column in asked if column in taken]:
            raise UsageError(f"the column {clash[0]!r} can't hold labels as well", "name another with --label-column")
        return tuple(asked), AS_ASKED
    others = tuple(column for column in table.columns if column not in taken)
    called = tuple(column for column in others if _plain(column) in LABEL_NAMES)
    if len(called) == 1:
        return called, "called as such columns are"
    if len(others) == 1:
        return others, "the only other column"
    if len(others) > 1 and all(table.columns.count(column) == 1 and is_binary(table, column) for column in others):
        return others, "all other columns, which hold 0 and 1"
    offered = called or others
    problem = (
        f"it can't be told which of {', '.join(map(repr, offered))} holds the labels"
        if offered
        else "no column is left for labels"
    )
    raise UsageError(f"{table.path.name}: {problem}", "name it with --label-column")


def _file(table: Table, cell: str) -> Path:
    """The file that a cell names; a table made on Windows may have backslashes."""
    path = table.path.parent / cell
    return path if "\\" not in cell or _is_file(path) else table.path.parent / cell.replace("\\", "/")


def _paths(table: Table, column: str) -> Sequence[ImageFile]:
    seen: dict[str, int] = {}
    paths = []
    for row, cell in enumerate(table.cells(column)):
        if not cell:
            raise table.problem(row, column, "there is no path", "write one, or remove the row")
        path = _file(table, cell)
        if not _is_file(path):
            raise table.problem(row, column, _missing(table, column, cell), "mend the path, or remove the row")
        place = os.path.normpath(path.absolute())
        if place in seen:
            first = table.numbers[seen[place]]
            raise table.problem(row, column, f"{cell!r} is in row {first} already", "keep one row per image")
        seen[place] = row
        paths.append(Path(place))
    return paths


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _missing(table: Table, column: str, cell: str) -> str:
    cells = table.cells(column)
    missing = sum(not _is_file(_file(table, other)) for other in cells)
    shown = cell if len(cell) <= LONGEST_SHOWN else f"{cell[:LONGEST_SHOWN]}…"
    return f"there is no file {shown!r} in {table.path.parent.absolute()} ({missing:,} of {len(cells):,} are missing)"


def _parts(table: Table, column: str) -> list[Part | None]:
    parts: list[Part | None] = []
    for row, cell in enumerate(table.cells(column)):
        part = PART_NAMES.get(cell.lower())
        if part is None:
            shown = f"{cell!r} is no part" if cell else "there is no part"
            mend = "write train, validation or test, or leave the column alone with --split-column none"
            raise table.problem(row, column, shown, mend)
        parts.append(part)
    return parts


def _root(path: Path, paths: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.normpath(path.parent.absolute()), *(str(found.parent) for found in paths)]))


def _check_trained(table: Table, labels: Labels, samples: Sequence[Sample]) -> None:
    """What is to be predicted must be there to learn from, if the table says what is."""
    trained = _to_train_on(samples)
    if not trained:
        raise DataError(f"{table.path.name} has no row of the training part", "write train in some rows")
    if labels.task == "regression":
        return
    learned = {name for sample in trained for name in names_in(sample.label)}
    for name in labels.names:
        if name not in learned and not any(name in names_in(sample.label) for sample in samples):
            mend = "leave its column out: name the others with --label-column"
            raise DataError(f"{table.path.name}: no image has the label {name!r}", mend)
        if name not in learned:
            what = "class" if labels.task == "classes" else "label"
            mend = f"put some of its images into the training part in {table.path.name}"
            raise DataError(f"{what} {name!r} has no image to train on", mend)


def _to_train_on(samples: Sequence[Sample]) -> list[Sample]:
    """Those of the training part, or of which it will be drawn."""
    return [sample for sample in samples if sample.part in (None, "train")]
