"""How good a classifier is, how sure that figure is, and how far its confidence can be believed."""
