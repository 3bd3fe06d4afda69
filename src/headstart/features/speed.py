"""How fast a converted network answers on this machine, how large it is, and what memory running it takes.

Measured in a process of its own, which loads nothing but OpenVINO, as prediction does: in one that has worked before,
memory would say nothing.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import EngineError
from headstart.features.openvino import OpenVINOEngine, import_openvino

# Of runs for one figure, at least so many and for so long; those before only set things up.
FEWEST_RUNS, SECONDS, RUNS_BEFORE = 3, 0.05, 1
# In flight at a time for images a second.
AT_ONCE = 8


@dataclass(frozen=True)
class Speed:
    """What a network takes on this machine, in f32, as a run answers.

    Attributes:
        milliseconds: for one image alone, with all cores; decoding it isn't in that.
        images_per_second: with many in flight, likewise.
        size_mb: of its weights, in millions of bytes.
        memory_mb: that a process takes at most which runs it, likewise; None where the system doesn't say.
    """

    milliseconds: float
    images_per_second: float
    size_mb: float
    memory_mb: float | None


def measure_speeds(network: Path, lengths: Sequence[int]) -> list[Speed]:
    """Of the parts of a network that gives several kinds of features in one row.

    Args:
        network: the ``.xml`` file.
        lengths: of the features of each part, in the order of the row.

    Returns:
        One for each part, as if there were nothing else in the network than what that part needs.

    Raises:
        EngineError: it can't be run.
    """
    command = [sys.executable, "-c", "from headstart.features.speed import main; main()"]
    asked = json.dumps({"network": str(network), "lengths": list(lengths)})
    done = subprocess.run([*command, asked], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{network} can't be timed ({done.stderr.strip().rpartition(chr(10))[2]})", "make it again")
    return [Speed(**found) for found in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """In the process of its own: the smallest part first, so that the most memory so far is that part's."""
    asked = json.loads(sys.argv[1])
    parts = split_network(Path(asked["network"]), asked["lengths"])
    sizes = [weight_bytes(part) for part in parts]
    found: dict[int, Speed] = {}
    with tempfile.TemporaryDirectory(prefix="headstart-speed-") as made:
        for place in sorted(range(len(parts)), key=lambda place: sizes[place]):
            path = Path(made, f"part{place}.xml")
            import_openvino().save_model(parts[place], path, compress_to_fp16=False)
            found[place] = _measure(path, sizes[place])
    print(json.dumps([asdict(found[place]) for place in range(len(parts))]))


def split_network(network: Path, lengths: Sequence[int]) -> list[Any]:
    """A network for each kind of features in the row that one gives, without what the others need alone."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    whole = openvino.Core().read_model(network)
    row = whole.output(0).get_node().input_value(0).get_node()
    pieces = list(row.input_values()) if row.get_type_name() == "Concat" else list(row.outputs())
    ends = list(accumulate(piece.get_partial_shape()[1].get_length() for piece in pieces))
    starts = [0, *accumulate(lengths)]
    parts = []
    for start, stop in pairwise(starts):
        chosen = [piece for piece, end in zip(pieces, ends, strict=True) if start < end <= stop]
        features = ops.concat(chosen, axis=-1)
        parts.append(openvino.Model([ops.result(features)], whole.get_parameters(), "part").clone())
    return parts


def weight_bytes(network: Any) -> int:
    """Of all numbers that a network holds."""
    constants = [node for node in network.get_ops() if node.get_type_name() == "Constant"]
    return sum(node.get_byte_size() for node in constants)


def _measure(path: Path, size: int) -> Speed:
    milliseconds = 1000 * _seconds_a_run(OpenVINOEngine(path, "f32", "latency"), 1)
    rate = AT_ONCE / _seconds_a_run(OpenVINOEngine(path, "f32"), AT_ONCE)
    return Speed(round(milliseconds, 2), round(rate, 1), size / 1e6, _most_memory())


def _most_memory() -> float | None:
    """That this process has taken so far, in millions of bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux `ru_maxrss` begins at what the process had that started this one
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) * 1024 / 1e6)
    try:
        import resource
    except ImportError:  # it is of Unix
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _seconds_a_run(engine: OpenVINOEngine, images: int) -> float:
    """The median of some runs of so many images."""
    inputs = np.zeros((images, *engine.input_shape), np.float32)
    seconds: list[float] = []
    start = time.perf_counter()
    while len(seconds) < FEWEST_RUNS + RUNS_BEFORE or time.perf_counter() - start < SECONDS:
        before = time.perf_counter()
        engine.run(inputs)
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds[RUNS_BEFORE:])
