"""A benchmark's command as the tests call it."""

from importlib import import_module

from afdcd.bench.command import main_of


def main(argv: list[str]) -> int:
    """`python -m benchmarks.NAME ...` for `[NAME, ...]`."""
    return main_of(import_module(f"benchmarks.{argv[0]}"))(argv[1:])
