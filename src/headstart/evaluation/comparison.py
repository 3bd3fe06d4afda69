"""Is one classifier better than another, or did it only have luck with these images?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERMUTATIONS = 10_000
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """A challenger against an incumbent on the same images.

    Attributes:
        gain: how much lower the challenger's mean loss is; negative when it is higher.
        p_value: how often chance alone, with no difference between the two, would give such a gain or a larger one.
    """

    gain: float
    p_value: float

    @property
    def is_significant(self) -> bool:
        return self.p_value < SIGNIFICANCE


def compare_paired(incumbent: np.ndarray, challenger: np.ndarray, seed: int) -> Comparison:
    """One-sided sign-flip permutation test on paired losses (Fisher 1935), 10,000 permutations.

    Were the two equally good, each image's difference could as well have the other sign.

    Args:
        incumbent: a loss for each image, float, shape (images,).
        challenger: the other's, on the same images in the same order.
        seed: of the permutations.
    """
    differences = np.asarray(incumbent, np.float64) - challenger
    gain = float(differences.mean())
    # Means of the same numbers under other signs may differ in their last bits alone; such ties count.
    least = gain - 1e-12 * float(np.abs(differences).mean())
    rng = np.random.default_rng(seed)
    at_least = 0
    for _ in range(PERMUTATIONS // 100):
        signs = rng.integers(0, 2, (100, len(differences)), dtype=np.int8) * 2 - 1
        at_least += int(np.count_nonzero((signs * differences).mean(axis=1) >= least))
    # The data as they came count as one of the permutations, so that p is never 0.
    return Comparison(gain, (at_least + 1) / (PERMUTATIONS + 1))
