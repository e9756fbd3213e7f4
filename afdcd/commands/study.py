"""A study into a file, and back."""

from pathlib import Path

from afdcd.environment import storage_root
from afdcd.search.kept import kept_study
from afdcd.search.portable import export, restore
from afdcd.text import shown


def execute_export(name: str, target: Path) -> int:
    """Write the study `name` to `target`; the exit status."""
    kept = kept_study(name)
    count = export(kept, target)
    print(f"{target}: study {name!r}, {len(kept.entries())} runs, {count} files")
    return 0


def execute_import(source: Path) -> int:
    """Restore a study; the exit status."""
    name = restore(source)
    print(f"study {name!r} is in {shown(storage_root())} now; its MLflow pages: afdcd track {name}")
    return 0
