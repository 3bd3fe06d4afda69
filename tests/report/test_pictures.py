from __future__ import annotations

from headstart.report.evidence import read_evidence
from headstart.report.pictures import picture


def test_a_picture_has_its_thumbnail_and_tidy_names(fake_run) -> None:
    run = fake_run(images=2)
    evidence = read_evidence(run.folder, run.write())
    found = picture(evidence, "0000.png", "is\nthis", "x" * 90, "surely", is_right=True)
    assert found.data is not None
    assert found.data.startswith("data:image/jpeg;base64,")
    assert (found.name, found.label, found.note, found.is_right) == ("0000.png", "is\ufffdthis", "surely", True)
    assert len(found.predicted) == 48


def test_an_original_that_is_gone_has_no_thumbnail(fake_run) -> None:
    run = fake_run(images=2)
    evidence = read_evidence(run.folder, run.write())
    found = picture(evidence, "deep/gone.png", "a", "b", "", is_right=False)
    assert (found.data, found.name, found.file) == (None, "gone.png", "deep/gone.png")
