from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from markupsafe import Markup

from headstart.evaluation.metrics import ReliabilityBin
from headstart.report.charts import (
    _wilson,
    epochs_chart,
    loss_chart,
    measures_chart,
    precision_recall_chart,
    reliability_chart,
    residual_chart,
    scatter_chart,
)
from headstart.report.findings import Measure
from headstart.report.story import Column
from headstart.report.wording import percent

BINS = [
    ReliabilityBin(n, sure, right, n, n) for n, sure, right in ((3, 0.55, 1 / 3), (40, 0.95, 0.975), (5, 0.99, 1.0))
]
HISTORY = [
    {"epoch": 0, "loss": None, "validation_loss": 0.5, "validation_accuracy": 0.8},
    {"epoch": 1, "loss": 0.4, "validation_loss": 0.4, "validation_accuracy": 0.9},
]


def all_charts() -> dict[str, Markup]:
    return {
        "measures": measures_chart([Measure("Accuracy", "", 0.864, 0.837, 0.89, 0.687)]),
        "reliability": reliability_chart(BINS),
        "loss": loss_chart(HISTORY, 1),
        "accuracy": epochs_chart(HISTORY, 1, Column("Accuracy", "validation_accuracy", percent)),
    }


@pytest.mark.parametrize("name", ["measures", "reliability", "loss", "accuracy"])
def test_takes_colours_and_font_from_the_page(name: str) -> None:
    chart = all_charts()[name]
    svg = ET.fromstring(chart.replace("xlink:", ""))
    assert svg.get("role") == "img"
    assert "var(--accent)" in chart
    assert re.findall(r"#[0-9a-f]{6}\b", chart) == []
    assert "font-family" not in chart
    assert "<text" in chart
    assert "<style" not in chart


def test_ids_of_different_charts_dont_clash() -> None:
    ids = [found for chart in all_charts().values() for found in re.findall(r'\bid="([^"]+)"', chart)]
    assert len(ids) == len(set(ids)) > 0


def test_describe_what_they_show() -> None:
    charts = {name: chart.replace("\u00a0", " ") for name, chart in all_charts().items()}
    assert "Accuracy 86.4 %, interval 83.7 to 89.0 %, by always answering the most frequent" in charts["measures"]
    assert "95.0 % sure, 97.5 % right" in charts["reliability"]
    assert "on validation 0.500 before any step and 0.400 at its lowest, epoch 1" in charts["loss"]
    assert "80.0 % before any step, 90.0 % at epoch 1" in charts["accuracy"]


def test_a_history_of_the_probe_alone_is_drawn() -> None:
    assert "<svg" in loss_chart(HISTORY[:1], 0)


@pytest.mark.parametrize(
    ("images", "right", "expected"), [(10, 1.0, (0.722, 1.0)), (10, 0.0, (0.0, 0.278)), (100, 0.5, (0.404, 0.596))]
)
def test_wilson_interval_agrees_with_published_values(images: int, right: float, expected: tuple[float, float]) -> None:
    assert _wilson(ReliabilityBin(images, 0.5, right, images, images)) == pytest.approx(expected, abs=1e-3)


NUMBERS = np.random.default_rng(0).normal(size=(2, 50))


def charts_of_kinds() -> dict[str, Markup]:
    precision, recall = np.array([1.0, 0.5, 2 / 3]), np.array([0.5, 0.5, 1.0])
    return {
        "pr": precision_recall_chart(precision, recall, (0.5, 0.75), 0.25, "pr"),
        "scatter": scatter_chart(NUMBERS[0], NUMBERS[1], 0.5),
        "residuals": residual_chart(NUMBERS[1], NUMBERS[1] - NUMBERS[0], 0.5),
        "r2": epochs_chart(HISTORY, 1, Column("R²", "validation_accuracy", "{:.3f}".format)),
    }


@pytest.mark.parametrize("name", ["pr", "scatter", "residuals", "r2"])
def test_charts_of_labels_and_numbers_take_their_colours_from_the_page(name: str) -> None:
    chart = charts_of_kinds()[name]
    assert ET.fromstring(chart.replace("xlink:", "")).get("role") == "img"
    assert "var(--accent)" in chart
    assert re.findall(r"#[0-9a-f]{6}\b", chart) == []


def test_charts_of_labels_and_numbers_describe_what_they_show() -> None:
    charts = {name: chart.replace("\u00a0", " ") for name, chart in charts_of_kinds().items()}
    assert "at the threshold 50.0 % found and 75.0 % right, by chance 25.0 % right" in charts["pr"]
    assert "true numbers of 50 test images" in charts["scatter"]
    assert "Errors against predicted numbers of 50" in charts["residuals"]
    assert "R² on validation by epoch: 0.800 before any step, 0.900 at epoch 1." in charts["r2"]
    assert "%" not in re.sub(r"<svg[^>]*>", "", charts["r2"])


def test_without_an_interval_there_is_no_band() -> None:
    assert len(scatter_chart(*NUMBERS, None)) < len(scatter_chart(*NUMBERS, 0.5))
    assert len(residual_chart(*NUMBERS, None)) < len(residual_chart(*NUMBERS, 0.5))


def test_a_single_number_can_be_drawn() -> None:
    assert "<svg" in scatter_chart(np.array([3.0]), np.array([3.0]), None)
