"""What is said of an image: a class, several labels or a number."""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["classes", "multi-label", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)

# A class's name; the names of the labels that apply, in alphabetical order; or a number.
Label = str | tuple[str, ...] | float

SEPARATOR = "|"


def written(label: Label) -> str:
    """A label as it stands in a table; a number reads back as the same number."""
    if isinstance(label, tuple):
        return SEPARATOR.join(label)
    return label if isinstance(label, str) else repr(label)


def in_words(label: Label) -> str:
    """A label within a sentence."""
    if isinstance(label, tuple):
        return " + ".join(map(repr, label)) or "nothing"
    return repr(label) if isinstance(label, str) else f"{label:g}"


def names_in(label: Label) -> tuple[str, ...]:
    """The classes or labels that a label names; a number names none."""
    if isinstance(label, tuple):
        return label
    return (label,) if isinstance(label, str) else ()
