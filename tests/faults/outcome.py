"""What a study left everywhere, as facts that must not depend on what was killed meanwhile."""

import contextlib
import hashlib
import time
from collections import Counter, defaultdict
from pathlib import Path

import mlflow
import optuna
from mlflow import MlflowClient

from afdcd import storage
from afdcd.search.rows import entry_of, standing
from afdcd.training import journal
from tests.faults.stand import Stand

Facts = dict[str, list[str]]
KINDS = ("lost", "doubled", "zombie", "wrong")
SETTLE = 60.0  # seconds that processes have to end after their driver
COSTS = ("_hours",)  # of a metric's name: what interruptions change


def difference(reference: Facts, found: Facts) -> tuple[Counter[str], list[str]]:
    """How often something is lost, doubled, still running or wrong, and a line for each."""
    counts: Counter[str] = Counter()
    lines = []
    for name in sorted({*reference, *found}):
        right, is_now = sorted(reference.get(name, [])), sorted(found.get(name, []))
        if right == is_now:
            continue
        kind = _kind(right, is_now)
        counts[kind] += 1
        lines.append(f"{kind}: {name}: {is_now}, undisturbed {right}")
    return counts, lines


def _kind(right: list[str], is_now: list[str]) -> str:
    if any("RUNNING" in fact for fact in is_now):
        return "zombie"
    if len(is_now) == len(right):
        return "wrong"
    return "lost" if len(is_now) < len(right) else "doubled"


def facts_of(stand: Stand, name: str) -> Facts:
    """Of a study's rows, folders, pages in MLflow and model versions."""
    facts: Facts = defaultdict(list)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = stand.environment["AFDCD_STUDY_DB"]
    study = optuna.load_study(study_name=name, storage=url)
    _rows(facts, study)
    _folders(facts, storage.join(stand.environment["AFDCD_STORAGE"], "studies", name), study)
    client = MlflowClient(stand.uri)
    _pages(facts, client, study.user_attrs["id"])
    _versions(facts, client, name)
    return dict(facts)


def leftovers(stand: Stand) -> list[str]:
    """Processes and placement groups that stay although no driver lives."""
    end = time.monotonic() + SETTLE
    while (left := _living(stand)) and time.monotonic() < end:
        time.sleep(1)
    for process, _ in stand.processes():  # the next study is to find its own only
        with contextlib.suppress(Exception):
            process.kill()
    return left


def _living(stand: Stand) -> list[str]:
    processes = [f"process {process.pid} {title}" for process, title in stand.processes()]
    return processes + [f"placement group {group}" for group in stand.groups()]


def _rows(facts: Facts, study: optuna.Study) -> None:
    rows = study.get_trials(deepcopy=False)
    for entry in standing([entry_of(row) for row in rows]):
        row, method = f"row {entry.run.name}", (entry.setting or {}).get("distiller", {})
        facts[f"{row} ended"].append(f"{entry.state.name} {entry.outcome} {entry.cause}")
        facts[f"{row} is"].append(f"{method.get('method')} {entry.identity}")
        facts[f"{row} value"].append(repr(entry.value))
        for iteration, value in entry.curve.items():
            facts[f"{row} at {iteration}"].append(repr(value))


def _folders(facts: Facts, folder: str, study: optuna.Study) -> None:
    entries = standing([entry_of(row) for row in study.get_trials(deepcopy=False)])
    for place in {entry.run.folder(folder): entry.run for entry in entries}:
        run = "folder " + place.removeprefix(folder + "/")
        for report in journal.read(place):
            said = repr((report.score.value, report.score.parts, report.curve, report.notes))
            facts[f"{run} at {report.iteration}"].append(said)
        for file in ("student.safetensors", "panel.png"):
            with contextlib.suppress(FileNotFoundError):
                content = storage.read_bytes(storage.join(place, file))
                facts[f"{run} {file}"].append(_digest(content))


def _pages(facts: Facts, client: MlflowClient, study: str) -> None:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`afdcd.study` = '{study}'", max_results=1000)
    jobs = {run.info.run_id: run.data.tags["afdcd.job"] for run in runs}
    for run in runs:
        tags, page = run.data.tags, f"page {run.data.tags['afdcd.job']}"
        below = jobs.get(tags.get("mlflow.parentRunId", ""))
        facts[f"{page} status"].append(run.info.status)
        facts[f"{page} is"].append(
            repr((below, tags.get("outcome"), tags.get("cause"), tags.get("afdcd.run")))
        )
        facts[f"{page} settings"].append(repr(sorted(run.data.params.items())))
        for key, last in run.data.metrics.items():
            if key.endswith(COSTS):
                continue
            if tags["afdcd.job"] == "study":  # of a number that grows only the last counts
                facts[f"{page} {key}"].append(repr(last))
                continue
            for point in client.get_metric_history(run.info.run_id, key):
                facts[f"{page} {key} at {point.step}"].append(repr(point.value))
        for file in client.list_artifacts(run.info.run_id):
            facts[f"{page} artifact {file.path}"].append("")


def _versions(facts: Facts, client: MlflowClient, name: str) -> None:
    versions = list(client.search_model_versions(f"name = '{name}'"))
    digests: dict[str, str] = {}
    for version in versions:
        place = mlflow.artifacts.download_artifacts(
            version.source, tracking_uri=client.tracking_uri
        )
        (file,) = Path(place).rglob("*.safetensors")
        digests[str(version.version)] = _digest(file.read_bytes())
        tags = {
            key: value for key, value in version.tags.items() if key.startswith(("m", "t", "s"))
        }
        tags = {**tags, "study": "", "afdcd.study": ""}
        facts[f"version of trial {version.tags['trial']}"].append(
            repr((digests[str(version.version)], sorted(tags.items())))
        )
    for model in client.search_registered_models(f"name = '{name}'"):
        for alias, number in model.aliases.items():
            facts[f"alias {alias}"].append(digests[str(number)])
        for tag in model.tags:
            facts[f"model's tag {tag}"].append("")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
