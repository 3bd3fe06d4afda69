"""The program: its commands, and what becomes of their errors."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence

import typer

from headstart.backend import prefer_onednn
from headstart.cli import cache
from headstart.cli.auditing import audit
from headstart.cli.base_list import bases
from headstart.cli.comparing import compare
from headstart.cli.prediction import predict
from headstart.cli.ranking import rank
from headstart.cli.training import demo, train
from headstart.errors import HeadstartError

INTERRUPTED = 130

app = typer.Typer(
    name="headstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Transfer learning for image classification that never computes the frozen part twice.

    \b
    headstart train photos/ --out run
    headstart predict run new-photo.jpg
    """


for command in (train, rank, audit, compare, demo, predict, bases):
    app.command()(command)
app.add_typer(cache.app, name="cache")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; every error that is anybody's to mend becomes one line and an exit code."""
    # TensorFlow reads this when it is imported, which may be much later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    prefer_onednn()
    # Of files that it can't read, or reads in part; what comes of them is told by name.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names needn't be Unicode, and a terminal needn't know every letter; \udcff is JSON too.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments, prog_name="headstart")
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a name that is too long, a folder that may not be listed
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer takes the KeyboardInterrupt and leaves its exit code
            print(
                "headstart: interrupted; what was computed is kept: the same command goes on from there",
                file=sys.stderr,
            )
        raise
