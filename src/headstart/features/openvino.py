"""The fast engine: OpenVINO, with single-image requests, as many in flight as keep every core busy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headstart.errors import EngineError
from headstart.features.engine import Engine, Tag
from headstart.quiet import native_stderr_silenced

if TYPE_CHECKING:
    import keras

Precision = Literal["f32", "bf16"]
PRECISIONS = ("auto", "f32", "bf16")

# bf16 keeps 8 bits of mantissa: one rounding is wrong by up to 0.4 %, and through a deep network the errors of a
# sound conversion stay within a few times that.
BF16_TOLERANCE = 0.03


class OpenVINOEngine(Engine):
    """Runs a converted network on the CPU.

    Args:
        path: the network's ``.xml`` file, its ``.bin`` beside it.
        precision: of the arithmetic, set explicitly: left alone, OpenVINO takes bf16 wherever the CPU has it.
        hint: "throughput" keeps several requests in flight, "latency" gives one request all cores.

    Attributes:
        input_shape: of one input, without the batch axis.
        output_shape: of one output, without the batch axis.
    """

    def __init__(
        self, path: Path, precision: Precision = "f32", hint: Literal["throughput", "latency"] = "throughput"
    ) -> None:
        openvino = import_openvino()
        self._identity = identity_of(precision)
        core = openvino.Core()
        try:
            network = core.read_model(path)
            network.reshape([1, *(axis.get_length() for axis in list(network.input(0).get_partial_shape())[1:])])
        except RuntimeError as error:
            raise EngineError(f"{path} can't be read as a network", "it is damaged; make it again") from error
        self.input_shape = tuple(network.input(0).shape)[1:]
        self.output_shape = tuple(network.output(0).shape)[1:]
        settings = {"PERFORMANCE_HINT": hint.upper(), "INFERENCE_PRECISION_HINT": precision}
        self._requests = openvino.AsyncInferQueue(core.compile_model(network, "CPU", settings))

    @property
    def identity(self) -> str:
        return self._identity

    def stream(self, inputs: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        done: SimpleQueue[tuple[Tag, np.ndarray]] = SimpleQueue()
        # A request's output tensor is used again by the next input, so it is copied before the request is free.
        self._requests.set_callback(lambda request, tag: done.put((tag, request.get_output_tensor(0).data[0].copy())))
        try:
            for tag, array in inputs:
                self._requests.start_async({0: array[None]}, tag)
                while not done.empty():
                    yield done.get()
        finally:  # also where the inputs fail or the caller stops early: busy requests would spoil the next stream
            self._requests.wait_all()
        while not done.empty():
            yield done.get()


def identity_of(precision: Precision) -> str:
    """The identity of an engine of this precision, known without making one."""
    return f"openvino-{import_openvino().get_version().split('-')[0]}-{precision}"


def import_openvino() -> Any:
    """OpenVINO, without the usage statistics that it would send home when it is imported.

    The telemetry package is optional to OpenVINO: where it can't be imported, a stub inside OpenVINO takes its place.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def convert(model: keras.Model, path: Path) -> None:
    """Write a Keras model as an OpenVINO network, float32.

    Args:
        model: a model with one input and one output.
        path: the ``.xml`` file to write; the weights go into a ``.bin`` beside it.

    Raises:
        EngineError: OpenVINO can't express the model.
    """
    try:
        with native_stderr_silenced():
            _write_network(model, path)
    except OSError:  # a full disk says nothing about the model
        raise
    except Exception as error:
        raise EngineError(f"{model.name!r} can't be converted for OpenVINO ({error})") from error


def _write_network(model: keras.Model, path: Path) -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        _write_from_tensorflow(model, path)
    elif tuple(sys.version_info) >= (3, 13):
        _write_by_saved_model(model, path)
    elif getattr(model, "inputs", None):  # a subclass needn't know its own
        _write_directly(model, path)
    else:
        model.export(str(path), format="openvino", verbose=False)


def _write_directly(model: keras.Model, path: Path) -> None:
    """What `model.export` comes to as well, which takes half as long again: it traces the model twice."""
    openvino = import_openvino()
    shape = openvino.PartialShape([-1, *tuple(model.inputs[0].shape)[1:]])
    with warnings.catch_warnings():
        # OpenVINO calls the model with a list of one input.
        warnings.filterwarnings("ignore", r"(?s).*The structure of `inputs` doesn't match", UserWarning)
        network = openvino.convert_model(model, input=[shape])
    openvino.save_model(network, path, compress_to_fp16=False)


def _write_by_saved_model(model: keras.Model, path: Path) -> None:
    """The way round for Python 3.13, where it takes two to three times as long and gives the same.

    From there on, exec() in a function can't delete a local name any more (PEP 667), and OpenVINO's direct conversion
    of a Keras model relies on that.
    """
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(prefix="headstart-export-") as saved:
        model.export(saved, format="tf_saved_model", verbose=False)
        openvino.save_model(openvino.Core().read_model(saved), path, compress_to_fp16=False)


_CONVERT = """
import sys, pathlib, keras
from headstart.features.openvino import convert
convert(keras.saving.load_model(sys.argv[1], compile=False), pathlib.Path(sys.argv[2]))
"""


def _write_from_tensorflow(model: keras.Model, path: Path) -> None:
    """Convert in a process where Keras runs on TensorFlow: from JAX OpenVINO can't, and from torch sizes get lost."""
    with tempfile.TemporaryDirectory(prefix="headstart-export-") as made:
        saved = Path(made, "prefix.keras")
        model.save(saved)
        command = [sys.executable, "-c", _CONVERT, str(saved), str(path)]
        done = subprocess.run(
            command, env=os.environ | {"KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])


def append_linear_head(pooled: Path, weights: np.ndarray, bias: np.ndarray, path: Path) -> None:
    """Write a network that gives logits, from one that gives pooled features; needs no Keras.

    Args:
        pooled: the ``.xml`` file of a network with output (batch, features).
        weights: float32, shape (features, classes).
        bias: float32, shape (classes,).
        path: the ``.xml`` file to write.

    Raises:
        OSError: it can't be written.
    """
    openvino = import_openvino()
    from openvino import opset13 as ops

    network = openvino.Core().read_model(pooled)
    features = network.output(0).get_node().input_value(0)
    # With names, since OpenVINO would number them by how many nodes the process has made before.
    kernel, offset = ops.constant(weights, name="logits_kernel"), ops.constant(bias, name="logits_bias")
    product = ops.matmul(features, kernel, transpose_a=False, transpose_b=False, name="logits_product")
    logits = ops.result(ops.add(product, offset, name="logits"), name="logits_result")
    classifier = openvino.Model([logits], network.get_parameters(), "classifier")
    try:
        openvino.save_model(classifier, path, compress_to_fp16=False)
    except RuntimeError as error:  # all that OpenVINO says of a full disk is "iostream error"
        raise OSError(f"OpenVINO can't write {path.name}; is the disk full?") from error


def choose_precision(network: Path, sample: np.ndarray, *, has_bf16: bool | None = None) -> tuple[Precision, str]:
    """bf16 where the CPU has it and it agrees with f32 on the user's own images; else f32.

    Args:
        network: the ``.xml`` file.
        sample: a few of the network's inputs, float32, shape (images, height, width, 3).
        has_bf16: whether the CPU has it; asked of OpenVINO by default.

    Returns:
        The precision, and the reason for it in words.
    """
    if not (cpu_has_bf16() if has_bf16 is None else has_bf16):
        return "f32", "this CPU doesn't compute in bf16"
    exact, rounded = (OpenVINOEngine(network, precision).run(sample) for precision in ("f32", "bf16"))
    error = float(np.linalg.norm(rounded - exact) / max(float(np.linalg.norm(exact)), 1e-12))
    verdict = f"on the first {len(sample)} images bf16 differs from f32 by {error:.2%}"
    return ("bf16", verdict) if error <= BF16_TOLERANCE else ("f32", f"{verdict}, more than {BF16_TOLERANCE:.0%}")


def cpu_has_bf16() -> bool:
    """Whether this CPU computes in bf16 by itself; emulated, it would be slower and no more exact."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
