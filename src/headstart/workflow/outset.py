"""What is settled about fine-tuning before any other view of the images is looked at.

Given a time, or views to average over, the whole network looks at many views of all images before fine-tuning begins:
to find out which of them show an image's class, and to fit the probe to them. Where it is clear by then from which
stage fine-tuning will start, the same pass keeps that stage's maps, which would otherwise take another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.features.boundary import INPUT, size_at
from headstart.images.views import PLAIN, View, make_views
from headstart.learn.finetune import BATCH_SIZE, Recipe
from headstart.learn.freeze import trainable_as_now
from headstart.learn.probe import Probe
from headstart.learn.step_time import seconds_a_step
from headstart.workflow.held_out import FOLDS, is_too_small
from headstart.workflow.images import Images
from headstart.workflow.pace import Effort, Pace, deepest_fitting, looked_at_in_views
from headstart.workflow.session import Session
from headstart.workflow.shift import has_input_shift
from headstart.workflow.tuning_choice import TuningChoice
from headstart.workflow.tuning_plan import VIEWS, Untuned, choose_epochs, choose_stage
from headstart.workflow.view_choice import views_to_see

# With fewer training images a class than this, fine-tuning gains at most a point over the probe and often loses some.
FEWEST_IMAGES_A_CLASS = 50
# Features at the cut may take so much of the store's budget, so that those of other runs aren't all driven out.
SHARE_OF_STORE = 0.5
BYTES_A_NUMBER = 2
# Loading the base into Keras and a first short training take about so long.
LEAST_SECONDS = 25.0


@dataclass(frozen=True)
class Outset:
    """Where fine-tuning sets out from.

    Attributes:
        epochs: passes over the training images.
        stage: the stage above which training fits a fixed effort, or the one that was asked for.
        is_shifted: whether the first layers should be tuned too.
        pace: what a recipe takes on this machine.
        likely: the stage whose maps are worth keeping when the network looks at views; None where it looks at few.
    """

    epochs: int
    stage: str
    is_shifted: bool
    pace: Pace
    likely: str | None

    def around(self, stages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The stages below and above, the deepest first; the input only where the first layers should be tuned."""
        place = stages.index(self.stage)
        return (*([INPUT] if self.is_shifted else []), *stages[:place]), tuple(stages[place + 1 : -1])


def set_out(session: Session, images: Images, probe: Probe, choice: TuningChoice) -> Outset | Untuned:
    """Look whether fine-tuning is wanted and there are images enough, or it is asked for; and choose what can be.

    Args:
        session: the training run.
        images: audited and divided.
        probe: fitted to the plain views.
        choice: what the user says about fine-tuning.
    """
    if untuned := _why_not(session, images, choice):
        return untuned
    with session.watch.stage("prepare", "Loading the base into Keras", total=None, unit="steps"):
        epochs = choose_epochs(session, images, choice)
        stage = choose_stage(session, images, choice, epochs)
        if isinstance(stage, Untuned):
            return stage
        is_shifted = has_input_shift(session, images, probe)
        pace = Pace(Effort(session.features.model, images), session.seconds_an_image(), _step_timer(session, probe))
        outset = Outset(epochs, stage, is_shifted, pace, likely=None)
        seen = views_to_see(choice, session.features.base.spec)
        return replace(outset, likely=_likely(session, images, choice, outset, seen)) if len(seen) > 1 else outset


def looks_at_test(images: Images, views: int) -> int:
    """How often the network will run on test images, which takes time as well."""
    return len(images.part("test").digests) * views


def room_for_views(session: Session, images: Images, stage: str) -> int:
    """How many views' features at a stage the store may take."""
    one_view = looked_at_in_views(images) * size_at(session.features.model, stage) * BYTES_A_NUMBER
    return int(session.store.budget_bytes * SHARE_OF_STORE / max(one_view, 1))


def _why_not(session: Session, images: Images, choice: TuningChoice) -> Untuned | None:
    if not choice.wanted:
        return Untuned("fine-tuning was switched off")
    train = images.part("train")
    a_class, in_words = train.kind.images_an_output(train.labels, len(images.classes))
    if a_class < FEWEST_IMAGES_A_CLASS and not choice.is_asked_for:
        return Untuned(f"with {in_words}, fewer than {FEWEST_IMAGES_A_CLASS}, fine-tuning isn't tried")
    if len(session.features.base.stages) < 2:
        return Untuned("the base has no cut below its last layer, so there is no top to fine-tune")
    if session.seconds_left(looks_at_test(images, choice.test_views)) < LEAST_SECONDS:
        return Untuned(f"the time given leaves less than {LEAST_SECONDS:.0f} s for fine-tuning, so it isn't tried")
    return None


def _step_timer(session: Session, probe: Probe) -> Callable[[str], float]:
    """Times training steps above a stage; weights, which may be a trained network's, and what is trained stay."""
    base = session.features.model
    make_trainable = trainable_as_now(base)

    def measure(stage: str) -> float:
        make_trainable()
        try:
            return seconds_a_step(base, probe, stage, session.features.base.detail, BATCH_SIZE)
        finally:
            make_trainable()

    return measure


def _likely(session: Session, images: Images, choice: TuningChoice, outset: Outset, seen: Sequence[View]) -> str | None:
    """The stage that fine-tuning will start from if the views turn out to be of use.

    Args:
        session: the training run.
        images: audited and divided.
        choice: what the user says about fine-tuning.
        outset: all the rest.
        seen: the views that the whole network will look at.
    """
    averaged = tuple(seen[: choice.test_views])
    count = max(choice.views or min(VIEWS, outset.epochs), len(averaged))
    views = make_views("orientation-free", count, session.seed)
    recipe = Recipe(outset.stage, views, outset.epochs, test_views=averaged)
    below, above = ((), ()) if choice.stage else outset.around(session.features.base.stages)
    stages = [stage for stage in (*below, outset.stage, *above) if room_for_views(session, images, stage) >= count]
    if choice.seconds is None:
        return outset.stage if outset.stage in stages else None
    left = session.seconds_left(looks_at_test(images, choice.test_views))
    left -= len(seen) * looked_at_in_views(images) * session.seconds_an_image()
    left /= 1 + FOLDS if is_too_small(images) else 1
    outset.pace.mapped(view for view in seen if view != PLAIN)
    found = deepest_fitting(outset.pace, [replace(recipe, cut=stage) for stage in stages], left)
    outset.pace.mapped([])
    return found.cut if found else None
