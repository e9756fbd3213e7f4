"""The picture of `curve`: one panel per loss term, one line per run."""

from pathlib import Path
from typing import Any

from afdcd.bench.report import OFFICIAL, OURS
from afdcd.config import UserError
from afdcd.extras import need

COLOURS = {OURS: "tab:blue", OFFICIAL: "tab:orange"}


def check_plot() -> None:
    """Raises UserError where nothing can be drawn: before the minutes of training, not after."""
    need("matplotlib", "plot", "--out")


def draw(values: dict[str, Any], path: Path) -> None:
    """Write the runs of `curve`'s values as a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    import matplotlib.pyplot as plt

    runs = values["runs"]
    terms = list(runs[0]["terms"])
    figure, panels = plt.subplots(1, len(terms), figsize=(3.2 * len(terms), 3), squeeze=False)
    for panel, term in zip(panels[0], terms, strict=True):
        for run in runs:
            label = f"{run['side']}, seed {run['seed']}: mIoU {100 * run['miou']:.1f} %"
            style = "-" if run["seed"] == 0 else "--"
            panel.plot(
                run["iterations"],
                run["terms"][term],
                style,
                color=COLOURS[run["side"]],
                label=label,
            )
        panel.set(title=f"{term} loss", xlabel="iteration")
    panels[0][0].legend(fontsize="x-small")
    figure.suptitle(f"{values['pair']}: {OURS} in {values['dtype']}, {OFFICIAL} in float32")
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise UserError(f"--out {path}: {error.strerror}; choose a place to write to") from None
    finally:
        plt.close(figure)
