"""What the report and the card say differently of each kind of thing that is predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from headstart.report.evidence import Evidence
from headstart.report.findings import Finding

Sections = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A measure on the test part.

    Attributes:
        name: as people call it.
        meaning: what it is in plain words.
        value: in words.
        interval: its 95 % interval in words.
        alone: the name where no meaning stands beside it; empty for the same.
    """

    name: str
    meaning: str
    value: str
    interval: str
    alone: str = ""


@dataclass(frozen=True)
class Column:
    """A measure that the candidates are shown by: its title, its name in metrics.json, and how it is written."""

    title: str
    key: str
    show: Callable[[float], str]


class Story(ABC):
    """All that depends on what is predicted.

    Args:
        evidence: the run's files.

    Attributes:
        template: the page's.
        title: what the run is, as the card's heading has it.
        first_sections, last_sections: those before and after the section about training, each its id and title.
        printed: what the card's example prints of a prediction.
        counted: what the data's table counts images of.
    """

    template: ClassVar[str]
    title: ClassVar[str]
    first_sections: ClassVar[Sections]
    last_sections: ClassVar[Sections]
    printed: ClassVar[str]
    counted: ClassVar[str]

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @property
    @abstractmethod
    def purpose(self) -> str:
        """What it does, after "it"."""

    @property
    def lede(self) -> str:
        """The same as a sentence."""
        return f"{self.purpose[:1].upper()}{self.purpose[1:]}."

    @property
    @abstractmethod
    def verdict(self) -> str:
        """How good it is, in one sentence."""

    @property
    @abstractmethod
    def headline(self) -> str:
        """The one figure that stands large."""

    @property
    @abstractmethod
    def headline_note(self) -> str:
        """What figure that is; empty where the verdict says so."""

    @property
    @abstractmethod
    def findings(self) -> list[Finding]:
        """The context that an honest reader of the verdict asks for."""

    @property
    @abstractmethod
    def lines(self) -> list[Line]:
        """Every measure."""

    @property
    @abstractmethod
    def limits(self) -> list[str]:
        """What the figures can't tell."""

    @property
    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """What the candidates are compared by."""

    @property
    @abstractmethod
    def loss_name(self) -> str:
        """What fine-tuning must lower."""

    @property
    @abstractmethod
    def loss_unit(self) -> str:
        """Its unit, after a space; empty where it has none."""

    @property
    @abstractmethod
    def curve(self) -> Column:
        """What is drawn of each epoch beside the loss."""

    @property
    @abstractmethod
    def curves_note(self) -> str:
        """What must be known to read the training curves; empty for nothing."""

    @property
    @abstractmethod
    def settings(self) -> list[tuple[str, str]]:
        """What a network's scores are read by, each its name and value."""

    @property
    @abstractmethod
    def meaning(self) -> str:
        """What the example's last figure means."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the page's template shows beside all that."""
