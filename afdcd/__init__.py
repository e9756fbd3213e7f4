"""afdcd: search on a Ray cluster for the distilled segmentation student that is really better."""

__version__ = "0.1.0"
