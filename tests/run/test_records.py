from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headstart.errors import RunError
from headstart.run import Manifest, ViewRecord
from headstart.run.records import FORMAT, read_manifest, sha256_of

MEND = "give a folder that `headstart train` wrote"


def write(folder: Path, manifest: Manifest, **changes: Any) -> Path:
    """The manifest in a folder, with fields put in place of its own."""
    fields = json.loads(manifest.model_dump_json()) | changes
    (folder / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_can_not_be_changed(manifest: Manifest) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest.temperature = 1.0


SPEC = {"height": 32, "width": 32, "interpolation": "bilinear", "offset": 127.5, "divisor": 127.5}
TAMPERED: list[tuple[dict[str, Any], str]] = [
    ({"payload": "x"}, "payload: Extra inputs are not permitted"),
    ({"labels": "cat"}, "labels: Input should be a valid array"),
    ({"labels": ["cat", 7]}, "labels.1: Input should be a valid string"),
    ({"temperature": "0.5"}, "temperature: Input should be a valid number"),
    ({"temperature": 0}, "temperature: Input should be greater than 0"),
    ({"temperature": -1}, "temperature: Input should be greater than 0"),
    ({"temperature": float("inf")}, "temperature: Input should be a finite number"),
    ({"format": "1"}, "format: Input should be a valid integer"),
    ({"base": {"name": "untrained"}}, "base.revision: Field required"),
    ({"base": "untrained"}, "base: Input should be an object"),
    ({"choices": [{"what": "base", "value": "x", "reason": "y", "z": 1}]}, "choices.0.z: Extra inputs are not"),
    ({"files": ["network.bin"]}, "files: Input should be an object"),
    ({"test_views": []}, "test_views: Tuple should have at least 1 item"),
    ({"test_views": [{"quarter_turns": 4}]}, "test_views.0.quarter_turns: Input should be less than or equal to 3"),
    ({"test_views": [{"crop": 1}]}, "test_views.0.crop: Extra inputs are not permitted"),
    ({"image_spec": {}}, "image_spec.height: Field required"),
    ({"image_spec": SPEC | {"height": "32"}}, "image_spec.height: Input should be a valid integer"),
    ({"image_spec": SPEC | {"width": 0}}, "image_spec.width: Input should be greater than 0"),
    ({"image_spec": SPEC | {"width": 10**6}}, "image_spec.width: Input should be less than or equal to 4096"),
    ({"image_spec": SPEC | {"divisor": 0}}, "image_spec.divisor: Input should be greater than 0"),
    ({"image_spec": SPEC | {"divisor": [1.0, 0.0, 1.0]}}, "image_spec.divisor: Input should be greater than 0"),
    ({"image_spec": SPEC | {"offset": [1.0, 2.0]}}, "image_spec: Value error, offset and divisor are one number each"),
    ({"image_spec": SPEC | {"height": [32, 32, 32]}}, "image_spec.height: Input should be a valid integer"),
    ({"image_spec": SPEC | {"channels": "rbg"}}, "image_spec.channels: Input should be 'rgb' or 'bgr'"),
    ({"image_spec": SPEC | {"interpolation": "nearest"}}, "image_spec.interpolation: Input should be 'bilinear'"),
    ({"image_spec": SPEC | {"code": "x"}}, "image_spec.code: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("changes", "message"), TAMPERED, ids=range(len(TAMPERED)))
def test_a_manifest_that_was_tampered_with_is_refused_with_the_place(
    tmp_path: Path, manifest: Manifest, changes: dict[str, Any], message: str
) -> None:
    write(tmp_path, manifest, **changes)
    with pytest.raises(RunError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.json'} isn't a manifest: {message}")
    assert caught.value.mend == MEND


@pytest.mark.parametrize("text", ["", "not JSON", "{", "[]", "3", "null"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.json'} isn't a manifest: the file: ")


def test_a_manifest_from_before_views_were_averaged_over_has_the_plain_one(tmp_path: Path, manifest: Manifest) -> None:
    fields = json.loads(manifest.model_dump_json())
    del fields["test_views"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    assert read_manifest(tmp_path).test_views == (ViewRecord(quarter_turns=0, mirrored=False),)


def test_a_field_that_is_missing_is_named(tmp_path: Path, manifest: Manifest) -> None:
    fields = json.loads(manifest.model_dump_json())
    del fields["labels"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(RunError, match="isn't a manifest: labels: Field required; give a folder that"):
        read_manifest(tmp_path)


def test_another_format_is_named_even_where_its_fields_are_others(tmp_path: Path, manifest: Manifest) -> None:
    write(tmp_path, manifest, format=FORMAT + 1, invented_later=True)
    with pytest.raises(RunError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} is a run of format 2; this Headstart reads format 1; "
        "train again, or use the Headstart that made it"
    )


@pytest.mark.parametrize("kind", ["missing", "folder", "not UTF-8"])
def test_a_folder_without_a_readable_manifest_is_no_run(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "manifest.json").mkdir()
    elif kind == "not UTF-8":
        (tmp_path / "manifest.json").write_bytes(b'{"format": "\xff"}')
    with pytest.raises(RunError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == f"{tmp_path} isn't a run: it has no readable manifest.json; {MEND}"


def test_the_sum_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


LABELS: dict[str, Any] = {"kind": "multi-label", "thresholds": [0.5, 0.3]}
NUMBER: dict[str, Any] = {"kind": "regression", "mean": 1.0, "deviation": 2.0, "coverage": 0.9, "half_width": 1.5}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "classes"),
        ({"task": LABELS}, "multi-label"),
        ({"task": NUMBER, "labels": ["weight"]}, "regression"),
        ({"task": NUMBER | {"half_width": None}, "labels": ["weight"]}, "regression"),
    ],
)
def test_every_task_comes_back(tmp_path: Path, manifest: Manifest, changes: dict[str, Any], kind: str) -> None:
    assert read_manifest(write(tmp_path, manifest, **changes)).task.kind == kind


def test_a_manifest_without_a_task_is_of_classes(tmp_path: Path, manifest: Manifest) -> None:
    fields = json.loads(manifest.model_dump_json())
    del fields["task"]
    (tmp_path / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": {"kind": "guess"}}, "task: Input tag 'guess' found using 'kind' does not match any of the expected"),
        ({"task": {}}, "task: Unable to extract tag using discriminator 'kind'"),
        ({"task": {"kind": "classes", "x": 1}}, "task.classes.x: Extra inputs are not permitted"),
        ({"task": LABELS | {"thresholds": [0.5]}}, "the file: Value error, there must be as many thresholds as labels"),
        ({"task": LABELS | {"thresholds": [0.5, 1.5]}}, "thresholds.1: Input should be less than or equal to 1"),
        ({"task": LABELS | {"thresholds": [0.5, "0.5"]}}, "thresholds.1: Input should be a valid number"),
        ({"task": NUMBER}, "the file: Value error, a regression has one label, the number's name"),
        ({"task": NUMBER | {"deviation": 0}}, "task.regression.deviation: Input should be greater than 0"),
        ({"task": NUMBER | {"mean": float("nan")}}, "task.regression.mean: Input should be a finite number"),
        ({"task": NUMBER | {"half_width": -1}}, "half_width: Input should be greater than or equal to 0"),
        ({"task": NUMBER | {"coverage": 1}}, "task.regression.coverage: Input should be less than 1"),
    ],
)
def test_a_task_that_was_tampered_with_is_refused(
    tmp_path: Path, manifest: Manifest, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError) as caught:
        read_manifest(write(tmp_path, manifest, **changes))
    assert message in str(caught.value)
