"""Everything that Headstart raises on purpose.

HeadstartError            a problem in plain words and its mend; the command line exits with 1
├── UsageError            the call itself is wrong; the command line exits with 2
│   └── UnknownNameError  a name that isn't one of those offered; says the nearest one
├── DataError             the images as a whole can't be learned from
├── ImageError            one file can't be turned into pixels; it is quarantined, nothing stops
├── WeightsError          a base's pretrained weights are absent, damaged or of another model
├── EngineError           a network can't be converted for, or run by, an engine
├── StoreError            the store can't be opened, read or written
│   └── StoreFullError    the disk has no room left for features
└── RunError              a run folder can't be written, or isn't one, or has been changed

HeadstartWarning is its milder companion: what was asked for was done, and yet may not be what was meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """A problem and its mend, each in plain words.

    Args:
        problem: what happened and, where it helps, what was expected.
        mend: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, mend: str = "") -> None:
        super().__init__(f"{problem}; {mend}" if mend else problem)
        self.problem = problem
        self.mend = mend


class UsageError(HeadstartError):
    exit_code = 2


class UnknownNameError(UsageError):
    """A name that isn't offered.

    Args:
        kind: what the name stands for, such as "base".
        name: the name that came.
        offered: the names there are.
    """

    def __init__(self, kind: str, name: str, offered: Iterable[str]) -> None:
        offered = sorted(offered)
        near = difflib.get_close_matches(name.lower(), offered, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(offered)}"
        super().__init__(f"there is no {kind} named {name!r}", hint)


class DataError(HeadstartError):
    pass


class ImageError(HeadstartError):
    pass


class WeightsError(HeadstartError):
    pass


class EngineError(HeadstartError):
    pass


class StoreError(HeadstartError):
    pass


class StoreFullError(StoreError):
    pass


class RunError(HeadstartError):
    pass


class HeadstartWarning(UserWarning):
    pass
