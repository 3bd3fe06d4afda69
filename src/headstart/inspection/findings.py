"""What an audit comes to: findings in plain words, each with the images that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Tone = Literal["good", "fair", "poor"]


@dataclass(frozen=True)
class Item:
    """Images that a finding is about, to be looked at together.

    Attributes:
        files: their names in the data set.
        labels: what is said of each, in words.
        note: what was found, in a few words.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Decided:
    """What was decided for the user, its value, and the reason."""

    what: str
    value: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        key: its name in documents, such as "near-duplicates".
        title: its name for people.
        tone: good where nothing was found, poor where it spoils a figure, fair where it is to be looked at.
        sentence: what was found.
        mend: what to do about it; empty where nothing is to be done.
        items: what it is about, the worst first.
    """

    key: str
    title: str
    tone: Tone
    sentence: str
    mend: str = ""
    items: tuple[Item, ...] = ()

    @property
    def images(self) -> int:
        """How many different files it is about."""
        return len({file for item in self.items for file in item.files})

    def summary(self) -> dict[str, Any]:
        """As a JSON object, without the files."""
        told = {"key": self.key, "title": self.title, "tone": self.tone, "sentence": self.sentence, "mend": self.mend}
        return told | {"images": self.images}


@dataclass(frozen=True)
class DataAudit:
    """The audit of a data set.

    Attributes:
        root: where its files lie; `source` is what was asked for.
        source: as the user named it.
        task: what its labels say; "unlabelled" where there are none.
        counts: images a class, a label, or in all.
        parts: images a part, where parts were given.
        sizes: the smallest, the median and the largest width and height, in pixels.
        formats: images a file format.
        choices: what was decided on the way.
        findings: in the order in which they are told.
        fixed: what `--fix` writes: a row per image that can be used.
        seconds: that it took.
    """

    root: str
    source: str
    task: str
    counts: Mapping[str, int]
    parts: Mapping[str, int]
    sizes: Mapping[str, tuple[int, int]]
    formats: Mapping[str, int]
    choices: Sequence[Decided]
    findings: Sequence[Finding]
    fixed: Sequence[FixedRow]
    seconds: float

    @property
    def images(self) -> int:
        """How many images can be used."""
        return len(self.fixed)

    def as_dict(self) -> dict[str, Any]:
        """As a JSON document, without the rows that `--fix` writes."""
        return {
            "source": self.source,
            "root": self.root,
            "task": self.task,
            "images": self.images,
            "counts": dict(self.counts),
            "parts": dict(self.parts),
            "sizes": {name: list(size) for name, size in self.sizes.items()},
            "formats": dict(self.formats),
            "choices": [asdict(choice) for choice in self.choices],
            "findings": [asdict(finding) | {"images": finding.images} for finding in self.findings],
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class FixedRow:
    """A usable image, as the cleaned table has it.

    Attributes:
        file: its name in the data set.
        label: as a table has it.
        part: that was given, or empty.
        group: of images that must stay together, or empty.
        finding: what is to be looked at, or empty.
        is_copy: whether a row before has the same bytes.
        weight: how much it counts in learning, if that is said.
    """

    file: str
    label: str
    part: str
    group: str
    finding: str
    is_copy: bool
    weight: float | None = None
