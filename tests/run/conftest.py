"""A manifest, made without training anything."""

from __future__ import annotations

import pytest

from headstart.run import BaseRecord, Choice, DataRecord, Manifest, SplitRecord


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        headstart="0.1.0",
        created="2027-01-02T03:04:05+00:00",
        command="headstart train photos --out run",
        base=BaseRecord(
            name="untrained", revision=1, weights="seed-0", licence="Apache-2.0", reference="https://…", parameters=6200
        ),
        image_spec={"height": 32, "width": 32, "interpolation": "bilinear", "offset": 127.5, "divisor": 127.5},
        labels=("cat", "dog"),
        temperature=0.5,
        chosen="probe",
        choices=(Choice(what="classifier", value="probe", reason="there was no other"),),
        data=DataRecord(root="/photos", fingerprint="0" * 64, images={"cat": 5, "dog": 6}, quarantined=0, duplicates=0),
        split=SplitRecord(origin="drawn", seed=0, images={"train": 7, "validation": 2, "test": 2}),
        packages={"python": "3.11"},
    )
