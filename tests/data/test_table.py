from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headstart.data.dataset import Dataset, Part, Sample
from headstart.data.source import read_source
from headstart.data.table import TableChoice
from headstart.errors import DataError, HeadstartError, UnknownNameError, UsageError

FILES = ("a.png", "b.png", "c.png", "d.png")


def lay_out(root: Path, text: str, files: Sequence[str] = FILES, name: str = "labels.csv") -> Path:
    """A table beside files, whose bytes don't matter to it."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def read(root: Path, text: str, files: Sequence[str] = FILES, **choice: Any) -> Dataset:
    return read_source(lay_out(root, text, files), TableChoice(**choice))


def choices(dataset: Dataset) -> dict[str, tuple[str, str]]:
    return {what: (value, reason) for what, value, reason in dataset.choices}


def test_a_table_of_classes_is_a_dataset_as_folders_are(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label\nb.png,dog\na.png,cat\nc.png,cat\n")
    assert found.root == tmp_path
    assert (found.labels, found.task, found.origin) == (("cat", "dog"), "classes", "table")
    assert found.samples == (
        Sample(tmp_path / "a.png", "cat"),
        Sample(tmp_path / "b.png", "dog"),
        Sample(tmp_path / "c.png", "cat"),
    )
    assert found.counts() == {"cat": 2, "dog": 1}
    assert choices(found) == {
        "images": ("column 'file'", "called as such columns are"),
        "labels": ("column 'label'", "called as such columns are"),
        "task": ("classes", "column 'label' has one name a cell"),
    }


def test_numbers_count_for_their_name(tmp_path: Path) -> None:
    found = read(tmp_path, "path,weight\na.png,0.5\nb.png,1.5\n")
    assert (found.labels, found.task, found.counts()) == (("weight",), "regression", {"weight": 2})
    assert choices(found)["labels"] == ("column 'weight'", "the only other column")


def test_each_label_counts_for_itself(tmp_path: Path) -> None:
    found = read(tmp_path, "image,tags\na.png,x|y\nb.png,y\nc.png,\n")
    assert (found.labels, found.task, found.counts()) == (("x", "y"), "multi-label", {"x": 1, "y": 2})


def test_columns_of_0_and_1_are_found(tmp_path: Path) -> None:
    found = read(tmp_path, "Image_Path,wet,cold\na.png,1,0\nb.png,0,1\n")
    assert found.labels == ("cold", "wet")
    assert choices(found)["labels"] == ("columns 'wet', 'cold'", "all other columns, which hold 0 and 1")


def test_a_column_of_paths_is_found_by_what_it_names(tmp_path: Path) -> None:
    found = read(tmp_path, "label,where\ncat,a.png\ndog,b.png\n")
    assert choices(found)["images"] == ("column 'where'", "its first cell names a file")


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "file,other,label,weight\nx,a.png,cat,1.5\ny,b.png,dog,2\n"
    found = read(tmp_path, text, image_column="other", label_columns=("weight",))
    assert [sample.label for sample in found.samples] == [1.5, 2.0]
    assert choices(found)["images"] == ("column 'other'", "as asked")
    options = TableChoice("other", ("weight", "x"), "multi-label").options()
    assert options == [
        *("--image-column", "other", "--label-column", "weight", "--label-column", "x", "--task", "multi-label")
    ]
    assert TableChoice().options() == []


def test_parts_are_read(tmp_path: Path) -> None:
    text = "file,label,split\na.png,cat,Train\nb.png,dog,train\nc.png,cat,val\nd.png,dog,test\n"
    found = read(tmp_path, text)
    assert [sample.part for sample in found.samples] == ["train", "train", "validation", "test"]
    assert choices(found)["parts"] == ("column 'split'", "called so, and holds their names")


def test_a_column_called_set_that_holds_no_parts_is_no_column_of_parts(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label,set\na.png,cat,north\nb.png,dog,south\n")
    assert [sample.part for sample in found.samples] == [None, None]


def test_images_may_lie_anywhere(tmp_path: Path) -> None:
    files = ["data/in/a.png", "other/b.png"]
    lay_out(tmp_path, "", files)
    (tmp_path / "tables").mkdir()
    text = f"file,label\n../data/in/a.png,cat\n{tmp_path / 'other' / 'b.png'},dog\n"
    found = read_source(lay_out(tmp_path / "tables", text, ()), TableChoice())
    assert found.root == tmp_path
    assert [sample.file for sample in found.samples] == [tmp_path / file for file in files]


def test_backslashes_of_another_system_are_slashes(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label\nin\\a.png,cat\nin\\b.png,dog\n", ["in/a.png", "in/b.png"])
    assert [sample.file for sample in found.samples] == [tmp_path / "in/a.png", tmp_path / "in/b.png"]


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = ["a.png,cat", "b.png,dog", "c.png,cat"]
    orders = [read(tmp_path, "\n".join(["file,label", *some]), FILES) for some in (rows, rows[::-1])]
    assert orders[0] == orders[1]


def test_a_relative_table_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, "file,label\na.png,cat\nb.png,dog\n")
    monkeypatch.chdir(tmp_path)
    found = read_source(Path("labels.csv"), TableChoice())
    assert found.root.resolve() == tmp_path.resolve()
    assert all(os.path.isabs(sample.file) for sample in found.samples)  # noqa: PTH117 - of each as it is


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n,cat\n", "row 2, column 'file': there is no path; write one, or remove the row"),
        (
            "file,label\na.png,cat\nx.png,dog\ny.png,dog\n",
            "row 3, column 'file': there is no file 'x.png' in {root} (2 of 3 are missing); mend the path",
        ),
        ("file,label\na.png,cat\n./a.png,dog\n", "row 3, column 'file': './a.png' is in row 2 already; keep one row"),
        (f"file,label\n{'x' * 5000},cat\n", "there is no file 'xxx"),
        (
            "file,label,split\na.png,cat,train\nb.png,dog,holdout\n",
            "row 3, column 'split': 'holdout' is no part; write train, validation or test, or leave "
            "the column alone with --split-column none",
        ),
        ("file,label,split\na.png,cat,train\nb.png,dog,\n", "row 3, column 'split': there is no part"),
        ("file,label,split\na.png,cat,test\nb.png,dog,test\n", "has no row of the training part"),
        (
            "file,label,split\na.png,cat,train\nb.png,dog,test\n",
            "class 'dog' has no image to train on; put some of its images into the training part in labels.csv",
        ),
        (
            "file,tags,split\na.png,x|y,train\nb.png,z,test\n",
            "label 'z' has no image to train on; put some of its images",
        ),
        ("a.png,cat\nb.png,dog\n", "labels.csv has no header: its first row names an image; put names above"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_mend(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert message.format(root=tmp_path) in str(caught.value)
    assert "labels.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        ("x,y\n1,cat\n2,dog\n", {}, "no column of labels.csv is called as a column of images is"),
        ("file\na.png\n", {}, "labels.csv: no column is left for labels; name it with --label-column"),
        (
            "file,label,class\na.png,cat,x\nb.png,dog,y\n",
            {},
            "labels.csv: it can't be told which of 'label', 'class' holds the labels; name it with --label-column",
        ),
        ("file,a,b\na.png,cat,1\n", {}, "it can't be told which of 'a', 'b' holds the labels"),
        ("file,label\na.png,cat\n", {"image_column": "img"}, "there is no column of labels.csv named 'img'"),
        ("file,label\na.png,cat\n", {"label_columns": ("labels",)}, "named 'labels'; did you mean 'label'?"),
        ("file,label\na.png,cat\n", {"label_columns": ("file",)}, "the column 'file' can't hold labels as well"),
    ],
)
def test_columns_that_cant_be_told_are_asked_for(
    tmp_path: Path, text: str, choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text, **choice)
    assert message in str(caught.value)


def test_an_unknown_task_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="there is no task named 'multilabel'; did you mean 'multi-label'"):
        TableChoice(task="multilabel").check()


def test_formulas_and_markup_in_cells_are_text(tmp_path: Path) -> None:
    found = read(tmp_path, 'file,label\na.png,"=1+1"\nb.png,<script>\n')
    assert found.labels == ("<script>", "=1+1")
    with pytest.raises(HeadstartError):
        read(tmp_path, "file,label\n/etc/../../nothing,cat\n")


def groups(dataset: Dataset) -> list[str | None]:
    return [sample.group for sample in dataset.samples]


def test_a_column_of_groups_is_found_by_its_name(tmp_path: Path) -> None:
    found = read(tmp_path, "file,label,Patient_ID\na.png,cat,7\nb.png,dog,8\nc.png,cat,7\nd.png,dog,\n")
    assert groups(found) == ["7", "8", "7", None]
    assert choices(found)["groups"] == (
        "column 'Patient_ID'",
        "called as such columns are; 2 groups, and 1 image of none",
    )
    assert choices(found)["labels"] == ("column 'label'", "called as such columns are")


def test_a_column_of_groups_can_be_named_or_let_go(tmp_path: Path) -> None:
    text = "file,label,patient,farm\na.png,cat,7,x\nb.png,dog,8,x\nc.png,cat,7,y\n"
    named = read(tmp_path, text, group_column="farm")
    assert groups(named) == ["x", "x", "y"]
    assert choices(named)["groups"] == ("column 'farm'", "as asked; 2 groups")
    assert groups(read(tmp_path, text, group_column="none")) == [None] * 3
    assert TableChoice(group_column="farm").options() == ["--group-column", "farm"]


def test_a_column_that_is_called_none_can_be_named(tmp_path: Path) -> None:
    assert groups(read(tmp_path, "file,label,none\na.png,cat,7\nb.png,dog,8\n", group_column="none")) == ["7", "8"]


@pytest.mark.parametrize(
    "text",
    [
        "file,label,patient\na.png,cat,1\nb.png,dog,2\n",  # a name an image tells nothing of them together
        "file,patient\na.png,1\nb.png,2\nc.png,1\n",  # it is what is to be predicted
        "file,label,patient,slide\na.png,cat,1,x\nb.png,dog,1,x\n",  # it can't be told which
    ],
)
def test_groups_are_not_made_of_any_column(tmp_path: Path, text: str) -> None:
    assert set(groups(read(tmp_path, text, label_columns=(text.split(",")[1].split()[0],)))) == {None}


def test_labels_and_paths_are_no_groups(tmp_path: Path) -> None:
    for column in ("file", "label"):
        with pytest.raises(UsageError, match=f"the column '{column}' can't hold groups as well"):
            read(tmp_path, "file,label\na.png,cat\nb.png,dog\n", label_columns=("label",), group_column=column)
    with pytest.raises(UnknownNameError, match="named 'patint'; did you mean 'patient'"):
        read(tmp_path, "file,label,patient\na.png,cat,1\nb.png,dog,1\n", group_column="patint")


def test_a_column_of_parts_can_be_named_or_let_go(tmp_path: Path) -> None:
    text = "file,label,fold,split\na.png,cat,train,test\nb.png,dog,train,train\nc.png,cat,test,train\n"

    def parts(**choice: Any) -> list[Part | None]:
        return [sample.part for sample in read(tmp_path, text, **choice).samples]

    assert parts() == ["test", "train", "train"]
    assert parts(split_column="fold") == ["train", "train", "test"]
    assert parts(split_column="none") == [None] * 3
    assert TableChoice(split_column="fold").options() == ["--split-column", "fold"]
    told = read(tmp_path, text, split_column="fold").choices
    assert ("parts", "column 'fold'", "as asked") in told
    with pytest.raises(UsageError, match="the column 'label' can't hold splits as well; name another with --split-col"):
        read(tmp_path, text, label_columns=("label",), split_column="label")
    with pytest.raises(DataError, match="row 2, column 'label': 'cat' is no part"):
        read(tmp_path, text, label_columns=("fold",), split_column="label")
