"""Figures and names as people read them.

Labels, file names and reasons come from strangers. Here they lose what could mislead the eye; the templates escape
what could mislead a program.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from headstart.data.labels import Task

LONGEST_NAME = 48
_NO_BREAK = "\u00a0"
# They turn the direction of the text around them, so that a name could pass for another.
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn", "Co", "Zl", "Zp"})


def tidy(text: str, longest: int = LONGEST_NAME) -> str:
    """Text on one line, without control characters, and cut in the middle where it is longer than `longest`."""
    clean = "".join("\ufffd" if _misleads(character) else character for character in text)
    if len(clean) <= longest:
        return clean
    # The end of a file's name tells more than its middle.
    tail = longest // 3
    return f"{clean[: longest - tail - 1]}…{clean[-tail:]}"


def quoted(label: str) -> str:
    """A class's name within a sentence."""
    return f"“{tidy(label)}”"


def percent(share: float) -> str:
    """A share, 0 to 1, such as "86.4 %". Only all of them are 100.0 %."""
    rounded = round(100 * share, 1)
    if rounded == 100 and share < 1:
        rounded = 99.9
    return f"{rounded:.1f}{_NO_BREAK}%"


def goodness(value: float, task: Task) -> str:
    """What people judge by, such as "86.0 %"; a number's R², which is none of hundred, such as "0.526"."""
    return f"{value:.3f}" if task == "regression" else percent(value)


def interval(low: float, high: float) -> str:
    """Two shares, 0 to 1, such as "83.7 to 89.0 %"."""
    return f"{100 * low:.1f} to {percent(high)}"


def points(difference: float) -> str:
    """A difference of two shares, such as "2.1 percentage points"."""
    return f"{100 * difference:.1f}{_NO_BREAK}percentage points"


def decimals_for(deviation: float) -> int:
    """How many decimals tell numbers apart that vary so much: three figures of the deviation."""
    return min(max(2 - math.floor(math.log10(deviation)), 0), 12)


def number(value: float, decimals: int) -> str:
    """A number, such as "1,204" or "0.350"; never "-0.000"."""
    shown = f"{value:,.{decimals}f}"
    return shown.removeprefix("-") if not any(digit in "123456789" for digit in shown) else shown.replace("-", "−")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things, such as "1,836 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time, such as "0.4 s", "12 s", "3 min 12 s" or "1 h 2 min"."""
    if seconds < 10:
        return f"{seconds:.1f}{_NO_BREAK}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}{_NO_BREAK}s"
    if minutes < 60:
        return f"{minutes}{_NO_BREAK}min {rest}{_NO_BREAK}s"
    return f"{minutes // 60}{_NO_BREAK}h {minutes % 60}{_NO_BREAK}min"


def file_size(byte_size: int) -> str:
    """A file's size, such as "120 bytes", "12 kB" or "3.1 MB"."""
    if byte_size < 1000:
        return counted(byte_size, "byte")
    return f"{byte_size / 1e3:.0f}{_NO_BREAK}kB" if byte_size < 1e6 else f"{byte_size / 1e6:.1f}{_NO_BREAK}MB"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def day(created: str) -> str:
    """The day of an ISO 8601 time."""
    return tidy(created.partition("T")[0])


def _misleads(character: str) -> bool:
    return character in _DIRECTION_MARKS or unicodedata.category(character) in _UNPRINTABLE
