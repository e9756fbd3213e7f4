"""Alerts fire when they should, and what they and the dashboard ask for is exported by somebody."""

import functools
import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from afdcd.search import gauges
from tests.cluster.manifests import build, named

CASES = Path(__file__).with_name("alerts.test.yaml")


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    """What Prometheus gets."""
    return dict(named(build("overlays/gpu"), "PrometheusRule", "afdcd")["spec"])


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    data = named(build("overlays/gpu"), "ConfigMap", "afdcd-dashboard")["data"]
    return dict(json.loads(data["afdcd.json"]))


def promtool(*arguments: str, folder: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should(rules: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(CASES, tmp_path)
    promtool("test", "rules", CASES.name, folder=tmp_path)


def test_every_alert_has_a_case(rules: dict[str, Any]) -> None:
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    cases = yaml.safe_load(CASES.read_text())["tests"]
    tried = {t["alertname"] for case in cases for t in case["alert_rule_test"] if "exp_alerts" in t}
    assert alerts == tried


def test_the_dashboard_asks_in_promql(dashboard: dict[str, Any], tmp_path: Path) -> None:
    asked = [{"record": f"panel_{i}", "expr": text} for i, text in enumerate(_queries(dashboard))]
    groups = {"groups": [{"name": "dashboard", "rules": asked}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def _queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_what_is_asked_for_is_exported(rules: dict[str, Any], dashboard: dict[str, Any]) -> None:
    """A metric that nobody exports never fires an alert, and nobody notices."""
    texts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    names = {n for text in texts + _queries(dashboard) for n in re.findall(r"\bray_\w+", text)}
    names -= {"ray_io_cluster"}
    own = {name for name in names if name.startswith("ray_afdcd_")}
    source = Path(gauges.__file__).read_text()
    for name in own:
        assert f'"{name.removeprefix("ray_afdcd_study_")}"' in source, name
    assert [name for name in names - own if not _ray_exports(name.removeprefix("ray_"))] == []


def _ray_exports(name: str) -> bool:
    """Whether the name stands in one of Ray's programs that export: its agent (Python), its servers."""
    # Counters get their `_total` when they are exported; some have it in the source, too.
    return any(word in text for text in _of_ray() for word in (name, name.removesuffix("_total")))


@functools.cache
def _of_ray() -> list[str]:
    root = Path(find_spec("ray").origin).parent  # type: ignore[union-attr, arg-type]
    files = ["dashboard/modules/reporter/reporter_agent.py"]
    files += ["core/src/ray/gcs/gcs_server", "core/src/ray/raylet/raylet"]
    return [(root / file).read_bytes().decode("latin-1") for file in files]


def test_the_dashboard_shows_what_a_study_is_judged_by(dashboard: dict[str, Any]) -> None:
    asked = " ".join(_queries(dashboard))
    for name in ("runs", "runs_wanted", "runs_lost_total", "device_hours", "best_score"):
        assert f"ray_afdcd_study_{name}" in asked
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
