"""What a run leaves for people to read: `report.html`, one self-contained page, and the model card `README.md`.

Both are made from the files in the run's folder, and the same files make the same bytes again. The pages of an audit,
of a ranking and of a comparison are made likewise, from what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from headstart.images.file import ImageFile
from headstart.report.audit_page import render_audit
from headstart.report.card import render_card
from headstart.report.comparison_page import render_comparison
from headstart.report.evidence import read_evidence
from headstart.report.page import render_page
from headstart.report.ranking_page import render_ranking
from headstart.run import CARD, REPORT, Manifest

__all__ = ["render_audit", "render_comparison", "render_ranking", "write_card", "write_report"]


def write_report(folder: Path, manifest: Manifest, files: Mapping[str, ImageFile] = MappingProxyType({})) -> None:
    """Write `report.html` into a run's folder, finished or in the making.

    The thumbnails are read from the manifest's data root; one whose original is gone becomes a note.

    Args:
        folder: of the run.
        manifest: of the run.
        files: images at hand, by name, so that they needn't be found again; arrays in memory couldn't be.

    Raises:
        RunError: a file of the run is missing or isn't as `train` writes it.
        OSError: the report can't be written.
    """
    page = render_page(replace(read_evidence(folder, manifest), files=files))
    (folder / REPORT).write_text(page, encoding="utf-8", newline="")


def write_card(folder: Path, manifest: Manifest) -> None:
    """Write the model card, `README.md`, into a run's folder, finished or in the making.

    Raises:
        RunError: a file of the run is missing or isn't as `train` writes it.
        OSError: the card can't be written.
    """
    card = render_card(read_evidence(folder, manifest))
    (folder / CARD).write_text(card, encoding="utf-8", newline="")
