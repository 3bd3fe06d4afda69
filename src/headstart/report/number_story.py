"""What the report and the card say where a number is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from headstart.report import findings
from headstart.report.charts import residual_chart, scatter_chart
from headstart.report.evidence import NumberPredictions
from headstart.report.findings import FEW_TEST_IMAGES, Finding, Tone
from headstart.report.pictures import MOST_PICTURES, Picture, picture
from headstart.report.story import Column, Line, Story
from headstart.report.wording import counted, decimals_for, interval, number, percent, quoted
from headstart.run import RegressionRecord

# Of a mean error among the lowest and highest third of the numbers, in standard deviations of the training targets.
SMALL_BIAS, LARGE_BIAS = 0.25, 0.75
# So many different numbers have a line each.
MOST_VALUES = 6
THIRDS = ("Lowest third", "Middle third", "Highest third")
# Of the normal distribution, at 97.5 %.
Z = 1.959964


class NumberStory(Story):
    """A number an image."""

    template = "numbers.html"
    title = "a number from an image"
    first_sections = (("measures", "Measures"), ("scatter", "Predicted and true"), ("intervals", "Intervals"))
    last_sections = (("mistakes", "Largest errors"),)
    printed = "prediction.value, prediction.interval"
    counted = "Number"

    @property
    def _predictions(self) -> NumberPredictions:
        return cast(NumberPredictions, self.evidence.predictions)

    @property
    def _record(self) -> RegressionRecord:
        return cast(RegressionRecord, self.evidence.manifest.task)

    @property
    def _errors(self) -> np.ndarray:
        return np.asarray(self._predictions.values - self._predictions.targets)

    @property
    def _name(self) -> str:
        return quoted(self.evidence.labels[0])

    def _shown(self, value: float) -> str:
        return number(value, decimals_for(self._record.deviation))

    def _range(self, low: float, high: float) -> str:
        return f"{self._shown(low)} to {self._shown(high)}"

    @property
    def purpose(self) -> str:
        return f"predicts the number {self._name} from an image"

    @property
    def verdict(self) -> str:
        test = self.evidence.test
        return (
            f"On {counted(test['n'], 'image')} it had never seen, its predictions were off by "
            f"{self._shown(test['mae'])} on average (95\u00a0% interval {self._range(*test['mae_ci95'])}), and "
            f"explained {percent(max(test['r2'], 0.0))} of how the true numbers vary."
        )

    @property
    def headline(self) -> str:
        return self._shown(self.evidence.test["mae"])

    @property
    def headline_note(self) -> str:
        return "mean absolute error"

    @property
    def findings(self) -> list[Finding]:
        found = [self._against_mean(), self._coverage(), self._bias()]
        few = self.evidence.test["n"] < FEW_TEST_IMAGES
        return found + ([findings.few_images(self.evidence.test)] if few else [])

    @property
    def lines(self) -> list[Line]:
        test = self.evidence.test
        (r2_low, r2_high), (rank_low, rank_high) = test["r2_ci95"], test["spearman_ci95"]
        return [
            Line(
                "Mean absolute error",
                "how far off a prediction is on average; lower is better",
                self._shown(test["mae"]),
                self._range(*test["mae_ci95"]),
            ),
            Line(
                "Root mean squared error",
                "the same with large errors counting more; lower is better",
                self._shown(test["rmse"]),
                self._range(*test["rmse_ci95"]),
            ),
            Line(
                "R²",
                "share of the numbers' variance that is explained; 0 is what always saying their mean would reach",
                f"{test['r2']:.3f}",
                f"{r2_low:.3f} to {r2_high:.3f}",
            ),
            Line(
                "Rank correlation",
                "how well larger predictions go with larger numbers (Spearman's), −1 to 1",
                f"{test['spearman']:.3f}",
                f"{rank_low:.3f} to {rank_high:.3f}",
            ),
        ]

    @property
    def limits(self) -> list[str]:
        first, *others = findings.common_limits(self.evidence)
        targets = self._predictions.targets
        seen = self._range(float(targets.min()), float(targets.max()))
        told = (
            f"The test images' numbers go from {seen}. Beyond what the training images cover, it can't be expected to "
            "be right, and neither can its intervals."
        )
        same_width = (
            "All its intervals are equally wide: right on average over all images, and too narrow for harder ones."
        )
        return [first, told, *([same_width] if self._record.half_width is not None else []), *others]

    @property
    def columns(self) -> Sequence[Column]:
        return (
            Column("Mean absolute error", "mae", self._shown),
            Column("Root mean squared error", "rmse", self._shown),
            Column("R²", "r2", "{:.3f}".format),
            Column("Rank correlation", "spearman", "{:.3f}".format),
            Column("Squared error in variances", "squared_error", "{:.3f}".format),
        )

    @property
    def loss_name(self) -> str:
        return "squared error"

    @property
    def loss_unit(self) -> str:
        return " variances"

    @property
    def curve(self) -> Column:
        return Column("R²", "validation_r2", "{:.3f}".format)

    @property
    def curves_note(self) -> str:
        return (
            "The loss is the squared error, in units of the variance of the training images' numbers: always saying "
            "their mean has a loss of 1."
        )

    @property
    def settings(self) -> list[tuple[str, str]]:
        record = self._record
        width = "none" if record.half_width is None else f"± {record.half_width:.6g}, to hold {record.coverage:.0%}"
        return [("Mean and deviation", f"{record.mean:.6g} and {record.deviation:.6g}"), ("Interval", width)]

    @property
    def meaning(self) -> str:
        if self._record.half_width is None:
            return "There is no interval: too few validation images were there to measure how wide it must be."
        return (
            f"The interval is meant to hold the true number of {self._record.coverage:.0%} of new images like these; "
            "it was measured on the validation images, and how far it can be believed is said below."
        )

    def facts(self) -> dict[str, Any]:
        predictions, record = self._predictions, self._record
        values, targets = predictions.values, predictions.targets
        return {
            "scatter_chart": scatter_chart(targets, values, record.half_width),
            "residual_chart": residual_chart(values, self._errors, record.half_width),
            "interval": self.evidence.test["interval"],
            "half_width": "" if record.half_width is None else self._shown(record.half_width),
            "mistakes": self._mistakes(),
            "groups": self._groups(),
        }

    def _mistakes(self) -> list[Picture]:
        """The images with the largest errors."""
        predictions, errors = self._predictions, self._errors
        order = np.argsort(-np.abs(errors), kind="stable")[:MOST_PICTURES]
        return [
            picture(
                self.evidence,
                predictions.files[i],
                self._shown(float(predictions.targets[i])),
                self._shown(float(predictions.values[i])),
                f"{self._shown(abs(float(errors[i])))} too {'much' if errors[i] > 0 else 'little'}",
                is_right=False,
            )
            for i in order
        ]

    def _against_mean(self) -> Finding:
        test, mean = self.evidence.test, self._record.mean
        by_mean = float(np.abs(self._predictions.targets - mean).mean())
        start = (
            f"Always saying {self._shown(mean)}, the mean of the training images, would be off by "
            f"{self._shown(by_mean)} on average"
        )
        if test["r2"] <= 0:
            mend = "These predictions explain nothing of how the numbers vary, so they shouldn't be used as they are."
            return Finding("Better than guessing?", f"No. {start}. {mend}", "poor")
        if test["r2_ci95"][0] <= 0:
            doubt = "These predictions did better, but within what chance allows."
            return Finding("Better than guessing?", f"Perhaps. {start}. {doubt}", "fair")
        saved = 1 - test["mae"] / by_mean
        much = f". These are off by {percent(saved)} less." if saved > 0 else ", which is no more than these are."
        return Finding("Better than guessing?", f"Yes. {start}{much}", "good")

    def _coverage(self) -> Finding:
        found = self.evidence.test["interval"]
        question = "Can its intervals be believed?"
        if found is None:
            none = "There are none: too few validation images to measure how wide they must be."
            return Finding(question, none, "fair")
        aim, share = found["coverage"], found["covered"]
        # Both the images that the width comes from and those it is tried on are a draw.
        images = self.evidence.manifest.split.images
        by_chance = Z * float(np.sqrt(aim * (1 - aim) * (1 / images["test"] + 1 / images["validation"])))
        told = (
            f"They are meant to hold the true number of {percent(aim)} of images, and held that of {percent(share)} of "
            f"the test images"
        )
        if share < aim - by_chance:
            return Finding(question, f"No. {told}, fewer than chance would explain. They are too narrow.", "poor")
        if share > aim + by_chance:
            return Finding(question, f"They are cautious. {told}.", "fair")
        chance = interval(max(aim - by_chance, 0), min(aim + by_chance, 1))
        within = f"on this many images, chance alone makes it {chance}"
        return Finding(question, f"Yes. {told}; {within}.", "good")

    def _groups(self) -> list[tuple[str, int, str, str]]:
        """Test images by their true number: how many, and their mean and mean absolute error."""
        errors, rows = self._errors, []
        for name, part in self._parts():
            bias = float(errors[part].mean())
            absolute = self._shown(float(np.abs(errors[part]).mean()))
            rows.append((name, len(part), f"{'+' if bias > 0 else '−'}{self._shown(abs(bias))}", absolute))
        return rows

    def _parts(self) -> Iterator[tuple[str, np.ndarray]]:
        """Places of the test images with each number, or thirds of them where numbers are many."""
        targets = self._predictions.targets
        values = np.unique(targets)
        if len(values) <= MOST_VALUES:
            for value in values:
                yield self._shown(float(value)), np.flatnonzero(targets == value)
            return
        for name, part in zip(THIRDS, np.array_split(np.argsort(targets, kind="stable"), len(THIRDS)), strict=True):
            yield f"{name} ({self._range(float(targets[part].min()), float(targets[part].max()))})", part

    def _bias(self) -> Finding:
        """Predictions that aren't sure keep to the middle, which shows at both ends."""
        order = np.argsort(self._predictions.targets, kind="stable")
        third = max(len(order) // 3, 1)
        low, high = (float(self._errors[part].mean()) for part in (order[:third], order[-third:]))
        worst = max(abs(low), abs(high)) / self._record.deviation
        tone: Tone = "good" if worst <= SMALL_BIAS else "fair" if worst <= LARGE_BIAS else "poor"
        answer = (
            f"For the third of the images with the lowest numbers it says {self._too(low)} on average, for the third "
            f"with the highest {self._too(high)}."
        )
        keeps = " Like any predictor that isn't sure, it keeps to the middle." if low > 0 > high else ""
        return Finding("Is it off in one direction?", f"{answer}{keeps if tone != 'good' else ''}", tone)

    def _too(self, error: float) -> str:
        return f"{self._shown(abs(error))} too {'much' if error > 0 else 'little'}"
