"""Near-duplicates: pictures that were saved again, made smaller, cut a little, or made brighter.

They pass for different images and aren't: with one in the training part and the other in the test part, the figure at
the end flatters. Networks are no help in finding them: pooled features of a copy whose edges were cut differ more from
its original's than those of another solar cell do. So pictures themselves are compared. Each one's nearest by its broad
pattern (the lowest frequencies of its cosine transform, which a slight cut hardly changes) are laid over it, and those
that then agree are near-duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from headstart.features.extract import cpu_cores
from headstart.inspection.alignment import coarsened, lay_coarsely, lay_finely

# Of the cosine transform of the inner part of a thumbnail, along each axis; its mean is left out.
FREQUENCIES = 8
EDGE = 0.07
# How many of the nearest are laid over a picture, and how near they must be (cosine). Of 525 copies that were cut by 1
# to 4 % at each side, among all solar cells, 500 are found by the nearest 12, 514 by 24 and 524 by 48; of 500 among
# 20,000 pieces of cells, 498 by any of these (by hand).
NEAREST, NEAR = 48, 0.4
# Among no more than so many, each is laid over every other: what is usual among so few can't be told.
FEW = 64
# Correlation of two pictures that are near-duplicates. On the solar cells 98 in 100 images have no other that is as
# like; copies that were saved again, shrunk or darkened came to 0.999, those cut by up to a twentieth mostly to more
# than 0.996 (by hand; ``benchmarks/audit.py`` counts what is found).
SAME = 0.9955
# What differs so much on the coarse pictures differs on the fine ones too.
ALIKE_WHEN_COARSE = 0.95
# Pictures with less contrast, as a share of the whole range, have nothing to tell them apart by.
FLAT = 0.01
ROWS_AT_ONCE, SEARCHED_AT_ONCE, PAIRS_AT_ONCE = 512, 8192, 512


@dataclass(frozen=True)
class Pair:
    """Two images that are the same picture.

    Attributes:
        first, second: their places, the smaller first.
        likeness: their correlation, at most 1.
    """

    first: int
    second: int
    likeness: float


def near_duplicates(
    thumbnails: np.ndarray, contrast: np.ndarray, advance: Callable[[int], None] = lambda count: None
) -> list[Pair]:
    """All pairs of near-duplicates, by place.

    Args:
        thumbnails: grey, blurred, 0…255, shape (images, side, side); different images, no copies of a file.
        contrast: standard deviation of an image's grey values as a share of their range, shape (images,).
        advance: called with the number of images done since the last call.
    """
    shown = np.flatnonzero(contrast >= FLAT)
    patterns, coarse = _described(thumbnails, shown)
    pairs = _candidates(patterns)
    blocks = [pairs[start : start + PAIRS_AT_ONCE] for start in range(0, len(pairs), PAIRS_AT_ONCE)]
    found: list[Pair] = []
    with ThreadPoolExecutor(cpu_cores()) as pool:  # NumPy works outside Python's lock
        for number, alike in enumerate(pool.map(lambda block: _alike(thumbnails, shown, coarse, block), blocks), 1):
            found += alike
            advance(number * len(thumbnails) // len(blocks) - (number - 1) * len(thumbnails) // len(blocks))
    if not blocks:
        advance(len(thumbnails))
    return found


def _alike(thumbnails: np.ndarray, shown: np.ndarray, coarse: np.ndarray, pairs: np.ndarray) -> list[Pair]:
    """Those pairs, of places in `shown`, that are the same picture."""
    first, second = (coarse[ends].astype(np.float32) for ends in pairs.T)
    overlay, likeness = lay_coarsely(first, second)
    close = np.flatnonzero(likeness >= ALIKE_WHEN_COARSE)
    ends = shown[pairs[close]]
    first, second = (_logarithms(thumbnails[some]) for some in ends.T)
    found = lay_finely(first, second, overlay.some(close))
    same = np.flatnonzero(found >= SAME)
    return [Pair(int(ends[place, 0]), int(ends[place, 1]), float(found[place])) for place in same]


def groups(pairs: Sequence[Pair]) -> list[tuple[int, ...]]:
    """Images that are linked by pairs, each group in order, by its first."""
    links: dict[int, int] = {}

    def first(place: int) -> int:
        while place in links:
            place = links[place]
        return place

    for pair in pairs:
        ahead, behind = sorted((first(pair.first), first(pair.second)))
        if ahead != behind:
            links[behind] = ahead
    found: dict[int, list[int]] = {}
    for place in sorted({place for pair in pairs for place in (pair.first, pair.second)}):
        found.setdefault(first(place), []).append(place)
    return [tuple(group) for group in found.values()]


def linked(digests: Sequence[str], pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """The digests of images that are linked by pairs, group by group; `digests` has all, by place."""
    return [tuple(digests[place] for place in group) for group in groups(pairs)]


def _described(thumbnails: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What pairs are found by: broad patterns, and coarse pictures; a row an image that is shown.

    Returns:
        How patterns differ from the data set's usual one, of length 1, float32, shape (images, 63); and coarse pictures
        as float16.
    """
    from scipy.fft import dctn

    edge = round(EDGE * thumbnails.shape[-1])
    rows, coarse = [np.zeros((0, FREQUENCIES**2 - 1), np.float32)], []
    for start in range(0, len(shown), ROWS_AT_ONCE):
        pictures = _logarithms(thumbnails[shown[start : start + ROWS_AT_ONCE]])
        coarse.append(coarsened(pictures).astype(np.float16))
        waves = dctn(pictures[:, edge:-edge, edge:-edge], axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
        rows.append(waves.reshape(len(pictures), -1)[:, 1:])
    patterns = np.concatenate(rows)
    if len(patterns) > 1:
        patterns = (patterns - patterns.mean(axis=0)) / np.maximum(patterns.std(axis=0), 1e-6)
    patterns = patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-9)
    return np.asarray(patterns, np.float32), np.concatenate(coarse) if coarse else np.zeros((0, 0, 0), np.float16)


def _candidates(patterns: np.ndarray) -> np.ndarray:
    """Pairs, each once, of which one is among the nearest of the other; int, shape (pairs, 2), in order."""
    from sklearn.neighbors import NearestNeighbors

    count = len(patterns)
    if count <= FEW:
        return np.array(list(combinations(range(count), 2)), np.int64).reshape(-1, 2)
    # Of rows of length 1, the nearest by angle are the nearest by distance. Every row is compared with all others, in
    # blocks and on all cores, since an index wouldn't be exact and a hundred thousand images take a minute.
    search = NearestNeighbors(n_neighbors=min(NEAREST + 1, count), algorithm="brute").fit(patterns)
    found: list[np.ndarray] = []
    for start in range(0, count, SEARCHED_AT_ONCE):
        rows = np.arange(start, min(start + SEARCHED_AT_ONCE, count))
        distances, places = search.kneighbors(patterns[rows])
        near = (1 - distances**2 / 2 >= NEAR) & (places != rows[:, None])
        ends = np.stack([np.broadcast_to(rows[:, None], places.shape)[near], places[near]])
        found.append(np.unique(ends.min(axis=0) * count + ends.max(axis=0)))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), count), axis=1)


def _logarithms(pictures: np.ndarray) -> np.ndarray:
    """In which brighter and darker is an offset."""
    return np.log1p(pictures.astype(np.float32))
