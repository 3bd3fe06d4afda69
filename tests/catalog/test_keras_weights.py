"""Where a base's weights come from, with small networks in the place of published ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.catalog import get_base, untrained
from headstart.catalog.base import Base
from headstart.catalog.download import Checksum
from headstart.catalog.keras_weights import FileWeights, PublishedWeights, located_bases, with_lookup
from headstart.catalog.lookup import Lookup
from headstart.errors import WeightsError

FILE = "small_notop.h5"
NOWHERE = f"http://127.0.0.1:9/{FILE}"

Same = Callable[[dict[str, np.ndarray], Any], bool]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Keras home that is empty, and nothing said in the environment."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("HEADSTART_WEIGHTS", raising=False)
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder in which Keras keeps weights."""
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def published(model: Any, tmp_path_factory: pytest.TempPathFactory, save_weights: Callable[..., Path]) -> Path:
    """The file as Keras would publish it; not to be changed."""
    return save_weights(model, tmp_path_factory.mktemp("legacy") / "legacy.h5")


@pytest.fixture
def source(network: Any, published: Path) -> Callable[..., PublishedWeights]:
    checksum = Checksum("md5", hashlib.md5(published.read_bytes(), usedforsecurity=False).hexdigest())

    def make(checksum: Checksum | None = checksum, address: str = NOWHERE, **lookup: Any) -> PublishedWeights:
        return PublishedWeights("small", network, address, FILE, checksum, lookup=Lookup(**lookup))

    return make


@pytest.fixture
def mirror(published: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server that has the file."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / FILE).write_bytes(published.read_bytes())

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def put(published: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path((folder / FILE).write_bytes(published.read_bytes()) and folder / FILE)


def test_weights_in_keras_cache_are_found(
    source: Any, published: Path, models: Path, model: Any, same_weights: Same
) -> None:
    assert not source().is_here()
    put(published, models)
    assert source().is_here()
    source().require()
    assert same_weights(source().load(), model)


def test_weights_in_a_folder_of_the_users_are_found(
    source: Any, published: Path, tmp_path: Path, model: Any, same_weights: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(published, tmp_path / "mine")
    assert same_weights(source(place=str(tmp_path / "mine"), offline=True).load(), model)
    monkeypatch.setenv("HEADSTART_WEIGHTS", str(tmp_path / "mine"))
    assert same_weights(source(offline=True).load(), model)


def test_weights_are_fetched_from_a_mirror_into_keras_cache(
    source: Any, mirror: str, published: Path, tmp_path: Path, model: Any, same_weights: Same
) -> None:
    found = source(place=mirror)
    found.require()
    assert (tmp_path / "keras" / "models" / FILE).read_bytes() == published.read_bytes()
    assert same_weights(found.load(), model)


def test_weights_are_fetched_from_where_they_are_published_if_the_mirror_lacks_them(
    source: Any, mirror: str, model: Any, same_weights: Same
) -> None:
    found = source(place=f"{mirror}/elsewhere", address=f"{mirror}/{FILE}")
    assert same_weights(found.load(), model)


def test_a_damaged_file_in_keras_cache_is_fetched_again(
    source: Any, mirror: str, models: Path, published: Path, model: Any, same_weights: Same
) -> None:
    (models / FILE).write_bytes(published.read_bytes()[:-1])
    assert same_weights(source(address=f"{mirror}/{FILE}").load(), model)
    assert (models / FILE).read_bytes() == published.read_bytes()


def test_offline_the_network_is_not_asked_and_the_error_says_all_there_is_to_do(
    source: Any, mirror: str, models: Path
) -> None:
    address = f"{mirror}/{FILE}"
    for found in (source(address=address, offline=True), source(address=address, place=mirror, offline=True)):
        with pytest.raises(WeightsError) as caught:
            found.require()
        assert str(caught.value) == (
            "the weights of small aren't here; they may not be fetched, since Headstart is offline; "
            f"get {address} on any machine and put it into {models} as {FILE}, "
            "or name the file, its folder or a mirror with --weights"
        )
    assert list(models.iterdir()) == []


def test_the_environment_forbids_the_network_too(source: Any, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(WeightsError, match="since Headstart is offline"):
        source(address=f"{mirror}/{FILE}").load()


def test_every_place_that_was_tried_is_told(source: Any, mirror: str, models: Path) -> None:
    (models / FILE).write_bytes(b"something else")
    with pytest.raises(WeightsError) as caught:
        source(place=f"{mirror}/a", address=f"{mirror}/b/{FILE}").require()
    message = str(caught.value)
    assert f"{models / FILE} isn't the published file: its md5 differs" in message
    for folder in ("a", "b"):
        assert f"{mirror}/{folder}/{FILE} can't be fetched: the server answers 404 File not found" in message


def test_converted_weights_need_neither_the_file_nor_keras(
    source: Any, published: Path, models: Path, tmp_path: Path, model: Any, same_weights: Same
) -> None:
    put(published, models)
    found = source(cache=tmp_path / "cache", offline=True)
    assert same_weights(found.load(), model)
    (models / FILE).unlink()

    def nobody(**options: Any) -> Any:
        raise AssertionError("the network was built")

    later = replace(found, architecture=nobody)
    assert later.is_here()
    later.require()
    assert same_weights(later.load(), model)


def test_damaged_converted_weights_are_converted_again(
    source: Any, published: Path, models: Path, tmp_path: Path, model: Any, same_weights: Same
) -> None:
    put(published, models)
    found = source(cache=tmp_path / "cache")
    found.load()
    (kept,) = (tmp_path / "cache" / "weights").glob("*.safetensors")
    kept.write_bytes(b"damaged")
    assert same_weights(found.load(), model)
    assert same_weights(found.load(), model)


def test_a_published_checksum_is_the_identity_before_and_after_the_file_is_here(
    source: Any, published: Path, models: Path
) -> None:
    before = source().identity
    assert before.startswith("md5:")
    put(published, models)
    assert source().identity == before


def test_without_a_published_checksum_the_files_own_is_the_identity(source: Any, published: Path, models: Path) -> None:
    assert source(checksum=None).identity == NOWHERE
    put(published, models)
    assert source(checksum=None).identity == f"sha256:{hashlib.sha256(published.read_bytes()).hexdigest()}"


def test_the_line_that_brings_the_weights_names_the_address_and_the_place(source: Any, models: Path) -> None:
    assert source().install_command == f"curl --create-dirs --output {models / FILE} {NOWHERE}"


@pytest.fixture
def own_weights(tmp_path: Path, save_weights: Callable[..., Path]) -> Path:
    """Weights for the base "untrained", other than its own."""
    network = untrained.build()
    for weight in network.weights:
        weight.assign(np.full(weight.shape, 0.25, np.float32))
    return save_weights(network, tmp_path / "own.weights.h5")


def test_the_users_own_file_takes_the_place_of_a_bases_weights(own_weights: Path, tmp_path: Path) -> None:
    base = with_lookup(untrained.BASE, Lookup(file=own_weights, cache=tmp_path))
    assert isinstance(base.weights, FileWeights)
    assert base.weights.identity == hashlib.sha256(own_weights.read_bytes()).hexdigest()
    assert base.fingerprint != untrained.BASE.fingerprint
    for _ in range(2):  # from the file, and from what was kept of it
        assert all((np.asarray(weight) == 0.25).all() for weight in base.build().weights)
    (kept,) = (tmp_path / "weights").glob("untrained-*.safetensors")
    assert kept.stat().st_size > 0


def test_a_file_of_the_users_that_is_gone_is_told(own_weights: Path) -> None:
    base = with_lookup(untrained.BASE, Lookup(file=own_weights))
    own_weights.unlink()
    assert not base.weights.is_here()
    with pytest.raises(WeightsError, match="there is no weights file"):
        base.weights.require()


def test_a_file_that_changes_has_another_identity(own_weights: Path) -> None:
    weights = with_lookup(untrained.BASE, Lookup(file=own_weights)).weights
    before = weights.identity
    own_weights.write_bytes(own_weights.read_bytes() + b"more")
    assert weights.identity != before


@pytest.mark.parametrize("name", ["untrained", "efficientnet-lite0"])
def test_bases_that_bring_their_weights_are_left_alone(name: str) -> None:
    base: Base = get_base(name)
    assert with_lookup(base, Lookup(offline=True)) is base


def test_every_base_on_offer_knows_the_cache(tmp_path: Path) -> None:
    located = {base.name: base for base in located_bases(tmp_path)}
    weights = located["vgg16"].weights
    assert isinstance(weights, PublishedWeights)
    assert weights.lookup.cache == tmp_path
