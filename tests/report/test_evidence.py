from __future__ import annotations

import pytest

from headstart.errors import RunError
from headstart.report.evidence import QuarantinedFile, read_evidence


def test_reads_what_was_written(fake_run) -> None:
    run = fake_run(images=4)
    evidence = read_evidence(run.folder, run.write())
    assert evidence.predictions.files == ("0000.png", "0001.png", "0002.png", "0003.png")
    assert evidence.predictions.labels.tolist() == [0, 1, 0, 1]
    assert evidence.predictions.probabilities.sum(axis=1) == pytest.approx(1)
    assert evidence.quarantined == (QuarantinedFile("functional/broken.png", "damaged or cut short", 12_345),)
    assert evidence.part_counts["defective", "train"] == 2
    assert evidence.test["n"] == 4


@pytest.mark.parametrize(
    ("root", "name"), [("/data/cells", "cells"), ("C:\\data\\cells\\", "cells"), ("/", "images"), ("cells", "cells")]
)
def test_is_named_after_the_images_folder(fake_run, root: str, name: str) -> None:
    run = fake_run(images=2)
    manifest = run.write()
    moved = manifest.model_copy(update={"data": manifest.data.model_copy(update={"root": root})})
    assert read_evidence(run.folder, moved).name == name


@pytest.mark.parametrize("file", ["metrics.json", "predictions.csv", "quarantine.csv", "split.csv"])
@pytest.mark.parametrize("content", [None, b"file,label\nx,unknown\n"])
def test_what_train_didnt_write_is_refused(fake_run, file: str, content: bytes | None) -> None:
    run = fake_run(images=2)
    manifest = run.write()
    (run.folder / file).unlink() if content is None else (run.folder / file).write_bytes(content)
    with pytest.raises(RunError, match=r"can't be read for its report .*; copy the whole run folder again"):
        read_evidence(run.folder, manifest)
