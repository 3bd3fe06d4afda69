"""The report: facts are put into words and charts here, and into a page by `template.html` and `style.css`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.report import findings
from headstart.report.averaging import looks
from headstart.report.charts import epochs_chart, loss_chart
from headstart.report.evidence import Evidence
from headstart.report.growth import growth_of
from headstart.report.pictures import LONGEST_PATH
from headstart.report.stories import story_of
from headstart.report.story import Story
from headstart.report.wording import counted, day, duration, file_size, percent, quoted, tidy

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_QUARANTINED = 50
# Findings about files that aren't learned from; the page lists these by themselves.
LEFT_OUT = ("unreadable", "contradictions")
CANDIDATES = {"probe": "Probe", "finetune": "Fine-tuned"}
STAGES = {
    "prepare": "Preparing the base",
    "features": "Features",
    "inspect": "Looking images over",
    "probe": "Probe",
    "finetune": "Fine-tuning",
    "evaluate": "Evaluation",
}


@dataclass(frozen=True)
class Stage:
    """A stage of the work: its time, and its share of the longest stage's, from 0 to 1."""

    name: str
    time: str
    share: float


def render_page(evidence: Evidence) -> str:
    """The report as HTML."""
    story = story_of(evidence)
    return make_environment().get_template(story.template).render(_facts(evidence, story))


def make_environment() -> Environment:
    """Of the templates beside this module: what comes from strangers is escaped, and what is missing is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "tidy": tidy,
        "path": _path,
        "quoted": quoted,
        "percent": percent,
        "file_size": file_size,
        "day": day,
    }
    return environment


def _facts(evidence: Evidence, story: Story) -> dict[str, Any]:
    return {
        "evidence": evidence,
        "manifest": evidence.manifest,
        "story": story,
        "test": evidence.test,
        "counted": counted,
        "name": tidy(evidence.name),
        "trained_on": findings.trained_on(evidence),
        "keeps_validation": evidence.kind.keeps_validation,
        "growth": growth_of(evidence),
        **story.facts(),
        **_decision(evidence),
        **_training(evidence, story),
        **_images(evidence),
        **_time(evidence),
    }


def _decision(evidence: Evidence) -> dict[str, Any]:
    """The two candidates on the validation part, where there were two."""
    metrics = evidence.metrics
    candidates = [(key, name, metrics[key]) for key, name in CANDIDATES.items() if metrics[key] is not None]
    return {
        "candidates": candidates,
        "chosen": metrics["chosen"],
        "comparison": metrics["comparison"],
        "looks": looks(evidence),
    }


def _training(evidence: Evidence, story: Story) -> dict[str, Any]:
    finetune = evidence.metrics["finetune"]
    if finetune is None:
        return {"finetune": None, "no_training_reason": findings.no_training_reason(evidence)}
    history, best = finetune["history"], finetune["best_epoch"]
    curves = [loss_chart(history, best, story.loss_unit.strip()), epochs_chart(history, best, story.curve)]
    return {"finetune": finetune, "curves": curves}


def _images(evidence: Evidence) -> dict[str, Any]:
    found, audit = evidence.quarantined, evidence.metrics.get("audit", [])
    return {
        "audit": audit,
        "audit_findings": [
            finding for finding in audit if finding["tone"] != "good" and finding["key"] not in LEFT_OUT
        ],
        "quarantined": list(found[:MOST_QUARANTINED]),
        "quarantined_more": len(found[MOST_QUARANTINED:]),
    }


def _time(evidence: Evidence) -> dict[str, Any]:
    seconds = evidence.metrics["seconds"]
    spent = {name: seconds[key] for key, name in STAGES.items() if seconds.get(key)}
    spent["The rest"] = max(seconds["total"] - sum(spent.values()), 0.0)
    longest = max(spent.values()) or 1.0
    return {
        "stages": [Stage(name, duration(time), time / longest) for name, time in spent.items()],
        "total_time": duration(seconds["total"]),
        "decode_time": duration(seconds["decode"]),
        "features": evidence.metrics["features"],
    }


def _path(text: str) -> str:
    return tidy(text, LONGEST_PATH)
