"""The feature path: find the frozen part, run it once an image on a fast engine, and keep what comes out."""
