"""Training, auditing, ranking and comparing as stories, from a folder of images on."""

from headstart.workflow.auditing import audit
from headstart.workflow.comparing import compare
from headstart.workflow.ranking import rank
from headstart.workflow.training import train

__all__ = ["audit", "compare", "rank", "train"]
