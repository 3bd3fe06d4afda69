from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.errors import EngineError, StoreError
from headstart.features.openvino import OpenVINOEngine
from headstart.features.prefix import Prefix, converted


class Exported:
    """In place of a Keras model: exporting it copies a network that is there already."""

    name = "exported"

    def __init__(self, network: Path) -> None:
        self._network = network

    def export(self, path: str, format: str, verbose: bool) -> None:
        for suffix in (".xml", ".bin"):
            shutil.copy(self._network.with_suffix(suffix), Path(path).with_suffix(suffix))


class Counted:
    """A prefix that counts how often it is built."""

    def __init__(self, network: Path, identity: str = "untrained:stage2") -> None:
        self.builds = 0
        self._network = network
        self.prefix = Prefix(identity, self._build)

    def _build(self) -> Any:
        self.builds += 1
        return Exported(self._network)


@pytest.fixture
def counted(untrained_network: Path) -> Counted:
    return Counted(untrained_network)


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "prefixes").rglob("*") if path.is_file())


def test_a_keras_prefix_becomes_a_network_that_computes_the_same(
    untrained: Any, inputs: np.ndarray, cache_dir: Path
) -> None:
    network = converted(Prefix("untrained", lambda: untrained), cache_dir)
    expected = np.asarray(untrained(inputs, training=False))
    np.testing.assert_allclose(OpenVINOEngine(network).run(inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_prefix_is_converted_once(counted: Counted, cache_dir: Path) -> None:
    first = converted(counted.prefix, cache_dir)
    assert converted(counted.prefix, cache_dir) == first
    assert counted.builds == 1
    assert files(cache_dir) == ["network.bin", "network.xml", "sha256.json"]


def test_a_later_process_does_not_build_it(counted: Counted, cache_dir: Path) -> None:
    network = converted(counted.prefix, cache_dir)

    def build() -> Any:
        raise AssertionError("built again")

    assert converted(Prefix(counted.prefix.identity, build), cache_dir) == network


def test_prefixes_of_different_identity_are_kept_apart(untrained_network: Path, cache_dir: Path) -> None:
    one, two = Counted(untrained_network, "a"), Counted(untrained_network, "b")
    assert converted(one.prefix, cache_dir) != converted(two.prefix, cache_dir)
    assert (one.builds, two.builds) == (1, 1)


@pytest.mark.parametrize("name", ["network.bin", "network.xml", "sha256.json"])
@pytest.mark.parametrize("damage", ["a changed byte", "cut short", "gone"])
def test_a_damaged_prefix_is_converted_again(name: str, damage: str, counted: Counted, cache_dir: Path) -> None:
    network = converted(counted.prefix, cache_dir)
    whole = network.with_suffix(".bin").read_bytes()
    victim = network.with_name(name)
    content = victim.read_bytes()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(content[:-20] if damage == "cut short" else content[:-5] + b"#" + content[-4:])
    assert converted(counted.prefix, cache_dir) == network
    assert counted.builds == 2
    assert network.with_suffix(".bin").read_bytes() == whole
    converted(counted.prefix, cache_dir)
    assert counted.builds == 2


def test_checksums_of_another_form_count_as_damage(counted: Counted, cache_dir: Path) -> None:
    network = converted(counted.prefix, cache_dir)
    for text in ("[]", "{}", "null", '{"network.xml": 3}'):
        network.with_name("sha256.json").write_text(text)
        converted(counted.prefix, cache_dir)
    assert counted.builds == 5


def test_a_failed_conversion_leaves_nothing_behind(cache_dir: Path, counted: Counted) -> None:
    class Broken:
        name = "broken"

        def export(self, path: str, **options: Any) -> None:
            Path(path).write_text("half of it")
            raise ValueError("no such operation")

    with pytest.raises(EngineError, match=r"'broken' can't be converted for OpenVINO \(no such operation\)"):
        converted(Prefix(counted.prefix.identity, lambda: Broken()), cache_dir)
    assert list((cache_dir / "prefixes").iterdir()) == []
    assert converted(counted.prefix, cache_dir).exists()


def test_a_cache_that_cannot_be_written_says_so(counted: Counted, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"can't be kept in .*file.prefixes \(.+\); name another with --cache"):
        converted(counted.prefix, tmp_path / "file")


CONVERT = """
import shutil, sys, time
from pathlib import Path
from headstart.features.openvino import OpenVINOEngine
from headstart.features.prefix import Prefix, converted

source, cache, start = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])

class Slow:
    name = "slow"
    def export(self, path, format, verbose):
        for suffix in (".xml", ".bin"):
            shutil.copy(source.with_suffix(suffix), Path(path).with_suffix(suffix))
            time.sleep(0.2)

def build():
    print("built")
    return Slow()

time.sleep(max(0, start - time.time()))
for number in range(4):
    OpenVINOEngine(converted(Prefix(str(number), build), cache))
"""


def test_processes_that_convert_at_once_all_get_a_whole_network(untrained_network: Path, cache_dir: Path) -> None:
    arguments = [sys.executable, "-c", CONVERT, str(untrained_network), str(cache_dir), str(time.time() + 1.5)]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in running]
    assert [(error, code) for _, error, code in ended] == [("", 0)] * 3
    assert sum(output.count("built") for output, _, _ in ended) > 4, "they didn't meet"
    assert len(list((cache_dir / "prefixes").iterdir())) == 4
    assert len(files(cache_dir)) == 4 * 3
