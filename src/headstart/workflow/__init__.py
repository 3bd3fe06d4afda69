"""Training and auditing as stories, from a folder of images on."""

from headstart.workflow.auditing import audit
from headstart.workflow.training import train

__all__ = ["audit", "train"]
