"""What every benchmark needs: a description of the machine, and results as JSON beside the scripts."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("headstart", "keras", "numpy", "openvino", "pillow", "scikit-learn", "tensorflow")


def machine() -> dict[str, Any]:
    """The processor, its cores and instruction sets, and the versions that were measured."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(fields.get("flags", "").split())
    return {
        "processor": fields.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": sorted(flags & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, mean, range and the values themselves."""
    return {
        "median": round(statistics.median(values), 4),
        "mean": round(statistics.fmean(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "values": [round(value, 4) for value in values],
    }


def recorded(name: str, key: str) -> list[Any]:
    """What a result says already, as a list under a name; nothing where it isn't there."""
    path = RESULTS / f"{name}.json"
    return list(json.loads(path.read_text(encoding="utf-8"))[key]) if path.exists() else []


def record(name: str, result: dict[str, Any]) -> None:
    """Write results/NAME.json, and show it."""
    document = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **result}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
