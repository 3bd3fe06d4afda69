"""What a comparison comes to, in words: time saved, accuracy gained, labels saved, or that transfer doesn't help."""

from __future__ import annotations

from headstart.learn.benefit import WAYS, Contrast, Point, Standing
from headstart.learn.kinds import Kind
from headstart.report import wording
from headstart.report.wording import duration, listed, points

# Seconds vary by less than this from one time to the next.
CLEARLY_SOONER = 2
# What each way is called within a sentence.
NOUNS = {
    "scratch": "training from scratch",
    "probe": "a probe",
    "classic": "the classic head",
    "finetune": "fine-tuning",
}


def tell(standing: Standing, kind: Kind) -> tuple[str, tuple[str, ...]]:
    """The headline, and three sentences: time, accuracy, labels.

    Args:
        standing: of all ways.
        kind: that shows how good they are.
    """
    return _headline(standing, kind), (_time(standing, kind), _accuracy(standing, kind), _labels(standing, kind))


def share(fraction: float) -> str:
    """A share of the labels, such as "10 %"."""
    return f"{100 * fraction:.3g}\u00a0%"


def in_words(point: Point) -> str:
    """A way with its labels, such as "a probe with 10 % of the labels"."""
    with_labels = "all labels" if point.fraction == 1 else f"{share(point.fraction)} of the labels"
    return f"{NOUNS[point.way]} with {with_labels}"


def is_saving(time: Contrast | None) -> bool:
    """Whether what is as good as training from scratch is clearly quicker."""
    return time is not None and time.against.time > CLEARLY_SOONER * time.better.time


def untold(standing: Standing) -> str:
    """What there was no time for, in a sentence; empty where there was time for all."""
    if not standing.missing:
        return ""
    by_way = {way: [point for point in standing.missing if point.way == way] for way in WAYS}
    parts = [
        f"{NOUNS[way]} with {listed([share(point.fraction) for point in found])} of the labels"
        for way, found in by_way.items()
        if found
    ]
    return f"There was no time for {', nor for '.join(parts)}; the same command goes on from here."


def shown(kind: Kind, goodness: float) -> str:
    """How good something is, such as "86.0 %"; a number's R² is none of hundred."""
    return wording.goodness(goodness, kind.task)


def caveat(steps: int) -> str:
    """What to bear in mind where the time left room for so many steps only."""
    cut = f"To fit into the time, networks were trained for about {steps} steps only"
    return f"{cut}. That is hardest on training from scratch, so that a longer --time may change what is said here."


def gain_in_words(gain: float, kind: Kind) -> str:
    """A difference of two measures, without its sign."""
    return points(abs(gain)) if kind.task != "regression" else f"{abs(gain):.3f}"


def _headline(standing: Standing, kind: Kind) -> str:
    measure = kind.goodness_name
    if standing.verdict == "open":
        return "There was too little time to tell whether transfer learning helps here."
    if standing.verdict == "nothing learned":
        return (
            f"Nothing can be learned from these labels: neither from scratch nor with transfer learning is the "
            f"{measure} clearly better than by guessing ({shown(kind, standing.guessing)})."
        )
    if standing.verdict == "no help":
        what = f"at no share of the labels is its {measure} clearly better than from scratch"
        return f"Transfer learning doesn't help here: {what}{_but_sooner(standing)}."
    where = f"with {_where_it_helps(standing)} of the labels"
    return f"Transfer learning helps here: {where} its {measure} is clearly better than from scratch."


def _but_sooner(standing: Standing) -> str:
    return ", though it is as good in less time" if is_saving(standing.time) else ""


def _where_it_helps(standing: Standing) -> str:
    return listed([share(fraction) for fraction in standing.helped])


def _accuracy(standing: Standing, kind: Kind) -> str:
    gained, name = standing.gained, kind.goodness_name
    title = name[0].upper() + name[1:]
    if gained is None:
        return f"{title}: there was no time to compare any way with training from scratch."
    figures = f"{shown(kind, gained.better.mean)} against {shown(kind, gained.against.mean)} from scratch"
    best = f"with {_all(gained.against)}, {NOUNS[gained.better.way]} is best of the transferred ways: {figures}"
    difference = f"{gain_in_words(gained.gain, kind)} {'more' if gained.gain >= 0 else 'less'}"
    # The interval is that of two ways; that the better one was chosen among several is known to the verdict alone.
    doubt = ", not clearly more, being the best of several" if gained.interval[0] > 0 else ", no clear gain"
    verdict = "" if gained.is_clear else doubt
    return f"{title}: {best}, {difference} (95 % interval {_interval(gained, kind)}){verdict}."


def _labels(standing: Standing, kind: Kind) -> str:
    found, whole = standing.labels, standing.at("scratch", standing.fractions[-1])
    if standing.verdict == "nothing learned":
        return "Labels: none are saved where nothing can be learned."
    if not whole.is_there:
        return f"Labels: there was no time to train from scratch with {_all(whole)}, so that nothing is said of them."
    if found is None:
        best = f"{shown(kind, whole.mean)} of training from scratch with {_all(whole)}"
        return f"Labels: none are saved; no transferred way reaches the {best}."
    what = f"{in_words(found.better)} equals training from scratch with {_all(whole)}"
    saved = "" if found.better.fraction < whole.fraction else ", and with fewer none does"
    return f"Labels: {what} ({_against(found, kind)}){saved}."


def _time(standing: Standing, kind: Kind) -> str:
    found = standing.time
    if standing.verdict == "nothing learned":
        return "Time: none is saved where nothing can be learned, however quickly."
    if found is None:
        return "Time: no transferred way is as good as training from scratch is at its best, so that none is saved."
    better, against = found.better, found.against
    took = f"{duration(better.time)} in place of {duration(against.time)}"
    times = against.time / max(better.time, 1e-3)
    sooner = f", {times:.2g} times sooner" if times >= 1 else ", which is no sooner"
    if times >= 100:
        sooner = f", {times:,.0f} times sooner"
    return (
        f"Time: {in_words(better)} takes {took}{sooner}, to be as good as training from scratch is at its best, with "
        f"{_all(against)} ({_against(found, kind)})."
    )


def _all(point: Point) -> str:
    return "all labels" if point.fraction == 1 else f"{share(point.fraction)} of the labels"


def _against(contrast: Contrast, kind: Kind) -> str:
    figures = f"{shown(kind, contrast.better.mean)} against {shown(kind, contrast.against.mean)}"
    return f"{figures}; difference {_interval(contrast, kind)}"


def _interval(contrast: Contrast, kind: Kind) -> str:
    low, high = contrast.interval
    if kind.task == "regression":
        return f"{low:+.3f} to {high:+.3f}".replace("-", "−")
    return f"{100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−")
