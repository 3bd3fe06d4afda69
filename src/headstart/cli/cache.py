"""The commands about what is kept between runs: the store of features, and checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.options import CacheOption, JsonOption
from headstart.cli.printing import print_json

if TYPE_CHECKING:
    from headstart.learn.checkpoint import Checkpoints

app = typer.Typer(no_args_is_help=True, help="Look at, or trim, what is kept between runs.")


@app.command()
def info(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Say how many features are kept, and checkpoints of fine-tunings that were stopped.

    \b
    headstart cache info
    """
    with _open_store(cache) as store:
        found, checkpoints = store.info(), _checkpoints(store.folder)
    if as_json:
        fields = {
            "path": str(found.path),
            "values": found.values,
            "file_bytes": found.file_bytes,
            "budget_bytes": found.budget_bytes,
            "checkpoints": checkpoints.count(),
            "checkpoint_bytes": checkpoints.file_bytes(),
        }
        print_json(fields)
        return
    print(
        f"{found.path}: {found.values:,} features, {_megabytes(found.file_bytes)} of {_megabytes(found.budget_bytes)}"
    )
    if count := checkpoints.count():
        print(f"checkpoints of fine-tunings that were stopped: {count:,}, {_megabytes(checkpoints.file_bytes())}")


@app.command()
def prune(
    keep: Annotated[float, typer.Option("--keep-mb", metavar="MB", min=0, help="Of features, how much to keep.")] = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the features that were used longest ago, until the rest fits, and all checkpoints.

    A checkpoint is what a fine-tuning that was stopped goes on from; without it, it starts over.

    \b
    headstart cache prune --keep-mb 500
    """
    with _open_store(cache) as store:
        removed, checkpoints = store.prune(int(keep * 1e6)), _checkpoints(store.folder).remove_all()
    if as_json:
        print_json({"removed": removed, "checkpoints": checkpoints})
    else:
        print(f"removed {removed:,} features" + (f" and {checkpoints:,} checkpoints" if checkpoints else ""))


def _open_store(cache: Path | None) -> Any:
    from headstart.features.store import Store, default_folder

    return Store(cache or default_folder())


def _checkpoints(folder: Path) -> Checkpoints:
    from headstart.learn.checkpoint import Checkpoints

    return Checkpoints(folder)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
