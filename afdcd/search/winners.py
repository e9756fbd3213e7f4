"""The best students become model versions, each with the evidence a person chooses by."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS, no_report
from afdcd.data.shards.rows import open_split
from afdcd.data.train.config import DataConfig
from afdcd.models.weights import NetworkCard
from afdcd.search.cluster import Cluster
from afdcd.search.progress import say
from afdcd.search.score_networks import score_networks
from afdcd.search.teachers import Teacher
from afdcd.tasks.score import Score
from afdcd.text import first_line, percent, shown
from afdcd.tracking.records import StudyRecord
from afdcd.tracking.registry import Version, model_name, point, register
from afdcd.tracking.tracker import Tracker
from afdcd.training.artifacts import STUDENT_FILE, load_from
from afdcd.training.trial import TrialConfig

CHAMPION = "champion"
PER_CLASS = "iou"  # the group of a score's parts that has a number for every class
TEST_IOU = "test_iou.json"
DESCRIPTION = 5000  # characters, of the registry's column
CLASSES = 40  # of a description


@dataclass(frozen=True)
class Candidate:
    """A completed run as a model version to be.

    Attributes:
        settings: what was searched, by name.
        seeds: what further runs of the same setting scored, by their seeds.
        run: id of its MLflow run.
    """

    number: int
    title: str
    config: TrialConfig
    folder: str
    run: str
    score: Score
    settings: dict[str, Any]
    seeds: dict[int, Score]
    teacher: Teacher | None

    @property
    def weights(self) -> str:
        return storage.join(self.folder, STUDENT_FILE)


@dataclass(frozen=True)
class Registered:
    """What was registered.

    Attributes:
        scores: of the split that reports; None where there is none.
        notes: what a person should know of it, a line each.
    """

    name: str
    scores: list[Score | None]
    notes: list[str]


def register_best(
    study: StudyRecord,
    model: str | None,
    candidates: list[Candidate],
    plain: Mapping[str, Score],
    tracker: Tracker,
    cluster: Cluster,
    data: DataConfig,
) -> Registered:
    """Score the candidates (best first) on the test split and register them; the first is champion.

    The test split is looked at here and nowhere else: it reports, it never selects.

    Args:
        model: the registered model that a person asked for; None: one named after the study.
        plain: scores of students that were trained without a teacher, by the network's name.
    """
    scores: list[Score | None] = [None] * len(candidates)
    if candidates and DATASETS[data.dataset].reports(data.protocol):
        say(f"scores the best {len(candidates)} students on the test split and registers them")
        weights, resources = [c.weights for c in candidates], candidates[0].config.resources
        scores = [*score_networks(weights, data, "test", cluster, resources)]
    wanted = model or study.name
    name = model_name(tracker.client, wanted, study.id, asked=model is not None)
    notes = []
    if name != wanted:
        notes.append(
            f"registered as {name}: the model {wanted} belongs to another study; to share it, set "
            f"study.model: {wanted}"
        )
    numbers = []
    for candidate, score in zip(candidates, scores, strict=True):
        numbers.append(_register(name, study, candidate, score, plain, tracker))
    if numbers:
        notes.append(point(tracker.client, name, CHAMPION, numbers[0], study.id))
    return Registered(name, scores, [note for note in notes if note])


def trouble_with(weights: str, identity: str) -> str | None:
    """Why a file is not the network of the run with this identity; None if it is."""
    try:
        card = load_from(weights)[1]
    except FileNotFoundError:
        return f"{weights} is gone; put it back, or enqueue its setting in a study of another name"
    except storage.StorageError:
        raise  # nothing is known to be wrong with it
    except (UserError, OSError) as error:
        return f"{weights} is damaged ({first_line(error)}); put it back"
    if card.fingerprint != identity:
        return f"{weights} holds the network of another run; put its own back"
    return None


def _register(
    name: str,
    study: StudyRecord,
    candidate: Candidate,
    score: Score | None,
    plain: Mapping[str, Score],
    tracker: Tracker,
) -> str:
    """Register one student; its version's number."""
    _, card = load_from(candidate.weights)
    version = Version(
        name=name,
        run=candidate.run,
        tags=_tags(study.name, candidate, card, score, tracker.commit),
        description=_description(candidate, card, score, plain),
        about=_about(name, study, candidate.config),
        study=study.id,
    )
    number = register(tracker.client, version, storage.read_bytes(candidate.weights))
    if score:
        tracker.note(candidate.run, f"test_{score.name}", score.value)
        classes = score.group(PER_CLASS)
        told = {key: None if math.isnan(value) else value for key, value in classes.items()}
        tracker.attach(candidate.run, TEST_IOU, json.dumps(told, indent=1).encode())
    return number


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
    selected = candidate.score
    return {
        "pair": candidate.config.pair.label,
        "method": candidate.config.distiller.method,
        "dataset": f"{candidate.config.data.dataset}/{candidate.config.data.protocol}",
        selected.name: f"{selected.value:.4f}",
        **({f"test_{score.name}": f"{score.value:.4f}"} if score else {}),
        "parameters": str(card.parameters),
        "gflops": f"{2 * (card.gmacs or 0):.3f}",
        "study": study,
        "trial": str(candidate.number),
        "git_commit": commit,
    }


def _about(name: str, study: StudyRecord, config: TrialConfig) -> str:
    data = f"{config.data.dataset}, protocol {config.data.protocol}"
    return (
        f"Segmentation students found by the study {study.name} ({study.id}) on {data}. The alias "
        f"`{CHAMPION}` names the best one. To use it: "
        f"`afdcd predict models:/{name}@{CHAMPION} PICTURES --out FOLDER`"
    )


def _answer(candidate: Candidate, card: NetworkCard, plain: Mapping[str, Score]) -> str:
    """What a person wants to know first: the list of versions shows little more than this."""
    method = candidate.config.distiller.method
    alone = plain.get(candidate.config.pair.student.name)
    gain = ""
    if alone and method != "none":
        points = 100 * (candidate.score.value - alone.value)
        gain = f" ({points:+.2f} over the plain student)"
    pair = shown(candidate.config.pair.label)
    return f"{candidate.score}{gain}, {_size(card.parameters)}, {method}, {pair}"


def _size(parameters: int | None) -> str:
    count = parameters or 0
    return f"{count / 1e6:.2f} M parameters" if count >= 10_000 else f"{count} parameters"


def _description(
    candidate: Candidate, card: NetworkCard, score: Score | None, plain: Mapping[str, Score]
) -> str:
    config, label = candidate.config, candidate.score.label
    height, width = config.data.crop
    settings = ", ".join(f"{name} = {value}" for name, value in candidate.settings.items())
    teacher = percent(candidate.teacher.score.value) if candidate.teacher else "none"
    test = f"\n| {label} on test (never used to select) | {percent(score.value)} |" if score else ""
    text = f"""{_answer(candidate, card, plain)}

{candidate.title[0].upper()}{candidate.title[1:]}

| | |
|---|---|
| {label} on {card.split} (selected by) | {percent(candidate.score.value)} |{test}
| teacher's {label} on {card.split} | {teacher} |
| parameters | {card.parameters:,} |
| GFLOPs at {height}x{width} (2 per multiply-add) | {2 * (card.gmacs or 0):.2f} |
| seed | {config.training.seed} ({_luck(candidate)}) |

Searched settings: {shown(settings) or "none"}

{_class_table(score) if score else no_report(config.data.protocol)}
"""
    return text[:DESCRIPTION]


def _luck(candidate: Candidate) -> str:
    if not candidate.seeds:
        return "one run; differences below about 1 point may be seed noise"
    told = [f"{seed}: {percent(score.value)}" for seed, score in sorted(candidate.seeds.items())]
    return f"other seeds of this setting: {', '.join(told)}"


def _class_table(score: Score) -> str:
    """IoU of every class, or of the worst and the best where they are many."""
    iou = score.group(PER_CLASS)
    names = list(iou)
    if len(names) > CLASSES:
        ranked = sorted((n for n in names if not math.isnan(iou[n])), key=iou.__getitem__)
        names = list(dict.fromkeys([*ranked[: CLASSES // 2], *ranked[-CLASSES // 2 :]]))
    lines = [f"| {name} | {percent(iou[name])} |" for name in names]
    if hidden := len(iou) - len(names):
        lines.insert(CLASSES // 2, f"| {hidden} more in {TEST_IOU} of the run | |")
    return "\n".join(["| class | test IoU |", "|---|---|", *lines])
