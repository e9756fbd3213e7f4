"""One study: how it is, what is asked of it, into a file and back."""

from pathlib import Path

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root, study_database
from afdcd.extras import need
from afdcd.search import operate
from afdcd.search.explain import explain
from afdcd.search.housekeeping import clean, kept_after, to_be_cleaned
from afdcd.search.kept import kept_study
from afdcd.search.lease import hold
from afdcd.search.load import read_space
from afdcd.search.portable import export, restore
from afdcd.search.slices import slices
from afdcd.search.slices_picture import picture
from afdcd.text import byte_count, shown


def execute_status(name: str) -> int:
    """Print how a study is; the exit status."""
    print("\n".join(operate.status(kept_study(name))))
    return 0


def execute_explain(name: str, space: str | None, out: str | None) -> int:
    """Print why the best student is the best one, and draw the beliefs if asked; the exit status."""
    if (space is None) != (out is None):
        raise UserError("--space and --out go together: the picture needs the ranges of the file")
    if out:
        need("matplotlib", "plot", "--out")
    kept = kept_study(name)
    print("\n".join(explain(kept)))
    if space and out:
        read = read_space(space, [])
        title = f"study {name}: what its model believes, all else as in the best setting"
        storage.write_bytes(out, picture(slices(read.space, kept), title, read.measure.label))
        print(out)
    return 0


def execute_stop(name: str) -> int:
    """End a study's runs in order; the exit status."""
    print(operate.stop(kept_study(name)))
    return 0


def execute_extend(name: str, count: int | None, more: dict[str, float]) -> int:
    """Give a study more trials, or a larger budget; the exit status."""
    print(operate.extend(kept_study(name), count, **more))
    return 0


def execute_enqueue(name: str, setting: str) -> int:
    """Queue a setting; the exit status."""
    print(operate.enqueue(kept_study(name), setting))
    return 0


def execute_clean(name: str, dry_run: bool) -> int:
    """Remove what a study need not keep; the exit status."""
    kept = kept_study(name)
    with hold(study_database(), f"study {name}"):
        items = list(to_be_cleaned(kept))
        for item in items:
            print(f"{byte_count(item.size):>9}  {shown(item.place)}  {item.why}")
        print("\n".join(kept_after(kept, items)))
        if not dry_run:
            clean(items)
    verb = "would be removed" if dry_run else "removed"
    print(f"study {name!r}: {byte_count(sum(item.size for item in items))} {verb}")
    return 0


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
