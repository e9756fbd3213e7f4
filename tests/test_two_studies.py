"""Two people, one MLflow server, one file name: two studies, and each record is its own.

By the real command, on a real server. Then one of them is built anew into an empty server, and
compared with what the first server shows.
"""

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import inherited
from tests.running import ROOT, Study, finish, kill_tree

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

SPACE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 8, validate_every: 4, batch: 4, lr: RATE}
study: {trials: 1, proof: {seeds: 0}}
"""


class Server:
    """An MLflow server over a database of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--workers", "1", "--serve-artifacts"]
        command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        self._process = subprocess.Popen(
            command,
            env=inherited(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert self._process.poll() is None
            time.sleep(0.2)
        self.client = MlflowClient(self.uri)

    def runs(self, study: str | None = None) -> dict[str, Run]:
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        query = f"tags.`afdcd.study` = '{study}'" if study else ""
        return {r.info.run_name: r for r in self.client.search_runs(experiments, query)}

    def close(self) -> None:
        kill_tree(self._process)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    both = (Server(tmp_path / "one"), Server(tmp_path / "two"))
    yield both
    for server in both:
        server.close()


def test_two_studies_of_one_name_stay_two(servers: tuple[Server, Server], tmp_path: Path) -> None:
    server, empty = servers
    root = str(tmp_path / "data")
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=2, test=2))
    anna = _study(tmp_path / "anna", root, "0.02", server)
    bert = _study(tmp_path / "bert", root, "0.05", server)
    assert "models:/tiny@candidate" in _run(anna)
    printed = _run(bert)
    parents = [run for run in _all_runs(server) if run.data.tags["afdcd.job"] == "study"]
    ids = {run.data.tags["afdcd.study"] for run in parents}
    assert len(parents) == len(ids) == 2
    (own,) = [name for name in _models(server) if name.startswith("tiny-")]
    assert f"models:/{own}@candidate" in printed
    assert own.removeprefix("tiny-") in {study[:8] for study in ids}
    for study, model, rate in ((anna, "tiny", "0.02"), (bert, own, "0.05")):
        _assert_version_is_of(study, server, model, rate)
    _assert_rebuilt(anna, server, empty)


def _study(folder: Path, root: str, rate: str, server: Server) -> Study:
    folder.mkdir()
    study = Study(folder, SPACE.replace("ROOT", root).replace("RATE", rate))
    study.environment["MLFLOW_TRACKING_URI"] = server.uri
    return study


def _run(study: Study) -> str:
    process = study.start()
    try:
        return finish(process)
    finally:
        kill_tree(process)


def _assert_version_is_of(study: Study, server: Server, model: str, rate: str) -> None:
    """Score, setting, weights: all of this study's one run."""
    version = server.client.get_model_version_by_alias(model, "candidate")
    run = server.client.get_run(version.run_id)
    assert run.data.params["training.lr"] == rate
    assert float(version.tags["miou"]) == pytest.approx(run.data.metrics["miou"], abs=1e-4)
    trained = study.folder / "runs/studies/tiny/trials/0000/student.safetensors"
    sha256 = hashlib.sha256(trained.read_bytes()).hexdigest()
    assert version.tags["sha256"] == sha256
    assert version.tags["afdcd.study"] == run.data.tags["afdcd.study"]
    place = Path(download_artifacts(version.source, tracking_uri=server.uri))
    (kept,) = place.rglob("*.safetensors")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == sha256


def _assert_rebuilt(study: Study, server: Server, empty: Server) -> None:
    """`afdcd track` into an empty server shows the same, field by field."""
    done = subprocess.run(
        [sys.executable, "-m", "afdcd.track", "tiny"],
        env={**study.environment, "MLFLOW_TRACKING_URI": empty.uri},
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    assert "trial 0 none" in done.stdout
    rebuilt = empty.runs()
    (name,) = {run.data.tags["afdcd.study"] for run in rebuilt.values()}
    before = server.runs(name)
    assert set(rebuilt) == set(before) == {"tiny", "trial 0 none"}
    for title, run in before.items():
        assert _shown(empty.client, rebuilt[title]) == _shown(server.client, run)


def _shown(client: MlflowClient, run: Run) -> dict[str, Any]:
    """What a person sees of a run, without the numbers that a server gives."""
    own = {"mlflow.parentRunId", "mlflow.user", "mlflow.source.name", "git_commit"}
    number = run.info.run_id
    curves = {
        key: [(point.step, point.value) for point in client.get_metric_history(number, key)]
        for key in run.data.metrics
        if key != "test_miou"  # scored once, by the study's conclusion
    }
    # Of a score that changes while the study lives only the last counts.
    last = {key: points[-1] for key, points in curves.items()}
    parent = run.data.tags["afdcd.job"] == "study"
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if k not in own},
        "metrics": last if parent else curves,
        "inputs": [i.dataset.to_dictionary() for i in run.inputs.dataset_inputs],
        "child": "mlflow.parentRunId" in run.data.tags,
        "picture": [
            Path(
                download_artifacts(run_id=number, artifact_path=file.path, tracking_uri=uri)
            ).read_bytes()
            for uri in (client.tracking_uri,)
            for file in client.list_artifacts(number)
            if file.path == "panel.png"
        ],
    }


def _all_runs(server: Server) -> list[Run]:
    experiments = [e.experiment_id for e in server.client.search_experiments()]
    return list(server.client.search_runs(experiments))


def _models(server: Server) -> list[str]:
    return [model.name for model in server.client.search_registered_models()]
