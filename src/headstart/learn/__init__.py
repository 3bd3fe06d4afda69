"""Learning on stored features: the probe, and the fine-tuning of what lies above a cut."""
