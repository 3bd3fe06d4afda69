from __future__ import annotations

import re

import pytest

from headstart import errors
from headstart.errors import HeadstartError, UnknownNameError, UsageError

CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, HeadstartError)
}
FRUIT = ("cherry", "banana", "apple")


def drawn_tree() -> list[tuple[int, str]]:
    """Depth and name of each class in the tree that the module's docstring draws."""
    rows = re.findall(r"^([│├└─ ]*)(\w+)  ", errors.__doc__, flags=re.MULTILINE)
    return [(len(branch) // 4, name) for branch, name in rows]


def real_tree(kind: type = HeadstartError, depth: int = 0) -> list[tuple[int, str]]:
    below = [row for child in kind.__subclasses__() if child in CLASSES.values() for row in real_tree(child, depth + 1)]
    return [(depth, kind.__name__), *below]


def test_the_tree_in_the_docstring_is_the_tree_there_is() -> None:
    assert drawn_tree() == real_tree()


def test_problem_and_mend_make_one_line() -> None:
    error = HeadstartError("the door is locked", "turn the key")
    assert str(error) == "the door is locked; turn the key"
    assert (error.problem, error.mend) == ("the door is locked", "turn the key")


def test_a_problem_can_stand_alone() -> None:
    error = HeadstartError("the door is locked")
    assert str(error) == "the door is locked"
    assert error.mend == ""


@pytest.mark.parametrize("name", CLASSES)
def test_wrong_use_exits_with_2_and_everything_else_with_1(name: str) -> None:
    assert CLASSES[name].exit_code == (2 if issubclass(CLASSES[name], UsageError) else 1)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("aple", "did you mean 'apple'?"),
        ("BANANNA", "did you mean 'banana'?"),
        ("walnut", "there are: apple, banana, cherry"),
        ("", "there are: apple, banana, cherry"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(typed: str, hint: str) -> None:
    assert str(UnknownNameError("fruit", typed, FRUIT)) == f"there is no fruit named {typed!r}; {hint}"


def test_names_may_come_from_an_iterator() -> None:
    assert UnknownNameError("fruit", "walnut", iter(FRUIT)).mend == "there are: apple, banana, cherry"
