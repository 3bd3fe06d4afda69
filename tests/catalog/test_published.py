"""The records of keras.applications against Keras' own source, and one of each family against its network."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

import numpy as np
import pytest

from headstart.catalog import base_called, bases, get_base
from headstart.catalog.base import Base
from headstart.catalog.graph import without_numbers
from headstart.catalog.keras_weights import PublishedWeights
from headstart.catalog.layout import layout_of
from headstart.catalog.published import APPLICATIONS
from headstart.features.boundary import find_cuts

# A family's module in keras.applications, by how its members' names begin; longer beginnings come first.
MODULES = {
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet50v2": "resnet_v2",
    "resnet101v2": "resnet_v2",
    "resnet152v2": "resnet_v2",
    "resnet": "resnet",
    "inceptionresnetv2": "inception_resnet_v2",
    "inceptionv3": "inception_v3",
    "xception": "xception",
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3": "mobilenet_v3",
    "mobilenet": "mobilenet",
    "densenet": "densenet",
    "nasnet": "nasnet",
    "efficientnetv2": "efficientnet_v2",
    "efficientnet": "efficientnet",
    "convnext": "convnext",
}
# One of each family, and of each shape that its stages may have.
REPRESENTATIVES = (
    *("vgg16", "vgg19", "resnet50", "resnet50v2", "inceptionv3", "inceptionresnetv2", "xception"),
    *("mobilenet", "mobilenetv2", "mobilenetv3-small", "mobilenetv3-large", "densenet121", "nasnetmobile"),
    *("efficientnetb0", "efficientnetb3", "efficientnetv2-b0", "efficientnetv2-b1", "efficientnetv2-m"),
    *("convnext-tiny", "convnext-small"),
)
# Their weights' addresses are those of the whole family, but for a member's name.
ASKED_FOR = [name for name in REPRESENTATIVES if name not in ("efficientnetb3", "efficientnetv2-b1", "convnext-small")]
each_base = pytest.mark.parametrize("base", APPLICATIONS, ids=lambda base: base.name)
each_representative = pytest.mark.parametrize("base", [get_base(name) for name in REPRESENTATIVES], ids=REPRESENTATIVES)


def module_of(base: Base) -> Any:
    beginning = next(beginning for beginning in MODULES if base.name.startswith(beginning))
    return importlib.import_module(f"keras.src.applications.{MODULES[beginning]}")


@cache
def graph(base: Base) -> Any:
    """The network without numbers, which takes neither time nor memory."""

    with without_numbers():
        return base.architecture()


def source_of(base: Base) -> str:
    source = inspect.getsource(module_of(base))
    if base.name.startswith("resnet"):  # where the files of both versions are listed
        source += inspect.getsource(importlib.import_module("keras.src.applications.resnet"))
    return source


def test_every_network_of_keras_applications_is_there() -> None:
    import keras

    offered = {name.lower() for name, thing in vars(keras.applications).items() if inspect.isfunction(thing)}
    assert offered == {base.name.replace("-", "") for base in APPLICATIONS}


@each_base
def test_a_record_is_complete(base: Base) -> None:
    assert base.reference.startswith("https://arxiv.org/abs/")
    assert base.licence in {"Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "MIT"}
    assert 0.65 < base.imagenet_top1 < 0.9
    assert base.smallest <= base.spec.height == base.spec.width <= 600
    assert len(set(base.stages)) == len(base.stages) >= 3
    assert base.detail is None
    assert base in bases()


@each_base
def test_a_base_is_found_however_its_name_is_typed(base: Base) -> None:
    for typed in (base.name.upper(), base.name.replace("-", ""), base.name.replace("-", "_")):
        assert get_base(typed) is base


@each_base
def test_checksums_are_those_that_keras_publishes(base: Base) -> None:
    weights = base.weights
    assert isinstance(weights, PublishedWeights)
    if weights.checksum is None:
        assert base.name in ("mobilenet", "mobilenetv2")
        assert "file_hash" not in source_of(base)
    else:
        assert f'"{weights.checksum.digest}"' in source_of(base)
        assert len(weights.checksum.digest) == {"md5": 32, "sha256": 64}[weights.checksum.algorithm]


def test_no_two_bases_share_a_file_a_checksum_or_a_fingerprint() -> None:
    sources: list[Any] = [base.weights for base in APPLICATIONS]
    checksums = [source.checksum for source in sources if source.checksum]
    for values in (checksums, [source.file for source in sources], [source.address for source in sources]):
        assert len(set(values)) == len(values)
    assert len({base.fingerprint for base in bases()}) == len(bases())


@pytest.mark.parametrize("base", [get_base(name) for name in ASKED_FOR], ids=ASKED_FOR)
def test_keras_asks_for_the_same_file_at_the_same_address(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras' own function for ImageNet's weights, stopped where it would fetch them."""
    import keras

    class Asked(Exception):
        pass

    def get_file(name: str, address: str, *, cache_subdir: str, file_hash: str | None = None) -> str:
        raise Asked(name, address, cache_subdir, file_hash)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    constructor = getattr(keras.applications, base.architecture.args[0])
    with without_numbers(), pytest.raises(Asked) as asked:
        constructor(weights="imagenet", include_top=False, input_shape=(base.spec.height, base.spec.width, 3))
    weights: Any = base.weights
    digest = weights.checksum and weights.checksum.digest
    assert asked.value.args == (weights.file, weights.address, "models", digest)


@each_representative
def test_stages_are_cuts_in_order_and_the_last_is_the_output(base: Base) -> None:
    cuts = {cut.layer: cut.shape[-1] for cut in find_cuts(graph(base))}
    assert [(cut, width) for cut, width in cuts.items() if cut in base.stages] == list(
        zip(base.stages, base.widths, strict=True)
    )
    assert base.stages[-1] == list(cuts)[-1]


@each_representative
def test_a_network_takes_what_its_spec_makes_and_gives_the_features_it_announces(base: Base) -> None:
    assert graph(base).input.shape == (None, base.spec.height, base.spec.width, 3)
    assert graph(base).output.shape[-1] == base.features


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "mobilenetv2", "efficientnetb0", "convnext-xlarge"])
def test_a_network_with_its_imagenet_top_has_the_parameters_of_the_record(name: str) -> None:

    base = get_base(name)
    with without_numbers():
        assert base.architecture(classes=1000).count_params() == base.parameters


@each_representative
def test_pixels_are_scaled_as_keras_does(base: Base) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = module_of(base).preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(base.spec.scale(pixels), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["vgg16", "inceptionv3", "xception"])
def test_the_smallest_input_is_keras_own(name: str) -> None:

    base = get_base(name)
    with without_numbers():
        assert base.with_size(base.smallest, base.smallest).architecture().output.shape[-1] == base.features
        with pytest.raises(ValueError, match="Input size must be at least"):
            base.architecture(shape=(base.smallest - 1, base.smallest - 1))


def test_weights_of_both_layouts_load_into_a_published_network(tmp_path: Any, save_weights: Any) -> None:
    from headstart.catalog.weights_file import read_weights

    base = get_base("mobilenetv3-small")
    model = base.architecture(shape=(32, 32))
    layout = layout_of(base.architecture)
    for name in ("legacy.h5", "small.weights.h5"):
        arrays = read_weights(save_weights(model, tmp_path / name), layout)
        assert arrays.keys() == {weight.path for weight in model.weights}
        for weight in model.weights:
            np.testing.assert_array_equal(arrays[weight.path], np.asarray(weight))


@pytest.mark.parametrize(
    ("network", "base"),
    [
        ("mobilenetv2_1.00_224", "mobilenetv2"),
        ("mobilenet_1.00_224", "mobilenet"),
        ("MobileNetV3Large", "mobilenetv3-large"),
        ("resnet50v2", "resnet50v2"),
        ("inception_v3", "inceptionv3"),
        ("nasnet_large", "nasnetlarge"),
        ("efficientnet_lite0_classifier", "efficientnet-lite0"),
        ("convnext_xlarge", "convnext-xlarge"),
        ("my_own_network", None),
        ("mobile", None),
    ],
)
def test_a_base_is_known_by_the_name_of_its_network(network: str, base: str | None) -> None:
    found = base_called(network)
    assert (found and found.name) == base
