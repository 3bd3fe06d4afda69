"""A network that looks at an image in several views and averages what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.features.openvino import import_openvino
from headstart.images.views import View

# Of a batch of images.
_ROWS, _COLUMNS = 1, 2
# Where a slice that runs backwards ends: before the first place, which -1 wouldn't say.
_BEFORE_THE_FIRST = -(2**31)


def average_over_views(network: Path, views: Sequence[View], path: Path) -> None:
    """Write a network that gives the mean, over views of its input, of what another network gives; needs no Keras.

    All views of an image run as one batch. A copy of the layers for each view would run about as fast, but take two to
    five times as long to load.

    Args:
        network: the ``.xml`` file of a network from (batch, height, width, 3) to (batch, classes).
        views: exact ones; quarter turns among them take a square input.
        path: the ``.xml`` file to write, not `network` itself, which is read while it is written.

    Raises:
        OSError: it can't be written.
    """
    openvino = import_openvino()
    from openvino import opset13 as ops

    body = openvino.Core().read_model(network)
    (before,) = body.get_parameters()
    images = ops.parameter(before.get_partial_shape(), np.float32)
    in_views = ops.concat([_in_view(images, view) for view in views], axis=0)
    for use in before.output(0).get_target_inputs():
        use.replace_source_output(in_views.output(0))
    logits = body.output(0).get_node().input_value(0)
    classes = logits.get_partial_shape()[1].get_length()
    by_view = ops.reshape(logits, ops.constant([len(views), -1, classes]), special_zero=False)
    averaged = ops.reduce_mean(by_view, ops.constant([0]), keep_dims=False)
    try:
        whole = openvino.Model([ops.result(averaged)], [images], "averaged_classifier")
        openvino.save_model(whole, path, compress_to_fp16=False)
    except RuntimeError as error:  # all that OpenVINO says of a full disk is "iostream error"
        raise OSError(f"OpenVINO can't write {path.name}; is the disk full?") from error


def _in_view(images: Any, view: View) -> Any:
    from openvino import opset13 as ops

    is_transposed, rows_reversed, columns_reversed = view.flips
    if is_transposed:
        images = ops.transpose(images, ops.constant([0, _COLUMNS, _ROWS, 3]))
    if rows_reversed:
        images = _reversed(images, _ROWS)
    return _reversed(images, _COLUMNS) if columns_reversed else images


def _reversed(images: Any, axis: int) -> Any:
    from openvino import opset13 as ops

    start, stop, step = ([-1], [_BEFORE_THE_FIRST], [-1])
    return ops.slice(images, *(ops.constant(np.array(bound, np.int64)) for bound in (start, stop, step, [axis])))
