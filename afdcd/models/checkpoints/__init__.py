"""Checkpoints that other programs wrote: read without running them, unwrapped, recognised."""
