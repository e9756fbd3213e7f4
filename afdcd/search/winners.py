"""The best students become model versions, each with the evidence a person chooses by."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from afdcd import storage
from afdcd.data.shards.described import dataset_at
from afdcd.data.shards.rows import open_split
from afdcd.data.train.config import DataConfig
from afdcd.models.weights import NetworkCard
from afdcd.search.candidates import Candidate, Ran
from afdcd.search.cluster import Cluster
from afdcd.search.described import TEST_CLASSES, about, describe, gain_over
from afdcd.search.proof import CHAMPION as FOUND
from afdcd.search.proof import PLAIN
from afdcd.search.say import say
from afdcd.search.score_networks import score_networks
from afdcd.tasks.score import PER_CLASS, Score
from afdcd.tracking.records import StudyRecord
from afdcd.tracking.registry import Version, model_name, point, register, withdraw
from afdcd.tracking.tracker import Tracker
from afdcd.training.artifacts import load_bytes

CHAMPION, CANDIDATE = (
    "champion",
    "candidate",
)  # aliases: proven better than the plain student, or not


@dataclass(frozen=True)
class Registered:
    """What was registered.

    Attributes:
        alias: of the first of them.
        tests: of each, its scores on the split that reports, by seed; empty where there is none.
        notes: what a person should know of it, a line each.
    """

    name: str
    alias: str
    tests: list[dict[int, Score]]
    notes: list[str]


def register_best(
    study: StudyRecord,
    model: str | None,
    candidates: list[Candidate],
    plain: Mapping[str, Score],
    tracker: Tracker,
    cluster: Cluster,
    data: DataConfig,
    *,
    champion_anyway: bool = False,
) -> Registered:
    """Score the candidates (best first) on the test split and register them; the first has an alias.

    The test split is looked at here and nowhere else: it reports, it never selects.

    Args:
        model: the registered model that a person asked for; None: one named after the study.
        plain: scores of students that were trained without a teacher, by the network's name.
        champion_anyway: whether the first is champion whatever its proof says.
    """
    tests = _tested(candidates, data, cluster)
    wanted = model or study.name
    name = model_name(tracker.client, wanted, study.id, asked=model is not None)
    notes = []
    if name != wanted:
        notes.append(
            f"registered as {name}: the model {wanted} belongs to another study; to share it, set "
            f"study.model: {wanted}"
        )
    alias = _alias(candidates, champion_anyway)
    numbers = []
    for candidate, scores in zip(candidates, tests, strict=True):
        alone = plain.get(candidate.config.pair.student.name)
        weights = storage.read_bytes(candidate.ran.weights)
        card = load_bytes(weights)[1]
        version = _version(name, study, candidate, card, scores, alone, alias, tracker.commit)
        numbers.append(register(tracker.client, version, weights))
        _tell(tracker, candidate, scores)
    if numbers:
        notes.append(point(tracker.client, name, alias, numbers[0], study.id))
        _withdraw_other(tracker, name, alias, numbers[0], study.id)
    return Registered(name, alias, tests, [note for note in notes if note])


def _tested(
    candidates: list[Candidate], data: DataConfig, cluster: Cluster
) -> list[dict[int, Score]]:
    """The test scores of every candidate by seed: of its own, and of the others in its proof."""
    if not candidates or not dataset_at(data.root, data.dataset).reports(data.protocol):
        return [{} for _ in candidates]
    runs = [_runs_of(candidate) for candidate in candidates]
    weights = [ran.weights for some in runs for ran in some]
    say(f"scores {len(weights)} students on the test split and registers the best {len(runs)}")
    resources = candidates[0].config.resources
    scores = iter(score_networks(weights, data, "test", cluster, resources))
    return [{ran.seed: next(scores) for ran in some} for some in runs]


def _runs_of(candidate: Candidate) -> Sequence[Ran]:
    return (candidate.ran, *candidate.others)


def _alias(candidates: list[Candidate], champion_anyway: bool) -> str:
    proof = candidates[0].proof if candidates else None
    proven = proof is not None and proof.verdict == "better"
    return CHAMPION if proven or champion_anyway else CANDIDATE


def _withdraw_other(tracker: Tracker, name: str, alias: str, number: str, study: str) -> None:
    """What was only a candidate before there was a champion; and a champion that is none any more."""
    if alias == CHAMPION:
        withdraw(tracker.client, name, CANDIDATE, study)
    else:  # an older version keeps it: it was proven
        withdraw(tracker.client, name, CHAMPION, study, only=number)


def _version(
    name: str,
    study: StudyRecord,
    candidate: Candidate,
    card: NetworkCard,
    tests: dict[int, Score],
    alone: Score | None,
    alias: str,
    commit: str,
) -> Version:
    score = tests.get(candidate.seed)
    return Version(
        name=name,
        run=candidate.ran.run,
        tags={**_tags(study.name, candidate, card, score, commit), **_proven(candidate)},
        description=describe(candidate, card, tests, gain_over(candidate, alone)),
        about=about(study, candidate, name, alias),
        study=study.id,
    )


def _tell(tracker: Tracker, candidate: Candidate, tests: dict[int, Score]) -> None:
    """Write the test scores on the pages of their runs."""
    for ran in _runs_of(candidate):
        if score := tests.get(ran.seed):
            tracker.note(ran.run, f"test_{score.name}", score.value)
            classes = score.group(PER_CLASS)
            told = {key: None if math.isnan(value) else value for key, value in classes.items()}
            if told:
                tracker.attach(ran.run, TEST_CLASSES, json.dumps(told, indent=1).encode())


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
        "seed": str(candidate.seed),
        "git_commit": commit,
    }


def _proven(candidate: Candidate) -> dict[str, str]:
    """The proof as tags, which the registry can search by."""
    proof = candidate.proof
    spread = proof.spread(FOUND) if proof else None
    if proof is None or spread is None:
        return {"verdict": "unproven"}
    found = {"verdict": proof.verdict, "proof_seeds": str(spread.n)}
    found |= {"proof_mean": f"{spread.mean:.4f}", "proof_sd": f"{spread.sd:.4f}"}
    if gain := proof.against(PLAIN):
        interval = f"{gain.mean - gain.half:.4f}", f"{gain.mean + gain.half:.4f}"
        found |= {"gain": f"{gain.mean:.4f}", "gain_low": interval[0], "gain_high": interval[1]}
    return found


def save_pictures(folder: str, data: DataConfig, count: int = 6) -> None:
    """A few images as PNG files, of the test split if there is one, for a first look at a student."""
    role = "test" if dataset_at(data.root, data.dataset).reports(data.protocol) else "val"
    rows = open_split(data.location, data.dataset, data.protocol, role)
    for index in range(0, len(rows), -(-len(rows) // count)):
        key, image, _ = rows[index]
        picture = io.BytesIO()
        Image.fromarray(image).save(picture, "PNG")
        storage.write_bytes(storage.join(folder, f"{Path(key).name}.png"), picture.getvalue())
