from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.labels import Task
from headstart.data.table_file import Table
from headstart.data.table_task import Labels, is_binary, read_labels
from headstart.errors import DataError, HeadstartError, UsageError


def read(*cells: str, asked: Task | None = None) -> Labels:
    """The labels of a table with one column."""
    rows = tuple((cell,) for cell in cells)
    return read_labels(Table(Path("t.csv"), ("y",), rows, tuple(range(2, len(rows) + 2))), ["y"], asked)


def read_columns(columns: dict[str, str], asked: Task | None = None) -> Labels:
    """The labels of a table with columns of one-letter cells."""
    rows = tuple(zip(*columns.values(), strict=True))
    numbers = tuple(range(2, len(rows) + 2))
    return read_labels(Table(Path("t.csv"), tuple(columns), rows, numbers), list(columns), asked)


WHOLE = [str(number) for number in range(21)]


@pytest.mark.parametrize(
    ("cells", "task", "reason"),
    [
        (["cat", "dog"], "classes", "column 'y' has one name a cell"),
        (["Doe, John", "Roe, Jane"], "classes", "column 'y' has one name a cell"),
        (["1", "2", "1"], "classes", "column 'y' has only 2 different numbers, all of them whole"),
        (WHOLE[:20], "classes", "column 'y' has only 20 different numbers, all of them whole"),
        (WHOLE, "regression", "column 'y' has 21 different numbers, more than 20"),
        (["0.5", "1"], "regression", "column 'y' has numbers with fractions"),
        (["1e-3", "-2.0"], "regression", "column 'y' has numbers with fractions"),
        (["a|b", "a"], "multi-label", "column 'y' has cells with several labels, divided by '|'"),
        (["a;b", "b", ""], "multi-label", "divided by ';'; 1 of 3 images have none"),
        (["a,b", "c"], "multi-label", "divided by ','"),
        (["a, b|c", "d"], "multi-label", "divided by '|'"),
    ],
)
def test_the_cells_say_what_is_to_be_predicted(cells: list[str], task: str, reason: str) -> None:
    found = read(*cells)
    assert found.task == task
    assert reason in found.reason


def test_classes_are_text_as_it_stands() -> None:
    found = read("2", "10", "2")
    assert (found.names, found.rows) == (("10", "2"), ("2", "10", "2"))


def test_labels_in_a_cell_are_a_set_in_alphabetical_order() -> None:
    found = read("b|a|b| ", "", "c")
    assert found.names == ("a", "b", "c")
    assert found.rows == (("a", "b"), (), ("c",))


def test_a_comma_before_a_space_belongs_to_a_name() -> None:
    assert read("red, dark,blue", "x").rows == (("blue", "red, dark"), ("x",))


def test_numbers_are_read_as_such() -> None:
    assert read("0.5", "-1e3", "+2").rows == (0.5, -1000.0, 2.0)


def test_what_is_asked_for_is_done() -> None:
    assert read("1", "2", asked="regression").rows == (1.0, 2.0)
    assert read("0.5", "1", asked="classes").rows == ("0.5", "1")
    assert read("a", "b", asked="multi-label").rows == (("a",), ("b",))
    assert read("1", "0", asked="multi-label").rows == (("y",), ())
    assert read("1", "0", asked="multi-label").reason == "as asked"


def test_several_columns_of_0_and_1_are_labels() -> None:
    found = read_columns({"wet": "101", "cold": "110"})
    assert (found.task, found.reason) == ("multi-label", "2 columns of 0 and 1")
    assert found.names == ("cold", "wet")
    assert found.rows == (("cold", "wet"), ("cold",), ("wet",))


@pytest.mark.parametrize("cell", ["1", "true", "TRUE", "1.0"])
def test_yes_is_written_in_several_ways(cell: str) -> None:
    table = Table(Path("t.csv"), ("a", "b"), ((cell, "0"), ("False", "0.0")), (2, 3))
    assert read_labels(table, ["a", "b"], None).rows == (("a",), ())
    assert is_binary(table, "a")


@pytest.mark.parametrize(
    ("cells", "asked", "message"),
    [
        (["cat", ""], None, "row 3, column 'y': there is no label; write one, or remove the row"),
        (["cat", "cat"], None, "column 'y' holds one class only, 'cat'; a classifier needs at least two"),
        (["0.5"] * 10 + ["NA"], None, "row 12, column 'y': 'NA' is no number; mend it or remove the row"),
        (["0.5"] * 10 + ["nan"], None, "row 12, column 'y': 'nan' is no finite number"),
        (["0.5"] * 10 + ["-inf"], None, "row 12, column 'y': '-inf' is no finite number"),
        (["0.5"] * 10 + [""], None, "row 12, column 'y': there is no number"),
        (["0.5", "cat"], "regression", "row 3, column 'y': 'cat' is no number"),
        (["1_000", "2"], "regression", "row 2, column 'y': '1_000' is no number"),
        (["0.5", "0.5"], None, "every number is 0.5, so there is nothing to learn"),
        (["1,5", "2"], None, "row 2, column 'y': '1,5' is a number with a comma, or two labels; write numbers with a"),
        (["", ""], "multi-label", "column 'y' holds no label"),
        (["a,b|c", "d;e|f"], "multi-label", None),
    ],
)
def test_a_cell_that_is_wrong_is_named_with_its_mend(cells: list[str], asked: Task | None, message: str | None) -> None:
    if message is None:
        assert read(*cells, asked=asked).names == ("a,b", "c", "d;e", "f")
        return
    with pytest.raises(DataError) as caught:
        read(*cells, asked=asked)
    assert message in str(caught.value)
    assert str(caught.value).startswith("t.csv, ")


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        (
            {"a": "01", "b": "02"},
            None,
            "t.csv, row 3, column 'b': '2' is neither 0 nor 1; write 1 where the label applies",
        ),
        ({"a": "01", "b": ["0", ""]}, None, "t.csv, row 3, column 'b': there is neither 0 nor 1"),
        ({"a": "01", "b": "01"}, "classes", "2 label columns are several labels an image, not classes; name one"),
        ({"a|b": "01", "c": "01"}, None, "the label 'a|b' holds a '|', which divides labels; rename the column"),
    ],
)
def test_columns_that_cant_be_labels_are_refused(columns: dict[str, str], asked: Task | None, message: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        read_columns(columns, asked)
    assert message in str(caught.value)


def test_a_column_named_twice_is_refused() -> None:
    table = Table(Path("t.csv"), ("a",), (("0",), ("1",)), (2, 3))
    with pytest.raises(UsageError, match="the label column 'a' is named twice; name it once"):
        read_labels(table, ["a", "a"], None)
