"""Fine-tuning inside a training run: what it would cost, which views it may use, and the features that it needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from headstart.features.boundary import Cut, find_cuts, multiplications, prefix, suffix
from headstart.features.extract import FeatureSet
from headstart.images.views import View, make_views
from headstart.learn.augmentation import Augmentation
from headstart.learn.finetune import BATCH_SIZE, Recipe, finetune
from headstart.learn.probe import Probe
from headstart.workflow.classifiers import FinetunedClassifier
from headstart.workflow.images import Images
from headstart.workflow.session import Session
from headstart.workflow.tuning_choice import AS_ASKED, TuningChoice
from headstart.workflow.view_choice import ONE_VIEW, Averaging, find_augmentation

# With fewer training images a class than this, fine-tuning gains at most a point over the probe and often loses some.
FEWEST_IMAGES_A_CLASS = 50
# More views help less than they cost: each is another run of the prefix over all training images. An epoch draws one an
# image, so that more views than epochs would lie idle.
VIEWS = 4
# Passes over the images follow from the number of steps: about 500 for a few hundred images a class (BiT-HyperRule,
# Kolesnikov et al. 2020, arXiv:1912.11370), with bounds so that few images aren't learned by heart and many are seen.
STEPS = 600
FEWEST_EPOCHS, MOST_EPOCHS = 3, 20
# Features at the cut may take so much of the store's budget, so that those of other runs aren't all driven out.
SHARE_OF_STORE = 0.5
BYTES_A_NUMBER = 2
# A training step runs forward, and backward once for the inputs and once for the weights.
BACKWARD_TOO = 3
# Some tens of seconds on two cores.
MOST_MULTIPLICATIONS = 1.5e12
# Some twenty minutes and more: nobody asked to wait that long.
TOO_MANY_MULTIPLICATIONS = 1e14
# A minute on two cores; measured on small and large networks it is two to six.
MULTIPLICATIONS_A_MINUTE = 4e12


@dataclass(frozen=True)
class Untuned:
    """Fine-tuning wasn't tried, and why."""

    reason: str


def tune(
    session: Session,
    images: Images,
    pooled: FeatureSet,
    probe: Probe,
    choice: TuningChoice,
    averaging: Averaging = ONE_VIEW,
) -> FinetunedClassifier | Untuned:
    """Fine-tune the top of the base, if that is wanted and there are images enough, or if it is asked for.

    Args:
        session: the training run.
        images: audited and divided.
        pooled: what the probe was fitted on.
        probe: where fine-tuning starts from.
        choice: what the user says about it.
        averaging: the views that logits will be averaged over.
    """
    if not choice.wanted:
        return Untuned("fine-tuning was switched off")
    train, validation = images.part("train"), images.part("validation")
    a_class = len(train.digests) / len(images.classes)
    if a_class < FEWEST_IMAGES_A_CLASS and not choice.is_asked_for:
        return Untuned(
            f"with {a_class:.0f} training images a class, fewer than {FEWEST_IMAGES_A_CLASS}, fine-tuning isn't tried"
        )
    if len(session.features.base.stages) < 2:
        return Untuned("the base has no cut below its last layer, so there is no top to fine-tune")
    with session.watch.stage("prepare", "Loading the base into Keras", total=None, unit="steps"):
        epochs = _choose_epochs(session, images, choice)
        cut = _choose_cut(session, images, choice, epochs)
        if isinstance(cut, Untuned):
            return cut
        features = session.features.at(cut.layer, pooled.precision)
    augmentation = averaging.augmentation or find_augmentation(session, images, pooled, probe, choice)
    wanted = max(choice.views or min(VIEWS, epochs), len(averaging.views))
    views = _affordable_views(session, images, cut, augmentation, wanted)
    rate = _choose_learning_rate(session, choice)
    recipe = Recipe(cut.layer, views, epochs, session.features.base.detail, learning_rate=rate, seed=session.seed)
    recipe = replace(recipe, test_views=averaging.among(views))
    paths = images.paths("train") + images.paths("validation")
    session.extract("features", "Features of views", paths, features, views)
    with session.watch.stage("finetune", "Fine-tuning", total=recipe.epochs * len(train.digests)) as advance:
        result = finetune(session.features.model, recipe, features, probe, train, validation, advance)
    return FinetunedClassifier(recipe, result, images, session.features.base.spec)


def _choose_epochs(session: Session, images: Images, choice: TuningChoice) -> int:
    """About so many that there are as many steps as there should be."""
    if choice.epochs is not None:
        session.choose("epochs", choice.epochs, AS_ASKED)
        return choice.epochs
    a_step = len(images.part("train").digests) / BATCH_SIZE
    epochs = min(max(math.ceil(STEPS / a_step), FEWEST_EPOCHS), MOST_EPOCHS)
    bounds = f"at least {FEWEST_EPOCHS} and at most {MOST_EPOCHS} epochs"
    session.choose("epochs", epochs, f"about {STEPS} steps of {BATCH_SIZE} images, and {bounds}")
    return epochs


def _choose_learning_rate(session: Session, choice: TuningChoice) -> float:
    rate = Recipe.learning_rate if choice.learning_rate is None else choice.learning_rate
    reason = "measured to do best where the head starts from the probe" if choice.learning_rate is None else AS_ASKED
    session.choose("learning rate", f"{rate:g}", reason)
    return rate


def _choose_cut(session: Session, images: Images, choice: TuningChoice, epochs: int) -> Cut | Untuned:
    """The deepest stage whose training fits the effort; where none does, the shallowest, if that is bearable."""
    model = session.features.model
    cuts = {cut.layer: cut for cut in find_cuts(model)}
    if choice.stage is not None:
        session.choose("fine-tuning from", f"above {choice.stage}", AS_ASKED)
        return cuts[choice.stage]
    passes = epochs * len(images.part("train").digests)
    stages = session.features.base.stages[:-1]
    effort = {stage: BACKWARD_TOO * passes * multiplications(suffix(model, stage)) for stage in stages}
    affordable = [stage for stage in stages if effort[stage] <= MOST_MULTIPLICATIONS]
    chosen = affordable[0] if affordable else stages[-1]
    whole = effort[chosen] + _effort_of_features(session, images, chosen)
    if whole > TOO_MANY_MULTIPLICATIONS and not choice.is_asked_for:
        minutes = whole / MULTIPLICATIONS_A_MINUTE
        return Untuned(
            f"fine-tuning {session.features.base.name} on these images would take some {minutes:.0f} minutes and more, "
            "so it isn't tried; a smaller base can be fine-tuned in less"
        )
    cost = f"{epochs} epochs take {effort[chosen]:.1e} multiplications"
    session.choose("fine-tuning from", f"above {chosen}", f"{cost}; from a stage deeper they would take more")
    return cuts[chosen]


def _effort_of_features(session: Session, images: Images, cut: str) -> float:
    """Multiplications of running the part below the cut on every view."""
    return VIEWS * _with_views(images) * multiplications(prefix(session.features.model, cut))


def _with_views(images: Images) -> int:
    """How many images are looked at in several views: trained on, and decided by."""
    return len(images.part("train").digests) + len(images.part("validation").digests)


def _affordable_views(
    session: Session, images: Images, cut: Cut, augmentation: Augmentation, wanted: int
) -> tuple[View, ...]:
    """As many views as are wanted, the preset has and the store has room for."""
    one_view = _with_views(images) * cut.size * BYTES_A_NUMBER
    room = int(session.store.budget_bytes * SHARE_OF_STORE / max(one_view, 1))
    views = make_views(augmentation.preset, max(1, min(wanted, room)), session.seed)
    reason = augmentation.reason
    if room < wanted:
        reason += f"; the store has room for {max(room, 1)} of {wanted} views"
    session.choose("views", f"{len(views)}, {augmentation.preset}", reason)
    return views
