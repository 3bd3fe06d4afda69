"""Model soups: one network whose weights are the mean of several that were fine-tuned from one start.

Networks that set out from the same weights mostly end in one basin, so that the mean of their weights is a network too,
and often a better one than each of them; asked about an image it takes no longer than one (Wortsman et al. 2022,
arXiv:2203.05482).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Weights = list[np.ndarray]


@dataclass(frozen=True)
class Soup:
    """The mean of some networks' weights.

    Attributes:
        weights: in the networks' order.
        members: which of the candidates are in it, the best first.
        loss: on validation.
    """

    weights: Weights
    members: tuple[int, ...]
    loss: float


def greedy_soup(candidates: Sequence[Weights], losses: Sequence[float], loss_of: Callable[[Weights], float]) -> Soup:
    """Start from the best network, and put in another wherever that makes the loss smaller.

    Args:
        candidates: the weights of each network; all have the same shapes.
        losses: of each on validation.
        loss_of: of a network with other weights, on the same images.
    """
    first, *others = sorted(range(len(candidates)), key=lambda number: losses[number])
    soup = Soup(candidates[first], (first,), losses[first])
    for number in others:
        weights = _mixed(soup, candidates[number])
        loss = loss_of(weights)
        if loss < soup.loss:
            soup = Soup(weights, (*soup.members, number), loss)
    return soup


def _mixed(soup: Soup, other: Weights) -> Weights:
    """The mean with one more network in it; weights that are the same in all stay exactly as they are."""
    share = 1 / (len(soup.members) + 1)
    return [mean + share * (added - mean) for mean, added in zip(soup.weights, other, strict=True)]
