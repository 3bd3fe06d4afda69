"""Whether two pictures show the same thing in the same place, once one is laid over the other.

A copy that was cut a little at its edges, and brought back to a size, lies over its original after a shift and a change
of scale along each axis. These four numbers are found by least squares on the difference of grey values, together with
a gain and an offset for changes of brightness (Lucas and Kanade 1981), first on a coarse picture, then on the fine one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of either side, how much is left out of comparison: it may lie outside the other picture.
MARGIN = 1 / 12
# Shifts are in widths of the picture; scales are given as the difference from 1.
LARGEST_STEP, LARGEST = 0.05, 0.15
FINE_STEPS = 4
# Steps on the coarse pictures, and the correlation from which on they are taken. Of 525 solar cells and their copies
# cut by 1 to 4 % at each side, all came to 0.70 before the first step, to 0.88 after one, and to 0.97 after two; of
# pairs whose broad patterns are alike, eight in ten come to less than 0.65 or 0.85 there. With higher ones, 2 of 215
# pairs among 8,000 pieces of cells were lost (by hand).
COARSE_STAGES = ((1, 0.3), (1, 0.65), (4, 0.85))
# Band-pass: what is broader than this share of the picture is taken away, such as the fall of light to the edges.
BROAD = 1 / 12


@dataclass(frozen=True)
class Overlay:
    """How one picture is laid over the other, for many pairs at once.

    Attributes:
        rows, columns: scale less 1, and shift in heights or widths, float32, shape (pairs, 2).
    """

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def none(cls, pairs: int) -> Overlay:
        return cls(np.zeros((pairs, 2), np.float32), np.zeros((pairs, 2), np.float32))

    def lay(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures, shape (pairs, side, side), as they look then."""
        side = pictures.shape[-1]
        return np.asarray(_sampling(self.rows, side) @ pictures @ _sampling(self.columns, side).transpose(0, 2, 1))

    def moved(self, step: np.ndarray) -> Overlay:
        """With a step taken, shape (pairs, 4)."""
        taken = np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        rows, columns = self.rows + taken[:, :2], self.columns + taken[:, 2:]
        return Overlay(np.clip(rows, -LARGEST, LARGEST), np.clip(columns, -LARGEST, LARGEST))

    def chosen(self, other: Overlay, where: np.ndarray) -> Overlay:
        """The other one for some pairs; bool, shape (pairs,)."""
        return Overlay(
            np.where(where[:, None], other.rows, self.rows), np.where(where[:, None], other.columns, self.columns)
        )

    def some(self, which: np.ndarray) -> Overlay:
        return Overlay(self.rows[which], self.columns[which])

    def with_some(self, which: np.ndarray, other: Overlay) -> Overlay:
        """With other ones for the pairs at these places."""
        rows, columns = self.rows.copy(), self.columns.copy()
        rows[which], columns[which] = other.rows, other.columns
        return Overlay(rows, columns)

    def turned_round(self) -> Overlay:
        """How the second is laid over the first."""
        return Overlay(_inverse(self.rows), _inverse(self.columns))

    @property
    def enlarges(self) -> np.ndarray:
        """Where the first picture would have to show more than it does, bool, shape (pairs,)."""
        return np.asarray(self.rows[:, 0] + self.columns[:, 0] > 0)


def coarsened(pictures: np.ndarray) -> np.ndarray:
    """Pictures half as large, blurred more, and 0 on average; float32, shape (pictures, side / 2, side / 2)."""
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(pictures, (0, 2.0, 2.0))
    halved = blurred.reshape(len(pictures), pictures.shape[1] // 2, 2, -1, 2).mean(axis=(2, 4))
    return np.asarray(halved - halved.mean(axis=(1, 2), keepdims=True))


def lay_coarsely(first: np.ndarray, second: np.ndarray) -> tuple[Overlay, np.ndarray]:
    """Lay coarse pictures over each other, as long as they come to be alike.

    Args:
        first: as `coarsened` gives them, float32, shape (pairs, side, side).
        second: likewise, of what each is compared with.

    Returns:
        How, and the correlation that it came to, at most 1, float32, shape (pairs,).
    """
    overlay, found = Overlay.none(len(first)), correlation(first, second)
    for steps, least in COARSE_STAGES:
        left = np.flatnonzero(found >= least)
        laid, found[left] = _fit(first[left], second[left], overlay.some(left), steps)
        overlay = overlay.with_some(left, laid)
    return overlay, found


def lay_finely(first: np.ndarray, second: np.ndarray, overlay: Overlay) -> np.ndarray:
    """How alike pictures are once they are laid over each other: correlation, at most 1; float32, shape (pairs,).

    Args:
        first: logarithms of grey values, float32, shape (pairs, side, side), with an even side, blurred by a pixel or
            more.
        second: likewise, of what each is compared with.
        overlay: what the coarse ones came to.
    """
    swapped = overlay.enlarges  # the smaller cutting-out is the one that is laid under
    upper = np.where(swapped[:, None, None], second, first)
    lower = np.where(swapped[:, None, None], first, second)
    overlay, _ = _fit(upper, lower, overlay.chosen(overlay.turned_round(), swapped), FINE_STEPS)
    laid = overlay.lay(upper)
    return np.asarray(np.minimum(correlation(laid, lower), correlation(_band(laid), _band(lower))))


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of the inner parts of pictures, shape (pairs, side, side); 0 where one is even."""
    one, other = _centred(_inner(first)), _centred(_inner(second))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray(np.einsum("pi,pi->p", one, other) / np.maximum(lengths, 1e-6), np.float32)


def _fit(upper: np.ndarray, lower: np.ndarray, overlay: Overlay, steps: int) -> tuple[Overlay, np.ndarray]:
    """The best overlay found in so many steps, and the correlation that it comes to.

    A step that makes it worse isn't taken, and the next one is damped more (Levenberg 1944, Marquardt 1963).
    """
    laid = overlay.lay(upper)
    best = correlation(laid, lower)
    damping = np.full(len(upper), 1e-3, np.float32)
    target = _inner(lower)
    for _ in range(steps):
        tried = overlay.moved(_step(laid, target, damping))
        laid_again = tried.lay(upper)
        found = correlation(laid_again, lower)
        better = found > best
        overlay = overlay.chosen(tried, better)
        laid = np.where(better[:, None, None], laid_again, laid)
        best = np.maximum(found, best)
        damping = np.where(better, damping * 0.3, damping * 10)
    return overlay, best


def _step(laid: np.ndarray, target: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """By least squares: how the overlay is to change, shape (pairs, 4)."""
    side = laid.shape[-1]
    place = _places(side)
    down, across = np.gradient(laid, axis=1) * side, np.gradient(laid, axis=2) * side
    columns = [down * place[:, None], down, across * place, across, laid, np.ones_like(laid)]
    slopes = np.stack([_inner(column) for column in columns], axis=1)
    even, wanted = _centred(_inner(laid)), _centred(target)
    gain = np.einsum("pi,pi->p", even, wanted) / np.maximum(np.einsum("pi,pi->p", even, even), 1e-9)
    # What the best gain and offset leave; damping is to hold back changes alone.
    left = wanted - gain[:, None] * even
    squares = slopes @ slopes.transpose(0, 2, 1)
    held_back = damping[:, None] * np.einsum("pii->pi", squares) + 1e-9
    squares = squares + held_back[:, None] * np.eye(len(columns), dtype=np.float32)
    solved = np.linalg.solve(squares, slopes @ left[..., None])[..., 0]
    return np.asarray(solved[:, :4] / np.where(np.abs(gain) < 0.1, 1, gain)[:, None])


def _sampling(axis: np.ndarray, side: int) -> np.ndarray:
    """Matrices that take rows from where they lie in the picture below, shape (pairs, side, side).

    By cubic convolution (Keys 1981): between pixels, linear interpolation would blur.
    """
    at = ((1 + axis[:, :1]) * _places(side) + axis[:, 1:] + 0.5) * side - 0.5
    far = np.abs(np.clip(at, 0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32))
    near, next_to = (1.5 * far - 2.5) * far**2 + 1, ((-0.5 * far + 2.5) * far - 4) * far + 2
    weights = np.where(far < 1, near, np.where(far < 2, next_to, 0))
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def _places(side: int) -> np.ndarray:
    """Centres of the pixels of a row, from −½ to ½."""
    return ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)


def _inverse(axis: np.ndarray) -> np.ndarray:
    scale = 1 + axis[:, 0]
    return np.stack([1 / scale - 1, -axis[:, 1] / scale], axis=1)


def _inner(pictures: np.ndarray) -> np.ndarray:
    """Without the margin, shape (pairs, pixels)."""
    margin = round(MARGIN * pictures.shape[-1])
    inner = pictures[:, margin:-margin, margin:-margin]
    return inner.reshape(len(inner), inner.shape[1] * inner.shape[2])


def _centred(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def _band(pictures: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    margin = round(MARGIN * pictures.shape[-1])
    sigma = BROAD * pictures.shape[-1]
    # Within the margin alone, so that what lies outside the other picture has no say.
    inner = pictures[:, margin:-margin, margin:-margin]
    even = inner - gaussian_filter(inner, (0, sigma, sigma))
    return np.pad(even, ((0, 0), (margin, margin), (margin, margin)))
