"""Against a real server on this machine, which misbehaves as servers and networks do."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headstart.catalog.download import STALE_S, Checksum, Patience, download
from headstart.errors import WeightsError
from headstart.progress import Display

CONTENT = bytes(range(256)) * 5000  # 1.28 MB: several reads, and a megabyte to show
RIGHT = Checksum("md5", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
WRONG = Checksum("sha256", "0" * 64)
HASTY = Patience(attempts=3, timeout=2.0, pause=0.01)

Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its answers, and the last one from then on.

    Attributes:
        ranges: where each request wanted the file to begin.
    """

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.ranges: list[int] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.h5"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        self.server.ranges.append(start)
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self, start)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(*answers: Answer) -> Server:
        server = Server(*answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def head(handler: BaseHTTPRequestHandler, status: int, **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def announce(handler: BaseHTTPRequestHandler, start: int, total: int = len(CONTENT)) -> None:
    if start:
        span = f"bytes {start}-{total - 1}/{total}"
        head(handler, 206, Content_Length=total - start, Content_Range=span)
    else:
        head(handler, 200, Content_Length=total)


def well(handler: BaseHTTPRequestHandler, start: int) -> None:
    announce(handler, start)
    handler.wfile.write(CONTENT[start:])


def cut_off(handler: BaseHTTPRequestHandler, start: int) -> None:
    announce(handler, start)
    handler.wfile.write(CONTENT[start : start + 400_000])


def slowly(handler: BaseHTTPRequestHandler, start: int) -> None:
    announce(handler, start)
    for place in range(start, len(CONTENT), 300_000):
        handler.wfile.write(CONTENT[place : place + 300_000])
        time.sleep(0.02)


def without_ranges(handler: BaseHTTPRequestHandler, start: int) -> None:
    announce(handler, 0)
    handler.wfile.write(CONTENT)


def from_elsewhere(handler: BaseHTTPRequestHandler, start: int) -> None:
    head(handler, 206, Content_Length=10, Content_Range=f"bytes 7-16/{len(CONTENT)}")
    handler.wfile.write(CONTENT[7:17])


def too_short(handler: BaseHTTPRequestHandler, start: int) -> None:
    head(handler, 200, Content_Length=1000)
    handler.wfile.write(CONTENT)


def without_length(handler: BaseHTTPRequestHandler, start: int) -> None:
    head(handler, 200)
    handler.wfile.write(CONTENT)


def endless(handler: BaseHTTPRequestHandler, start: int) -> None:
    head(handler, 200, Content_Length=10**13)


def stalled(handler: BaseHTTPRequestHandler, start: int) -> None:
    announce(handler, start)
    handler.wfile.write(CONTENT[start : start + 10])
    handler.wfile.flush()
    time.sleep(0.8)


def failing(status: int, **headers: object) -> Answer:
    return lambda handler, start: head(handler, status, Content_Length=0, **headers)


def leading_to(address: str) -> Answer:
    return failing(302, Location=address)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "weights.h5"


def left_in(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {target.name}


def arrives(server: Server, target: Path, checksum: Checksum | None = RIGHT) -> None:
    download(server.address, target, checksum, patience=HASTY)
    assert target.read_bytes() == CONTENT
    assert left_in(target) == set()


@pytest.mark.parametrize("answer", [well, slowly, without_length])
@pytest.mark.parametrize("checksum", [RIGHT, None], ids=["checked", "unchecked"])
def test_a_file_arrives_whole_and_nothing_else_is_left(
    serve: Any, target: Path, answer: Answer, checksum: Checksum | None
) -> None:
    arrives(serve(answer), target, checksum)


def test_a_file_that_breaks_off_is_gone_on_with_where_it_broke_off(serve: Any, target: Path) -> None:
    server = serve(cut_off, cut_off, well)
    arrives(server, target)
    assert server.ranges == [0, 400_000, 800_000]


def test_what_arrived_is_kept_for_the_next_call(serve: Any, target: Path) -> None:
    broken = serve(cut_off, failing(503))
    with pytest.raises(WeightsError) as caught:
        download(broken.address, target, RIGHT, patience=HASTY)
    assert str(caught.value) == (
        f"{broken.address} can't be fetched: the server answers 503 Service Unavailable; "
        "check the network and try again; 0.4 MB have arrived"
    )
    assert not target.exists()
    assert left_in(target) == {".weights.h5.part"}
    server = serve(well)
    arrives(server, target)
    assert server.ranges == [400_000]


def test_without_a_checksum_nothing_is_built_upon_what_an_earlier_call_left(serve: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name(".weights.h5.part").write_bytes(b"something else")
    server = serve(well)
    arrives(server, target, None)
    assert server.ranges == [0]


def test_a_part_of_another_file_is_found_out_and_fetched_again(serve: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name(".weights.h5.part").write_bytes(b"something else")
    server = serve(well)
    arrives(server, target)
    assert server.ranges == [14, 0]


def test_a_part_that_is_whole_already_is_only_checked(serve: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name(".weights.h5.part").write_bytes(CONTENT)
    server = serve(failing(416, Content_Range=f"bytes */{len(CONTENT)}"))
    arrives(server, target)
    assert server.ranges == [len(CONTENT)]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(serve: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name(".weights.h5.part").write_bytes(CONTENT + b"more")
    server = serve(failing(416, Content_Range=f"bytes */{len(CONTENT)}"), well)
    arrives(server, target)
    assert server.ranges == [len(CONTENT) + 4, 0]


def test_the_part_of_a_process_that_was_killed_is_taken_over_and_that_of_a_living_one_is_not(
    serve: Any, target: Path
) -> None:
    target.parent.mkdir()
    dead, alive = (target.with_name(f".weights.h5.part-{number}") for number in (1, 2))
    dead.write_bytes(CONTENT[:700])
    alive.write_bytes(CONTENT[:900])
    past = time.time() - STALE_S - 60
    os.utime(dead, (past, past))
    server = serve(well)
    download(server.address, target, RIGHT, patience=HASTY)
    assert server.ranges == [700]
    assert left_in(target) == {alive.name}


def test_a_server_that_ignores_ranges_sends_it_all_again(serve: Any, target: Path) -> None:
    server = serve(cut_off, without_ranges)
    arrives(server, target)
    assert server.ranges == [0, 400_000]


def test_a_server_that_sends_another_part_is_refused(serve: Any, target: Path) -> None:
    server = serve(cut_off, from_elsewhere)
    with pytest.raises(WeightsError, match="answers with another part than was asked for"):
        download(server.address, target, RIGHT, patience=HASTY)


def test_a_file_with_another_checksum_is_removed(serve: Any, target: Path) -> None:
    server = serve(well)
    with pytest.raises(WeightsError) as caught:
        download(server.address, target, WRONG, patience=HASTY)
    assert str(caught.value) == (
        f"{server.address} isn't the published file: its sha256 differs from {'0' * 64}; "
        "it was changed or damaged on the way, and has been removed; try again, or from another network"
    )
    assert list(target.parent.iterdir()) == []


def test_a_server_that_states_too_small_a_length_is_found_out(serve: Any, target: Path) -> None:
    with pytest.raises(WeightsError, match="isn't the published file: its md5 differs"):
        download(serve(too_short).address, target, RIGHT, patience=HASTY)
    assert not target.exists()


def test_a_server_that_announces_more_than_any_weights_have_is_not_listened_to(serve: Any, target: Path) -> None:
    with pytest.raises(WeightsError, match="announces 10,000,000,000,000 bytes, more than any weights file has"):
        download(serve(endless).address, target, None, patience=HASTY)


def test_a_file_that_is_not_there_is_told_at_once(serve: Any, target: Path) -> None:
    server = serve(failing(404))
    with pytest.raises(WeightsError) as caught:
        download(server.address, target, RIGHT, patience=HASTY)
    assert str(caught.value) == (
        f"{server.address} can't be fetched: the server answers 404 Not Found; check the address"
    )
    assert server.ranges == [0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_a_bounded_number_of_times(serve: Any, target: Path, status: int) -> None:
    arrives(serve(failing(status), well), target)
    target.unlink()
    server = serve(failing(status))
    with pytest.raises(WeightsError, match=f"can't be fetched: the server answers {status}"):
        download(server.address, target, RIGHT, patience=HASTY)
    assert len(server.ranges) == 3


def test_a_server_that_falls_silent_is_given_up(serve: Any, target: Path) -> None:
    server = serve(stalled)
    with pytest.raises(WeightsError, match="can't be fetched: no byte came in time"):
        download(server.address, target, RIGHT, patience=Patience(attempts=2, timeout=0.2, pause=0.01))
    assert server.ranges == [0, 10]


def test_a_server_that_is_not_there_is_told(serve: Any, target: Path) -> None:
    server = serve(well)
    address = server.address
    server.server_close()
    with pytest.raises(WeightsError, match=r"can't be fetched: Connection refused; check the network and try again"):
        download(address, target, RIGHT, patience=HASTY)


def test_redirects_are_followed(serve: Any, target: Path) -> None:
    arrives(serve(leading_to(serve(well).address)), target)


@pytest.mark.parametrize(
    ("elsewhere", "message"),
    [
        ("file:///etc/passwd", "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("ftp://127.0.0.1/weights.h5", "leads to ftp://127.0.0.1/weights.h5, which isn't http or https"),
    ],
)
def test_redirects_out_of_the_web_are_refused(serve: Any, target: Path, elsewhere: str, message: str) -> None:
    server = serve(leading_to(elsewhere))
    with pytest.raises(WeightsError, match=message):
        download(server.address, target, None, patience=HASTY)
    assert server.ranges == [0]


def test_an_address_of_another_kind_is_refused(target: Path) -> None:
    with pytest.raises(WeightsError, match=r"file:///etc/passwd, which isn't http or https"):
        download("file:///etc/passwd", target, None)


def test_a_folder_that_can_not_be_made_is_told(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WeightsError, match=r"weights\.h5 can't be written \(File exists\); set KERAS_HOME"):
        download(serve(well).address, tmp_path / "models" / "weights.h5", RIGHT, patience=HASTY)


def test_a_full_disk_is_told_and_leaves_nothing_half_done(serve: Any, small_disk: Callable[[int], Path]) -> None:
    target = small_disk(512) / "weights.h5"
    with pytest.raises(WeightsError, match=r"can't be written \(No space left on device\); free some space"):
        download(serve(well).address, target, RIGHT, patience=HASTY)
    assert not target.exists()


def test_progress_is_told_in_megabytes(serve: Any, target: Path) -> None:
    stages: list[tuple[str, int | None, str]] = []
    steps: list[int] = []

    class Watching(Display):
        @contextmanager
        def stage(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
            stages.append((title, total, unit))
            yield steps.append

        def say(self, sentence: str) -> None:
            raise AssertionError(sentence)

    download(serve(slowly).address, target, RIGHT, Watching(), HASTY)
    assert stages == [("Downloading weights", 1, "MB")]
    assert sum(steps) == 1
