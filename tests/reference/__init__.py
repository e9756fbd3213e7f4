"""Losses computed the way the authors do: slow and large, to compare values and costs with."""
