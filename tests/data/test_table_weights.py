"""Columns that say how much an image counts in learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headstart.data.dataset import Dataset
from headstart.data.source import read_source
from headstart.data.table import TableChoice
from headstart.errors import DataError, UnknownNameError, UsageError

FILES = ("a.png", "b.png", "c.png", "d.png")
LABELS = ("cat", "dog", "cat", "dog")


def read(root: Path, text: str, **choice: Any) -> Dataset:
    for file in FILES:
        (root / file).write_bytes(b"x")
    (root / "labels.csv").write_text(text, encoding="utf-8")
    return read_source(root / "labels.csv", TableChoice(**choice))


def table(column: str, *cells: str, **more: tuple[str, ...]) -> str:
    """A table of two cats and two dogs with a column more, or several."""
    rows = [("file", "label", column, *more), *zip(FILES, LABELS, cells, *more.values(), strict=True)]
    return "\n".join(map(",".join, rows))


def weights(dataset: Dataset) -> list[float | None]:
    return [sample.weight for sample in dataset.samples]


def choice_of(dataset: Dataset) -> tuple[str, str] | None:
    return next(((value, reason) for what, value, reason in dataset.choices if what == "weights"), None)


@pytest.mark.parametrize(
    "name", ["sample_weight", "Sample Weights", "imageWeight", "instance-weight", "exampleweights"]
)
def test_a_column_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, table(name, "20.5", "1", "3e-1", "7"))
    assert weights(found) == [20.5, 1, 0.3, 7]
    assert choice_of(found) == (
        f"column {name!r}",
        "called as such columns are; from 0.3 to 20.5, in learning alone",
    )
    assert (found.labels, found.task) == (("cat", "dog"), "classes")


def test_weights_stay_with_their_images(tmp_path: Path) -> None:
    rows = table("sample_weight", "1", "2", "3", "4").splitlines()
    found = read(tmp_path, "\n".join([rows[0], *reversed(rows[1:])]))
    assert weights(found) == [1, 2, 3, 4]


def test_the_only_other_column_is_the_label_beside_weights(tmp_path: Path) -> None:
    text = "file,species,sample_weight\na.png,cat,1\nb.png,dog,2\n"
    assert read(tmp_path, text).labels == ("cat", "dog")
    numbers = read(tmp_path, "file,length,sample_weight\na.png,1.5,1\nb.png,2.5,2\n")
    assert (numbers.labels, numbers.task, weights(numbers)) == (("length",), "regression", [1, 2])
    grams = read(tmp_path, "file,weight,sample_weight\na.png,0.5,1\nb.png,0.7,3\n")
    assert (grams.labels, weights(grams)) == (("weight",), [1, 3])
    both = read(tmp_path, "file,wet,cold,sample_weight\na.png,1,0,1\nb.png,0,1,0.5\n")
    assert (both.labels, weights(both)) == (("cold", "wet"), [1, 0.5])


def test_what_is_called_weight_alone_is_taken_where_it_can_hardly_be_grams(tmp_path: Path) -> None:
    assert weights(read(tmp_path, table("weight", "0.2", "1", "0", "0.7"))) == [0.2, 1, 0, 0.7]
    heavy = read(tmp_path, table("Weights", "0.2", "1", "0", "70.5"))
    assert weights(heavy) == [None] * 4
    reason = "column 'Weights' has numbers above 1, which may be a measurement; --weight-column Weights takes it"
    assert choice_of(heavy) == ("none", reason)
    asked = read(tmp_path, table("weight", "0.2", "1", "0", "70.5"), weight_column="weight")
    assert weights(asked) == [0.2, 1, 0, 70.5]
    assert choice_of(asked) == (
        "column 'weight'",
        "as asked; from 0 to 70.5, in learning alone; 1 image of weight 0, for measuring only",
    )


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("file,weight\na.png,0.5\nb.png,0.7\n", {}),  # it is what is to be predicted
        ("file,sample_weight\na.png,0.5\nb.png,0.7\n", {}),
        ("file,label,weight\na.png,cat,0.5\nb.png,dog,0.7\n", {"label_columns": ("weight",)}),
        ("file,label,sample_weight\na.png,cat,0.5\nb.png,dog,0.7\n", {"label_columns": ("sample_weight",)}),
        ("file,label,image_weight,sample_weight\na.png,cat,1,1\nb.png,dog,1,1\n", {}),  # it can't be told which
        ("file,label,confidence,importance\na.png,cat,1,1\nb.png,dog,1,1\n", {}),  # perhaps a model's
        ("file,label,sample_weight\na.png,cat,1\nb.png,dog,1\n", {"group_column": "sample_weight"}),
        ("file,label,patient\na.png,cat,7\nb.png,dog,7\n", {}),
    ],
)
def test_weights_are_not_made_of_any_column(tmp_path: Path, text: str, choice: dict[str, Any]) -> None:
    found = read(tmp_path, text, **choice)
    assert set(weights(found)) == {None}
    assert choice_of(found) is None


def test_what_is_called_weight_alone_is_taken_only_where_the_labels_are_told(tmp_path: Path) -> None:
    text = "file,species,weight\na.png,cat,0.5\nb.png,dog,0.7\n"
    with pytest.raises(UsageError, match="it can't be told which of 'species', 'weight' holds the labels"):
        read(tmp_path, text)
    assert weights(read(tmp_path, text, label_columns=("species",))) == [0.5, 0.7]


def test_a_column_that_is_called_so_but_does_not_hold_weights_is_left_and_told(tmp_path: Path) -> None:
    found = read(tmp_path, table("sample_weight", "1", "", "2", "3"))
    assert weights(found) == [None] * 4
    reason = "labels.csv, row 3, column 'sample_weight': there is no weight; --weight-column sample_weight takes it"
    assert choice_of(found) == ("none", f"{reason} once that is mended")


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("", "there is no weight"),
        ("much", "'much' is no number"),
        ("-0.5", "'-0.5' is below 0"),
        ("-inf", "'-inf' is below 0"),
        ("inf", "'inf' is no finite number"),
        ("1e999", "'1e999' is no finite number"),
        ("nan", "'nan' is no finite number"),
        ("1_000", "'1_000' is no number"),
    ],
)
def test_a_cell_that_is_no_weight_is_named_with_its_mend(tmp_path: Path, cell: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, table("w", "1", "2", cell, "3"), weight_column="w")
    mend = "write a number from 0 on, or leave weights alone with --weight-column none"
    assert str(caught.value) == f"labels.csv, row 4, column 'w': {what}; {mend}"


def test_weights_can_be_let_go(tmp_path: Path) -> None:
    found = read(tmp_path, table("sample_weight", "1", "2", "3", "4"), weight_column="none")
    assert weights(found) == [None] * 4
    assert choice_of(found) == ("none", "as asked")
    assert TableChoice(weight_column="none").options() == ["--weight-column", "none"]


def test_a_column_that_is_called_none_can_be_named(tmp_path: Path) -> None:
    assert weights(read(tmp_path, table("none", "1", "2", "3", "4"), weight_column="none")) == [1, 2, 3, 4]


def test_another_column_can_be_named(tmp_path: Path) -> None:
    text = table("confidence", "0.5", "1", "1", "1", sample_weight=("9", "8", "9", "8"))
    assert weights(read(tmp_path, text, weight_column="confidence")) == [0.5, 1, 1, 1]
    options = TableChoice("file", (), "classes", "farm", "confidence").options()
    assert options == [
        *("--image-column", "file", "--group-column", "farm"),
        *("--weight-column", "confidence", "--task", "classes"),
    ]


def test_what_is_asked_for_is_not_taken_for_groups_or_labels(tmp_path: Path) -> None:
    text = "file,kind,case\na.png,cat,1\nb.png,dog,1\n"
    found = read(tmp_path, text, weight_column="case")
    assert (weights(found), found.labels) == ([1, 1], ("cat", "dog"))
    assert [sample.group for sample in found.samples] == [None, None]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"weight_column": "file"}, "the column 'file' can't hold weights as well; name another with --weight-column"),
        ({"weight_column": "label"}, "the column 'label' can't hold weights as well"),
        ({"weight_column": "split"}, "the column 'split' can't hold weights as well"),
        ({"weight_column": "age", "group_column": "age"}, "the column 'age' can't hold groups as well"),
    ],
)
def test_a_column_holds_one_thing(tmp_path: Path, choice: dict[str, Any], message: str) -> None:
    text = "file,label,split,age\na.png,cat,train,1\nb.png,dog,train,2\n"
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, label_columns=("label",), **choice)
    assert message in str(caught.value)


def test_an_unknown_column_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="named 'wieght'; did you mean 'weight'"):
        read(tmp_path, table("weight", "1", "1", "1", "1"), weight_column="wieght")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (table("sample_weight", "1", "0", "1", "0"), "class 'dog': none of its 2 training images"),
        ("file,tags,sample_weight\na.png,x,1\nb.png,x|y,0\n", "label 'y': none of its 1 training images"),
        ("file,length,sample_weight\na.png,1.5,0\nb.png,2.5,0\n", "the number 'length': none of its 2 training images"),
        (
            table("sample_weight", "1", "0", "1", "1", split=("train", "train", "test", "test")),
            "class 'dog': none of its 1 training images",
        ),
    ],
)
def test_each_class_needs_an_image_that_counts(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    mend = "give one of them more, or leave weights alone with --weight-column none"
    assert str(caught.value) == f"{what} has a weight above 0; {mend}"
