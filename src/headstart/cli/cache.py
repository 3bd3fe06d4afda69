"""The commands about the store of features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli.options import CacheOption, JsonOption
from headstart.cli.printing import print_json

app = typer.Typer(no_args_is_help=True, help="Look at, or trim, the store of features.")


@app.command()
def info(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Say how much the store of features holds.

    \b
    headstart cache info
    """
    with _open_store(cache) as store:
        found = store.info()
    if as_json:
        fields = {
            "path": str(found.path),
            "values": found.values,
            "file_bytes": found.file_bytes,
            "budget_bytes": found.budget_bytes,
        }
        print_json(fields)
        return
    print(
        f"{found.path}: {found.values:,} features, {_megabytes(found.file_bytes)} of {_megabytes(found.budget_bytes)}"
    )


@app.command()
def prune(
    keep: Annotated[float, typer.Option("--keep-mb", metavar="MB", min=0, help="How much to keep.")] = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the features that were used longest ago, until the rest fits.

    \b
    headstart cache prune --keep-mb 500
    """
    with _open_store(cache) as store:
        removed = store.prune(int(keep * 1e6))
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {removed:,} features")


def _open_store(cache: Path | None) -> Any:
    from headstart.features.store import Store, default_folder

    return Store(cache or default_folder())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
