"""Whether it is the first layers that should be tuned, which no cut further up would reach."""

from __future__ import annotations

import numpy as np

from headstart.images.file import read_file
from headstart.learn.input_shift import SHIFTED, low_level_shift
from headstart.learn.probe import Probe
from headstart.workflow.images import Images, from_all_over
from headstart.workflow.session import Session

# Where the probe's loss on held-out images is more than this share of that of guessing, features say little.
COLLAPSED = 0.75
LOOKED_AT = 32


def has_input_shift(session: Session, images: Images, probe: Probe) -> bool:
    """Whether features say little about these images, and their low-level statistics differ from pretraining's.

    Both are needed: solar cells have statistics of their own too, and features that tell them apart all the same.
    """
    left = probe.share_of_guessing
    if left is None:
        return False
    measured = f"on held-out images the probe's log loss is {left:.0%} of that of guessing"
    if left <= COLLAPSED:
        reason = f"{measured}; up to {COLLAPSED:.0%} features say enough for the first layers to stay"
        session.choose("input-level shift", "none", reason)
        return False
    shift = low_level_shift(session.features.model, _some(images, session))
    if shift is None:
        session.choose("input-level shift", "unknown", f"{measured}, but the base has no BatchNorm to compare with")
        return False
    compared = f"{measured}, and what the first layer gives is {shift:.2f} nats from pretraining's"
    if shift <= SHIFTED:
        session.choose("input-level shift", "none", f"{compared}; up to {SHIFTED:g} photographs are")
        return False
    session.choose(
        "input-level shift", "yes", f"{compared}, more than {SHIFTED:g}; --finetune-from input trains it too"
    )
    session.watch.say(
        "These images differ from those that the base was pretrained on even in brightness, contrast or texture, and "
        "the probe tells little about them. Training the whole base may help: --finetune-from input"
    )
    return True


def _some(images: Images, session: Session) -> np.ndarray:
    """Inputs from all over the training part."""
    chosen = from_all_over(images.files("train"), LOOKED_AT)
    return np.stack([session.features.base.spec.render(read_file(file))[0] for file in chosen])
