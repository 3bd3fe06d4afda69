from __future__ import annotations

import json

from headstart.inspection.findings import DataAudit, Decided, Finding, FixedRow, Item


def test_an_audit_is_a_json_document() -> None:
    item = Item(("a/1.png", "a/2.png"), ("a", "a"), "2 times the same")
    finding = Finding("exact-duplicates", "Exact duplicates", "fair", "1 file is a copy.", "Nothing.", (item, item))
    rows = [FixedRow(name, "a", "", "", "", is_copy) for name, is_copy in (("a/1.png", False), ("a/2.png", True))]
    sizes = {"smallest": (8, 9)}
    audit = DataAudit(
        "/data",
        "data",
        "classes",
        {"a": 2},
        {},
        sizes,
        {"PNG": 2},
        [Decided("base", "small", "as asked")],
        [finding],
        rows,
        1.2345,
    )
    document = json.loads(json.dumps(audit.as_dict()))
    assert document["images"] == 2
    assert document["sizes"] == {"smallest": [8, 9]}
    assert document["seconds"] == 1.23
    assert document["choices"] == [{"what": "base", "value": "small", "reason": "as asked"}]
    assert document["findings"][0]["images"] == 2
    assert document["findings"][0]["items"][0] == {
        "files": ["a/1.png", "a/2.png"],
        "labels": ["a", "a"],
        "note": "2 times the same",
    }
