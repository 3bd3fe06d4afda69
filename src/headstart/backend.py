"""How TensorFlow, and the memory that it works in, are set up where it is Headstart that trains."""

from __future__ import annotations

import ctypes
import os

# The parameter of glibc's mallopt(3) for how much free memory at the end of a heap isn't given back.
_M_TOP_PAD = -2
# As large as the heap of a thread can get, so that none is given back while a training step frees and asks again.
KEPT_BYTES = 64 * 2**20


def prefer_onednn() -> None:
    """Let TensorFlow compute with oneDNN, unless the environment says otherwise; call it before TensorFlow is imported.

    By itself it does so only on processors that have instructions for neural networks (AVX512-VNNI and newer). On one
    with AVX2 a training step of EfficientNet-Lite0 then takes 1.7 times as long.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for what is asked for next; does nothing where that isn't glibc.

    Each training step frees its arrays and asks for as many again. glibc gives back what threads free, and the kernel
    has to clear every page once more. On a virtual machine keeping it took 0.79 of the seconds of fine-tuning at 32
    pixels and 0.92 at 224 (``benchmarks/freed_memory.py``).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(_M_TOP_PAD, KEPT_BYTES)
