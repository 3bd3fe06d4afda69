"""Which bases are compared, at which sizes of the input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.catalog import get_base
from headstart.catalog.base import Base
from headstart.catalog.keras_weights import located_bases, with_lookup
from headstart.catalog.lookup import make_lookup
from headstart.data.dataset import Dataset
from headstart.errors import UsageError
from headstart.progress import Display
from headstart.workflow.base_choice import ImageSize, sides
from headstart.workflow.input_size import STEP, smaller_input

# The smaller input as a share of the base's own side: about half of the time for an image.
SMALLER = 0.7


@dataclass(frozen=True)
class CandidateChoice:
    """What the user says about the bases to compare.

    Attributes:
        bases: by name, or the bases themselves; none for all whose weights are here.
        image_sizes: sides of their inputs in pixels, or heights and widths; none for each one's own and a smaller one.
        weights: a folder of weights, or an http(s) address that has them.
        offline: whether the network is out of bounds.
    """

    bases: tuple[str | Base, ...] = ()
    image_sizes: tuple[ImageSize, ...] = ()
    weights: str | Path | None = None
    offline: bool = False

    def resolve(self, cache: Path, display: Display | None) -> list[Base]:
        """The bases, at their own sizes, with their weights on this machine: the cheapest first.

        Raises:
            UsageError: a name isn't known, or there is no base whose weights are here.
            WeightsError: the weights of one that was named aren't here and can't be fetched.
        """
        lookup = make_lookup(self.weights, offline=self.offline, cache=cache, display=display)
        if lookup.file is not None:
            raise UsageError("a weights file is of one base alone", "name a folder of weights files with --weights")
        if self.bases:
            named = [get_base(base) if isinstance(base, str) else base for base in self.bases]
            found = [with_lookup(base, lookup) for base in {base.name: base for base in named}.values()]
            for base in found:
                base.weights.require()
        else:
            found = [with_lookup(base, lookup) for base in located_bases(cache)]
            found = [base for base in found if base.weights.is_here()]
        if not found:
            raise UsageError("there is no base whose weights are here", "name some with --bases; they are fetched then")
        return sorted(found, key=lambda base: base.parameters * base.spec.height * base.spec.width)

    def sized(self, bases: Sequence[Base], dataset: Dataset) -> list[Base]:
        """All bases at all sizes that are compared: every one at its largest first, so that a short time sees all.

        Raises:
            UsageError: one can't take a size that was asked for.
        """
        at_sizes = [self.at_sizes(base, dataset) for base in bases]
        most = max(map(len, at_sizes))
        return [of_base[place] for place in range(most) for of_base in at_sizes if place < len(of_base)]

    def at_sizes(self, base: Base, dataset: Dataset) -> list[Base]:
        """A base at each size that is compared, the largest first.

        Raises:
            UsageError: it can't take a size that was asked for.
        """
        if self.image_sizes:
            sized = [base.with_size(*sides(size)) for size in self.image_sizes]
        else:
            sized = [base, smaller_input(base, dataset) or _smaller(base)]
        pixels = {(each.spec.height, each.spec.width): each for each in sized}
        return [pixels[size] for size in sorted(pixels, reverse=True)]


def _smaller(base: Base) -> Base:
    height, width = (
        max(base.smallest, STEP, round(SMALLER * side / STEP) * STEP) for side in (base.spec.height, base.spec.width)
    )
    return base.with_size(height, width)
