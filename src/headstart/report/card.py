"""The model card: what another developer needs to know before using the classifier, as Markdown."""

from __future__ import annotations

import re
from typing import Any

from headstart.report.evidence import Evidence
from headstart.report.stories import story_of
from headstart.report.wording import counted, day, tidy

CHOSEN = {
    "probe": "a linear {noun} on the frozen features of the base (a probe)",
    "finetune": "the base with its top fine-tuned, starting from a linear {noun} on its frozen features",
}
# What has a meaning within a line in CommonMark or its common extensions, which also make links of bare addresses.
_SPECIAL = re.compile(r"[\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_PLAIN_LINK = re.compile(r"https://[\w./?=&%-]+")
MOST_CLASSES = 30
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Verbatim(str):
    """Markdown that is to stay as it is."""


def render_card(evidence: Evidence) -> str:
    """The card as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("headstart", "report"),
        autoescape=False,  # that would escape for HTML; `finalize` escapes every value for Markdown
        finalize=_escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"tidy": tidy, "code": _code, "link": _link, "day": day, "verbatim": Verbatim}
    return environment.get_template("card_template.md").render(_facts(evidence))


def escape_markdown(text: str) -> str:
    """Text that reads the same in Markdown as it does plainly: no markup, no HTML, no links."""
    for special, entity in _ENTITIES.items():
        text = text.replace(special, entity)
    return _SPECIAL.sub(r"\\\g<0>", text)


def _facts(evidence: Evidence) -> dict[str, Any]:
    return {
        "manifest": evidence.manifest,
        "name": tidy(evidence.name),
        "story": story_of(evidence),
        "chosen": CHOSEN[evidence.metrics["chosen"]].format(noun=evidence.kind.noun),
        "noun": evidence.kind.noun,
        "classes_and_images": list(evidence.manifest.data.images.items()),
        "most_classes": MOST_CLASSES,
        "counted": counted,
    }


def _escape(value: object) -> str:
    return value if isinstance(value, Verbatim) else escape_markdown(str(value))


def _code(text: str) -> Verbatim:
    """A block of code, fenced by more backticks than occur in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Verbatim(f"{fence}sh\n{text}\n{fence}")


def _link(reference: str) -> str:
    return Verbatim(f"<{reference}>") if _PLAIN_LINK.fullmatch(reference) else tidy(reference, 200)
