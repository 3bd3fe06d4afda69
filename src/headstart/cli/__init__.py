"""The command line: parses, calls, prints. Results go to stdout, everything else to stderr."""

from headstart.cli.application import app, main

__all__ = ["app", "main"]
