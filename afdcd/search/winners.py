"""The best students become model versions, each with the evidence a person chooses by."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial
from PIL import Image

from afdcd import storage
from afdcd.data.catalog.datasets import DATASETS, no_report
from afdcd.data.shards.rows import open_split
from afdcd.data.train.config import DataConfig
from afdcd.models.weights import NetworkCard
from afdcd.search.cluster import Cluster
from afdcd.search.progress import percent, say
from afdcd.search.score_networks import Score, score_networks
from afdcd.search.teachers import Teacher
from afdcd.tracking.registry import Version, register
from afdcd.tracking.runs import Tracker
from afdcd.training.artifacts import STUDENT_FILE, load_from
from afdcd.training.trial import TrialConfig

CHAMPION = "champion"
TEST_IOU = "test_iou.json"
DESCRIPTION = 5000  # characters, of the registry's column
CLASSES = 40  # of a description


@dataclass(frozen=True)
class Candidate:
    """A finished trial as a model version to be."""

    trial: FrozenTrial
    config: TrialConfig
    folder: str
    run: str
    teacher: Teacher | None

    @property
    def weights(self) -> str:
        return storage.join(self.folder, STUDENT_FILE)


def register_best(
    study: str, candidates: list[Candidate], tracker: Tracker, cluster: Cluster, data: DataConfig
) -> list[Score | None]:
    """Score the candidates (best first) on the test split and register them; the first is champion.

    The test split is looked at here and nowhere else: it reports, it never selects. Where the
    protocol leaves none with labels, the scores are None.
    """
    scores: list[Score | None] = [None] * len(candidates)
    if candidates and DATASETS[data.dataset].reports(data.protocol):
        say(f"scores the best {len(candidates)} students on the test split and registers them")
        weights, resources = [c.weights for c in candidates], candidates[0].config.resources
        scores = [*score_networks(weights, data, "test", cluster, resources)]
    for place, (candidate, score) in enumerate(zip(candidates, scores, strict=True)):
        _, card = load_from(candidate.weights)
        version = Version(
            name=study,
            run=candidate.run,
            tags=_tags(study, candidate, card, score, tracker.commit),
            description=_description(candidate, card, score),
            aliases=(CHAMPION,) if place == 0 else (),
        )
        register(tracker.client, version, storage.read_bytes(candidate.weights))
        if score:
            tracker.note(candidate.run, "test_miou", score.miou)
            iou = {name: None if math.isnan(value) else value for name, value in score.iou.items()}
            tracker.attach(candidate.run, TEST_IOU, json.dumps(iou, indent=1).encode())
    return scores


def save_pictures(folder: str, data: DataConfig, count: int = 6) -> None:
    """A few images as PNG files, of the test split if there is one, for a first look at a student."""
    role = "test" if DATASETS[data.dataset].reports(data.protocol) else "val"
    rows = open_split(data.location, data.dataset, data.protocol, role)
    for index in range(0, len(rows), -(-len(rows) // count)):
        key, image, _ = rows[index]
        picture = io.BytesIO()
        Image.fromarray(image).save(picture, "PNG")
        storage.write_bytes(storage.join(folder, f"{Path(key).name}.png"), picture.getvalue())


def _tags(
    study: str, candidate: Candidate, card: NetworkCard, score: Score | None, commit: str
) -> dict[str, str]:
    return {
        "pair": candidate.config.pair.label,
        "method": candidate.config.distiller.method,
        "dataset": f"{candidate.config.data.dataset}/{candidate.config.data.protocol}",
        "miou": f"{candidate.trial.value:.4f}",
        **({"test_miou": f"{score.miou:.4f}"} if score else {}),
        "parameters": str(card.parameters),
        "gflops": f"{2 * (card.gmacs or 0):.3f}",
        "study": study,
        "trial": str(candidate.trial.number),
        "git_commit": commit,
    }


def _description(candidate: Candidate, card: NetworkCard, score: Score | None) -> str:
    config = candidate.config
    height, width = config.data.crop
    settings = ", ".join(f"{name} = {value}" for name, value in candidate.trial.params.items())
    teacher = f"{percent(candidate.teacher.miou)}" if candidate.teacher else "none"
    test = f"\n| mIoU on test (never used to select) | {percent(score.miou)} |" if score else ""
    text = f"""**{config.pair.label}**, method `{config.distiller.method}`, trial {candidate.trial.number}

| | |
|---|---|
| mIoU on {card.split} (selected by) | {percent(candidate.trial.value)} |{test}
| teacher's mIoU on {card.split} | {teacher} |
| parameters | {card.parameters:,} |
| GFLOPs at {height}x{width} (2 per multiply-add) | {2 * (card.gmacs or 0):.2f} |
| seed | {config.training.seed} (one run; differences below about 1 point may be seed noise) |

Searched settings: {settings or "none"}

{_class_table(score) if score else no_report(config.data.protocol)}
"""
    return text[:DESCRIPTION]


def _class_table(score: Score) -> str:
    """IoU of every class, or of the worst and the best where they are many."""
    names = list(score.iou)
    if len(names) > CLASSES:
        ranked = sorted(
            (n for n in names if not math.isnan(score.iou[n])), key=score.iou.__getitem__
        )
        names = list(dict.fromkeys([*ranked[: CLASSES // 2], *ranked[-CLASSES // 2 :]]))
    lines = [f"| {name} | {percent(score.iou[name])} |" for name in names]
    if hidden := len(score.iou) - len(names):
        lines.insert(CLASSES // 2, f"| {hidden} more in {TEST_IOU} of the run | |")
    return "\n".join(["| class | test IoU |", "|---|---|", *lines])
