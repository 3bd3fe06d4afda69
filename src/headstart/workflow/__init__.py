"""Training as a story, from a folder of images to a run folder."""

from headstart.workflow.training import train

__all__ = ["train"]
