"""What an audit found, put into words: one function for each thing that is looked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.data.audit import FEWEST_IMAGES, Audit
from headstart.data.dataset import Dataset, Sample
from headstart.data.labels import in_words, written
from headstart.data.unlabelled import UNLABELLED
from headstart.features.looks import Looks
from headstart.images.decode import Header
from headstart.images.file import ImageFile, name_within
from headstart.inspection.confusable import confusable
from headstart.inspection.findings import Finding, Item, Tone
from headstart.inspection.label_suspects import Suspect, suspect_classes, suspect_labels, suspect_numbers
from headstart.inspection.near_duplicates import Pair, groups, linked
from headstart.inspection.odd_ones import OddOne
from headstart.inspection.quality import flaws
from headstart.inspection.shortcuts import Shortcut, in_bins, shortcuts
from headstart.learn.kinds import Kind
from headstart.report.wording import counted, listed, percent, quoted

# Above so many times as many images, a class is much larger than another.
SKEWED = 3.0
FEW_IMAGES = 20
MOST_NAMED = 3


@dataclass(frozen=True)
class Examined:
    """Everything that was measured about a data set.

    Attributes:
        dataset: as it was read.
        left: the samples that can be used, and the others with reasons.
        first: for each different image, the place of the first sample that has it; all that follows is by those.
        looks: what they look like.
        headers: what their files say of themselves; None for one that is gone by now.
        pairs: of near-duplicates.
        odd: images far from all others.
        kind: what labels say; None where nothing can be learned from them.
        targets: of the kind.
        scores: of the images when held out; None where they have no labels to check.
    """

    dataset: Dataset
    left: Audit
    first: tuple[int, ...]
    looks: Looks
    headers: tuple[Header | None, ...]
    pairs: tuple[Pair, ...]
    odd: tuple[OddOne, ...]
    kind: Kind | None
    targets: np.ndarray | None
    scores: np.ndarray | None

    @cached_property
    def samples(self) -> list[Sample]:
        """Of the different images."""
        return [self.left.samples[place] for place in self.first]

    @cached_property
    def is_labelled(self) -> bool:
        return self.dataset.labels != (UNLABELLED,)

    def name(self, file: ImageFile) -> str:
        """What a file is called in the data set."""
        return name_within(file, self.dataset.root)

    def label_of(self, sample: Sample) -> str:
        """As a table has it; empty where there is none."""
        return written(sample.label) if self.is_labelled else ""

    def item(self, places: Sequence[int], note: str) -> Item:
        """Some of the different images, by place."""
        return self.item_of([self.samples[place] for place in places], note)

    def item_of(self, samples: Sequence[Sample], note: str) -> Item:
        """Some samples."""
        return Item(tuple(self.name(sample.file) for sample in samples), tuple(map(self.label_of, samples)), note)

    @cached_property
    def alike(self) -> list[tuple[str, ...]]:
        """The digests of near-duplicates, group by group."""
        return linked([self.left.digests[place] for place in self.first], self.pairs)

    def group_names(self) -> dict[str, str]:
        """The name of each near-duplicate's group, by digest: that of its first file."""
        firsts = [self.name(self.samples[group[0]].file) for group in groups(self.pairs)]
        return {digest: name for name, group in zip(firsts, self.alike, strict=True) for digest in group}


def find_all(examined: Examined) -> tuple[list[Finding], dict[str, str]]:
    """All findings in the order in which they are told, and by file what of it is to be looked at."""
    found = [
        _unreadable(examined),
        _contradictions(examined),
        _copies(examined),
        _near_duplicates(examined),
        *(_of_labels(examined) if examined.is_labelled else []),
        _odd_ones(examined),
        _flaws(examined),
    ]
    notes: dict[str, list[str]] = defaultdict(list)
    for finding in found:
        if finding.key in ("label-suspects", "odd-ones", "flaws"):
            for item in finding.items:
                notes[item.files[0]].append(item.note)
    return found, {file: "; ".join(told) for file, told in notes.items()}


def _of_labels(examined: Examined) -> list[Finding]:
    found = [_leaks(examined), _suspects(examined)]
    if examined.dataset.task == "classes":
        found += [_confusable(examined), _sizes(examined), _shortcuts(examined)]
    return found


def _unreadable(examined: Examined) -> Finding:
    unreadable = [one for one in examined.left.quarantined if not one.is_image]
    items = [Item((examined.name(one.file),), ("",), f"{one.reason} ({one.byte_size:,} bytes)") for one in unreadable]
    if not items:
        return Finding("unreadable", "Unreadable files", "good", "Every file is an image that can be read.")
    sentence = f"{counted(len(items), 'file')} can't be used as an image."
    return Finding("unreadable", "Unreadable files", "fair", sentence, "Mend or remove them.", tuple(items))


def _contradictions(examined: Examined) -> Finding:
    """The same file under two labels, or in two parts that were given."""
    labels = {sample.file: examined.label_of(sample) for sample in examined.dataset.samples}
    told_apart = sorted((one for one in examined.left.quarantined if one.is_image), key=lambda one: one.reason)
    items = [Item((examined.name(one.file),), (labels[one.file],), one.reason) for one in told_apart]
    title = "The same file, told apart"
    if not items:
        return Finding("contradictions", title, "good", "No file is under two labels or in two given parts.")
    sentence = (
        f"{counted(len(items), 'file')} can't be used: the same bytes are under another label or in a later part."
    )
    return Finding("contradictions", title, "poor", sentence, "Decide which is right.", tuple(items))


def _copies(examined: Examined) -> Finding:
    of_digest: dict[str, list[Sample]] = defaultdict(list)
    for sample, digest in zip(examined.left.samples, examined.left.digests, strict=True):
        of_digest[digest].append(sample)
    items = [examined.item_of(same, f"{len(same)} times the same") for same in of_digest.values() if len(same) > 1]
    if not items:
        return Finding("exact-duplicates", "Exact duplicates", "good", "No file is there twice.")
    more = sum(len(item.files) - 1 for item in items)
    sentence = f"{counted(more, 'file is', 'files are')} copies of {counted(len(items), 'other one', 'others')}."
    mend = "They stay on one side of a split; they add nothing to learn from."
    return Finding("exact-duplicates", "Exact duplicates", "fair", sentence, mend, tuple(items))


def _near_duplicates(examined: Examined) -> Finding:
    title = "Near-duplicates"
    found = groups(examined.pairs)
    if not found:
        sentence = "No image is another one that was saved again, resized, cut a little or made brighter."
        return Finding("near-duplicates", title, "good", sentence)
    of_groups = [[examined.samples[place] for place in group] for group in found]
    torn = sum(_differ_in_label(samples) for samples in of_groups)
    across = sum(_differ_in_part(samples) for samples in of_groups)
    order = sorted(
        range(len(found)), key=lambda number: -_differ_in_label(of_groups[number]) - _differ_in_part(of_groups[number])
    )
    items = [examined.item_of(of_groups[number], _of_group(examined, found[number])) for number in order]
    images = sum(map(len, found))
    sentence = (
        f"{counted(images, 'image is', 'images are')} the same picture as another, in {counted(len(found), 'group')}."
    )
    sentence += f" In {torn:,} of them the labels differ." if torn else ""
    sentence += (
        f" {counted(across, 'group lies', 'groups lie')} in different given parts, so that testing flatters."
        if across
        else ""
    )
    tone: Tone = "poor" if torn or across else "fair"
    mend = "Training keeps each group on one side of a split that it draws; the table of --fix names the groups."
    if across:
        mend = "Move each group into one part."
    return Finding("near-duplicates", title, tone, sentence, mend, tuple(items))


def _differ_in_label(samples: Sequence[Sample]) -> bool:
    return len({sample.label for sample in samples}) > 1


def _differ_in_part(samples: Sequence[Sample]) -> bool:
    return len({sample.part for sample in samples}) > 1


def _of_group(examined: Examined, group: Sequence[int]) -> str:
    """How alike the least alike of its pairs is, and in what its images differ all the same."""
    samples = [examined.samples[place] for place in group]
    notes = [f"alike to {min(pair.likeness for pair in examined.pairs if pair.first in group):.4f}"]
    notes += ["different labels"] if _differ_in_label(samples) else []
    return ", ".join(notes + (["in different parts"] if _differ_in_part(samples) else []))


def _leaks(examined: Examined) -> Finding:
    """Groups that were given, and lie in several parts that were given."""
    parts: dict[str, list[Sample]] = defaultdict(list)
    for sample in examined.left.samples:
        if sample.group and sample.part:
            parts[sample.group].append(sample)
    torn = {name: samples for name, samples in parts.items() if len({sample.part for sample in samples}) > 1}
    title = "Groups across parts"
    if not torn:
        return Finding("leaks", title, "good", "No group of images lies in several given parts.")
    items = [
        examined.item_of(samples, f"group {name} in {listed(sorted({str(sample.part) for sample in samples}))}")
        for name, samples in torn.items()
    ]
    sentence = f"{counted(len(torn), 'group lies', 'groups lie')} in several given parts, so that testing flatters."
    return Finding("leaks", title, "poor", sentence, "Move each group into one part.", tuple(items))


def _suspects(examined: Examined) -> Finding:
    title = "Suspect labels"
    if examined.scores is None or np.isnan(examined.scores).all():
        return Finding("label-suspects", title, "fair", "There are too few images to check labels by.")
    found = _suspected(examined)
    if not found:
        return Finding("label-suspects", title, "good", "No label looks wrong, going by images like it.")
    items = [examined.item([suspect.place], _doubt(examined, suspect)) for suspect in found]
    sentence = (
        f"{counted(len(found), 'label is', 'labels are')} in doubt: a probe that hadn't seen the image finds another "
        "likelier, as sure as it usually is of it. Some are wrong labels, others are hard images."
    )
    return Finding("label-suspects", title, "fair", sentence, "Look at the first ones.", tuple(items))


def _suspected(examined: Examined) -> list[Suspect]:
    kind, targets, scores = examined.kind, examined.targets, examined.scores
    if kind is None or targets is None or scores is None:
        return []
    predictions = kind.predict(scores)
    if kind.task == "classes":
        return suspect_classes(predictions, targets)
    return suspect_labels(predictions, targets) if kind.task == "multi-label" else suspect_numbers(predictions, targets)


def _doubt(examined: Examined, suspect: Suspect) -> str:
    name, label = examined.dataset.labels[suspect.output], examined.samples[suspect.place].label
    if isinstance(label, float):
        return f"{suspect.margin:.1f} usual errors from what is predicted"
    if isinstance(label, tuple):
        return f"{in_words(name)} is {'unlikely' if name in label else 'likely'}, by {suspect.margin:.0%}"
    return f"likelier {in_words(name)}, by {suspect.margin:.0%}"


def _confusable(examined: Examined) -> Finding:
    title, labels = "Classes that look alike", examined.dataset.labels
    if examined.scores is None or examined.targets is None:
        return Finding("confusable", title, "fair", "There are too few images to tell.")
    found = confusable(examined.scores, examined.targets)
    if not found:
        return Finding("confusable", title, "good", "The base tells all classes apart, as far as there are ten images.")
    pairs = [
        f"{quoted(labels[pair.first])} and {quoted(labels[pair.second])} ({percent(pair.right)} right)"
        for pair in found
    ]
    more = f", and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
    sentence = (
        f"A probe hardly tells these apart, where guessing is right for half: {', '.join(pairs[:MOST_NAMED])}{more}."
    )
    mend = "Look whether their labels are sound, or merge them; fine-tuning may help."
    items = [_example(examined, (pair.first, pair.second), f"{percent(pair.right)} right") for pair in found]
    return Finding("confusable", title, "fair", sentence, mend, tuple(items))


def _example(examined: Examined, classes: Sequence[int], note: str) -> Item:
    """An image of each class, the most typical by its score."""
    targets, scores = examined.targets, examined.scores
    places = []
    for each in classes:
        of_it = np.flatnonzero(targets == each)
        typical = of_it if scores is None else of_it[np.argsort(-np.nan_to_num(scores[of_it, each], nan=-np.inf))]
        places.append(int(typical[0]))
    return examined.item(places, note)


def _sizes(examined: Examined) -> Finding:
    counts = examined.dataset.counts(examined.left.samples)
    few = [name for name, count in counts.items() if count < FEW_IMAGES]
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    title = "Images a class"
    if unusable := [name for name, count in counts.items() if count < FEWEST_IMAGES]:
        sentence = (
            f"{quoted(unusable[0])} has {counted(counts[unusable[0]], 'usable image')}: training needs {FEWEST_IMAGES}."
        )
        return Finding("class-sizes", title, "poor", sentence, "Add images of it.")
    if few:
        sentence = (
            f"{counted(len(few), 'class has', 'classes have')} fewer than {FEW_IMAGES} images, "
            f"{quoted(smallest)} the fewest: {counts[smallest]:,}. What is measured of them is rough."
        )
        return Finding("class-sizes", title, "fair", sentence, "Add images of them.")
    times = counts[largest] / counts[smallest]
    sentence = f"{quoted(largest)} has {times:.1f} times as many images as {quoted(smallest)}"
    if times > SKEWED:
        mend = "Look at balanced accuracy; training balances the classes where that does better."
        return Finding("class-sizes", title, "fair", f"{sentence}.", mend)
    return Finding("class-sizes", title, "good", f"{sentence}, which needs nothing to be done.")


def _shortcuts(examined: Examined) -> Finding:
    title = "Shortcuts"
    known = [place for place, header in enumerate(examined.headers) if header]
    if examined.targets is None or not known:
        return Finding("shortcuts", title, "fair", "There are too few images to tell.")
    found = shortcuts(_traits([header for header in examined.headers if header]), examined.targets[known])
    if not found:
        sentence = "Format, size, shape and kind of pixels of a file don't give its class away."
        return Finding("shortcuts", title, "good", sentence)
    sentence = " ".join(_of_shortcut(shortcut, examined.dataset.labels) for shortcut in found)
    mend = "A classifier may learn that instead of what images show: save all classes alike, and take them alike."
    items = [_example(examined, list(shortcut.values)[:MOST_NAMED], shortcut.trait) for shortcut in found]
    return Finding("shortcuts", title, "poor", sentence, mend, tuple(items))


def _of_shortcut(shortcut: Shortcut, labels: Sequence[str]) -> str:
    of_class = [
        f"{percent(share)} of {quoted(labels[each])} have {value}"
        for each, (value, share) in list(shortcut.values.items())[:MOST_NAMED]
    ]
    return (
        f"The {shortcut.trait} alone gives the class away for {percent(shortcut.right)} of images, where guessing is "
        f"right for {percent(shortcut.guessing)}: {listed(of_class)}."
    )


def _traits(headers: Sequence[Header]) -> Mapping[str, Sequence[str]]:
    pixels = np.array([header.width * header.height for header in headers])
    shape = np.array([round(header.width / max(header.height, 1), 2) for header in headers])
    sizes = [f"{header.width} × {header.height}" for header in headers]
    return {
        "file format": [header.format for header in headers],
        "kind of pixels": [header.mode for header in headers],
        "size": sizes if len(set(sizes)) <= len(sizes) // 10 else [f"{value} pixels" for value in in_bins(pixels)],
        "shape": [f"a width of {value} heights" for value in in_bins(shape)],
    }


def _odd_ones(examined: Examined) -> Finding:
    title = "Odd ones"
    if not examined.odd:
        return Finding("odd-ones", title, "good", "No image is far from all others.")
    items = [examined.item([one.place], f"{one.times:.1f} times as far as usual") for one in examined.odd]
    sentence = f"{counted(len(items), 'image is', 'images are')} far from all others."
    return Finding("odd-ones", title, "fair", sentence, "Look whether they belong here.", tuple(items))


def _flaws(examined: Examined) -> Finding:
    title = "Pictures that show little"
    sides = np.array([max(header.width, header.height) if header else 2**16 for header in examined.headers])
    items, told = [], Counter[str]()
    for flaw, places in flaws(examined.looks, sides).items():
        told[flaw] += len(places)
        items += [examined.item([int(place)], flaw) for place in places]
    if not items:
        return Finding(
            "flaws", title, "good", "No image is blank, tiny, or much darker, brighter or less sharp than usual."
        )
    each = [f"{number:,} {flaw}" for flaw, number in told.items() if number]
    sentence = f"{counted(len(items), 'image shows', 'images show')} little: {listed(each)}."
    return Finding("flaws", title, "fair", sentence, "Look whether they are of use.", tuple(items))
