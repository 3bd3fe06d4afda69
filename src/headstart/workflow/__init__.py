"""Training, auditing and ranking as stories, from a folder of images on."""

from headstart.workflow.auditing import audit
from headstart.workflow.ranking import rank
from headstart.workflow.training import train

__all__ = ["audit", "rank", "train"]
