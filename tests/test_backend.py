from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from headstart.backend import keep_freed_memory, prefer_onednn

NAME = "TF_ENABLE_ONEDNN_OPTS"


def test_onednn_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    prefer_onednn()
    assert os.environ[NAME] == "1"


def test_who_decided_against_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "0")
    prefer_onednn()
    assert os.environ[NAME] == "0"


# A thread frees and asks again a hundred times; printed are the pages that the kernel had to give it.
CHURN = """
import resource, sys, threading
from headstart.backend import keep_freed_memory
def churn():
    for _ in range(100):
        arrays = [bytearray(100_000) for _ in range(200)]
        del arrays
if sys.argv[1] == "kept":
    keep_freed_memory()
thread = threading.Thread(target=churn)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory in ways of their own")
def test_freed_memory_is_kept() -> None:
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "given back")
    )
    assert kept < given_back / 5


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.backend.ctypes.CDLL", lambda name: object())
    keep_freed_memory()
