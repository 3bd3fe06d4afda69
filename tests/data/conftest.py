"""Archives and tables that hold images, whose bytes don't matter to a data set."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

Pack = Callable[..., Path]
WriteArrow = Callable[..., Path]


@pytest.fixture(scope="session")
def pack() -> Pack:
    """`pack(path, {"cat/1.png": b"…"})` writes a zip or tar file, as the suffix says; returns the path."""
    return _pack


@pytest.fixture(scope="session")
def write_arrow() -> WriteArrow:
    """`write_arrow(path, table, group=4)` writes a Parquet file, or an Arrow stream as `datasets` does."""
    return _write_arrow


@pytest.fixture(scope="session")
def hub_table() -> Callable[[Sequence[bytes], Sequence[int], Sequence[str]], Any]:
    """`hub_table(images, [0, 1], ["cat", "dog"])` is a table as `datasets` makes it of images with classes."""

    def make(images: Sequence[bytes], labels: Sequence[int], names: Sequence[str]) -> Any:
        import pyarrow as pa

        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        schema = pa.schema([("image", image), ("label", pa.int64())], metadata=metadata)
        cells = [{"bytes": image, "path": f"{place}.png"} for place, image in enumerate(images)]
        return pa.table({"image": cells, "label": list(labels)}, schema=schema)

    return make


def _pack(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
        return path
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _write_arrow(path: Path, table: Any, group: int = 4) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        pq.write_table(table, path, row_group_size=group)
        return path
    write = pa.ipc.new_file if path.name.endswith(".footer.arrow") else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as file, write(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=group)
    return path
