from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.catalog.untrained import BASE
from headstart.errors import EngineError
from headstart.features.openvino import OpenVINOEngine, import_openvino
from headstart.features.speed import measure_speeds, split_network, weight_bytes
from headstart.features.store import Store
from headstart.learn.depths import Depths

LENGTHS = [32, 16, 8]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with Store(tmp_path_factory.mktemp("cache")) as store:
        return Depths(BASE, store).network


def test_each_part_gives_its_own_share_of_the_row(network: Path, tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32)
    row = OpenVINOEngine(network).run(inputs)
    shares = np.split(row, np.cumsum(LENGTHS)[:-1], axis=1)
    parts = split_network(network, LENGTHS)
    for place, (part, share) in enumerate(zip(parts, shares, strict=True)):
        path = tmp_path / f"{place}.xml"
        import_openvino().save_model(part, path, compress_to_fp16=False)
        np.testing.assert_allclose(OpenVINOEngine(path).run(inputs), share, rtol=1e-5, atol=1e-6)


def test_a_lower_part_holds_fewer_numbers(network: Path) -> None:
    whole, middle, lowest = map(weight_bytes, split_network(network, LENGTHS))
    kernels = [9 * 3 * 8, 9 * 8 * 16, 9 * 16 * 32]
    assert whole >= 4 * sum(kernels)
    assert 4 * sum(kernels[:2]) <= middle < 4 * sum(kernels)
    assert 4 * kernels[0] <= lowest < 4 * sum(kernels[:2])


def test_a_network_of_one_kind_is_taken_as_it_is(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        alone = Depths(BASE.up_to("stage0"), store).network
    assert len(split_network(alone, [8])) == 1


def test_speeds_are_measured_in_a_process_of_its_own(network: Path) -> None:
    speeds = measure_speeds(network, LENGTHS)
    assert len(speeds) == 3
    for speed in speeds:
        assert 0 < speed.milliseconds < 1000
        assert speed.images_per_second > 1
        assert speed.memory_mb is None or 20 < speed.memory_mb < 600


def test_memory_is_that_of_the_process_alone(network: Path) -> None:
    """What the process had that started it isn't counted."""
    code = (
        "import sys; ballast = bytearray(900_000_000); ballast[::4096] = bytes(len(ballast[::4096]));"
        "from pathlib import Path; from headstart.features.speed import measure_speeds;"
        "print(measure_speeds(Path(sys.argv[1]), [32, 16, 8])[0].memory_mb)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(network)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "None" or float(done.stdout) < 600


def test_what_is_no_network_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.xml"
    path.write_text("<net/>", encoding="utf-8")
    with pytest.raises(EngineError, match="can't be timed"):
        measure_speeds(path, [8])
