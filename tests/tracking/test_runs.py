"""Runs in a real MLflow database: what a person would see there after each way a run can go."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from afdcd import storage
from afdcd.config import UserError
from afdcd.tracking import pages
from afdcd.tracking.pages import Place, find_run, taken_wish, told_of
from afdcd.tracking.points import points as metrics_of
from afdcd.tracking.runs import end_early, project_run, project_study
from afdcd.training import journal
from afdcd.training.artifacts import PANEL_FILE
from tests.tracking.made import STUDY, points, record, report, study, trained


def run(place: Place, number: str) -> Any:
    return place.client.get_run(number)


def test_study_is_the_parent_of_its_trials(place: Place, tmp_path: Path) -> None:
    parent = project_study(place, study(tags={"dataset": "synthetic/dev"})).run
    child = run(place, project_run(place, record(tmp_path)).run)
    shown = run(place, parent)
    assert (shown.info.run_name, shown.info.status) == ("street", "RUNNING")
    assert shown.data.tags["dataset"] == "synthetic/dev"
    assert shown.data.tags["afdcd.study"] == STUDY
    assert (child.info.run_name, child.info.status) == ("trial-0000 afdcd", "RUNNING")
    expected = {
        "mlflow.parentRunId": parent,
        "afdcd.study": STUDY,
        "afdcd.job": "trial-0000",
        "afdcd.run": record(tmp_path).job.identity,
        "method": "afdcd",
        "pair": "pspnet-resnet10t > pspnet-lcnet_050",
        "dataset": "synthetic/dev",
        "study": "street",
        "git_commit": "abc",
    }
    assert expected.items() <= child.data.tags.items()
    assert child.data.params["training.lr"] == "0.01"
    assert child.data.params["pair.teacher.model.encoder"] == "timm:resnet10t"


def test_what_mlflow_has_whole_need_not_be_told_again(place: Place, tmp_path: Path) -> None:
    project_study(place, study())
    done, going, cut = (record(tmp_path, f"trial-000{n}") for n in range(3))
    for one in (done, going, cut):
        trained(one.job, 0.3, 0.4)
    project_run(place, replace(done, outcome="completed"))
    project_run(place, going)
    number = project_run(place, replace(cut, outcome="paused")).run
    place.client.update_run(
        number, status="RUNNING"
    )  # as a process that died before the last request
    assert told_of(place, STUDY) == {("trial-0000", done.job.identity, "completed", 4)}
    assert told_of(place, "another") == set()


def test_a_run_whose_picture_could_not_be_read_is_told_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = replace(record(tmp_path), outcome="completed")
    trained(one.job, 0.3, 0.4)
    with monkeypatch.context() as away:
        away.setattr("afdcd.tracking.runs.storage.exists", _no_route)
        with pytest.raises(OSError, match="no route"):
            project_run(place, one)
    assert find_run(place, one).info.status == "FINISHED"
    assert told_of(place, STUDY) == set()
    project_run(place, one)
    assert len(told_of(place, STUDY)) == 1


def _no_route(uri: str) -> bool:
    raise OSError("no route to host")


def test_a_wish_on_the_page_of_a_study_is_told_once(place: Place) -> None:
    page = project_study(place, study()).run
    assert taken_wish(place, STUDY) == ""
    place.client.set_tag(page, "afdcd.stop", "the weekend")
    assert taken_wish(place, STUDY) == "the tag afdcd.stop in MLflow (the weekend)"
    assert taken_wish(place, STUDY) == ""
    assert "afdcd.stop" not in run(place, page).data.tags


def test_a_second_seed_lies_below_its_trial(place: Place, tmp_path: Path) -> None:
    first = record(tmp_path)
    further = record(tmp_path, "trial-0000-seed-1")
    further = replace(further, job=further.job.updated(repeats="trial-0000"))
    parent = project_study(place, study()).run
    seed = project_run(place, further).run  # before its trial is there
    trial = project_run(place, first).run
    below = [run(place, number).data.tags["mlflow.parentRunId"] for number in (trial, seed)]
    assert below == [parent, trial]
    for gone in (trial, parent):
        place.client.delete_run(gone)
    parent = project_study(place, study()).run
    assert run(place, seed).data.tags["mlflow.parentRunId"] == trial  # deleted, but made anew below
    trial, again = project_run(place, first).run, project_run(place, further).run
    below = [run(place, number).data.tags["mlflow.parentRunId"] for number in (trial, seed)]
    assert (again, below) == (seed, [parent, trial])


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("completed", "FINISHED"),
        ("paused", "FINISHED"),
        ("infeasible", "FAILED"),
        ("lost", "FAILED"),
        ("killed", "KILLED"),
    ],
)
def test_status_and_tags_say_how_a_run_ended(
    place: Place, tmp_path: Path, outcome: Any, status: str
) -> None:
    ended = record(tmp_path, outcome=outcome, cause="the cause")
    found = run(place, project_run(place, ended).run)
    assert found.info.status == status
    assert (found.data.tags["outcome"], found.data.tags["cause"]) == (outcome, "the cause")
    assert run(place, project_study(place, study(outcome=outcome)).run).info.status == status


def test_a_run_that_goes_on_is_running_again_without_its_cause(
    place: Place, tmp_path: Path
) -> None:
    project_run(place, record(tmp_path, outcome="lost", cause="disk full"))
    found = run(place, project_run(place, record(tmp_path)).run)
    assert found.info.status == "RUNNING"
    assert not {"outcome", "cause"} & found.data.tags.keys()


def test_what_a_run_notes_of_itself_is_a_tag_and_stays(place: Place, tmp_path: Path) -> None:
    going = record(tmp_path)
    journal.write(going.job.folder, report(2, notes={"projector": "kept"}))
    number = project_run(place, going).run
    assert run(place, number).data.tags["projector"] == "kept"
    last = {"projector": "kept", "picture": "missing: no room on the device"}
    journal.write(going.job.folder, report(4, notes=last))
    ended = record(tmp_path, outcome="completed")
    for _ in range(2):  # the second time there is nothing new in the journal
        project_run(place, ended)
        assert last.items() <= run(place, number).data.tags.items()


def test_scores_and_losses_stand_at_their_iterations_and_times(
    place: Place, tmp_path: Path
) -> None:
    going = record(tmp_path)
    journal.write(going.job.folder, report(2))
    number = project_run(place, going).run
    assert points(place.client, number, "miou") == [(2, 0.3)]
    assert points(place.client, number, "loss/task") == [(1, 2.0), (2, 1.0)]
    assert points(place.client, number, "lr") == [(1, 0.1), (2, 0.05)]
    assert points(place.client, number, "cpu_hours") == [(2, 1.0)]
    assert points(place.client, number, "iou/sky") == [(2, 0.9)]
    (point,) = place.client.get_metric_history(number, "miou")
    assert point.timestamp == int(1000 * (report(2).at or 0))
    assert "iou/car" not in run(place, number).data.metrics


def test_iteration_comes_last_so_that_it_says_what_is_there() -> None:
    """A chain of requests may break anywhere; what comes before `iteration` is then sent again."""
    assert metrics_of(report(2))[-1].key == "iteration"


def test_each_point_is_logged_once(place: Place, tmp_path: Path) -> None:
    going = record(tmp_path)
    journal.write(going.job.folder, report(2))
    project_run(place, going)
    journal.write(going.job.folder, report(2, 0.9))  # repeated after a crash
    journal.write(going.job.folder, report(4))
    number = project_run(place, going).run
    assert points(place.client, number, "miou") == [(2, 0.3), (4, 0.3)]
    assert [step for step, _ in points(place.client, number, "loss/task")] == [1, 2, 3, 4]


def test_more_points_than_one_request_takes_are_all_logged(place: Place, tmp_path: Path) -> None:
    going = record(tmp_path)
    curve = {"iteration": [float(n) for n in range(1, 2201)], "task": [0.5] * 2200}
    journal.write(going.job.folder, report(2200, curve=curve))
    number = project_run(place, going).run
    assert len(points(place.client, number, "loss/task")) == 2200


def test_parameters_stay_as_the_run_began(place: Place, tmp_path: Path) -> None:
    first = project_run(place, record(tmp_path)).run
    again = record(tmp_path, resources__workers=2)
    assert project_run(place, again).run == first
    assert run(place, first).data.params["resources.workers"] == "1"


def test_two_studies_of_one_name_and_two_settings_of_one_job_share_nothing(
    place: Place, tmp_path: Path
) -> None:
    """Two people with the default file name on one server; somebody who started over."""
    other = "99999999-0000-4000-8000-000000000002"
    ours, theirs = project_study(place, study()).run, project_study(place, study(id=other)).run
    assert ours != theirs
    going = record(tmp_path)
    journal.write(going.job.folder, report(2, 0.8))
    first = project_run(place, going).run
    second = project_run(place, replace(going, study=other)).run
    third = project_run(place, record(tmp_path / "else", training__lr=0.1)).run
    assert len({first, second, third}) == 3
    assert run(place, second).data.tags["mlflow.parentRunId"] == theirs
    assert run(place, third).data.metrics == {}


def test_a_single_run_is_found_by_what_it_computes(place: Place, tmp_path: Path) -> None:
    alone = record(tmp_path, study=None)
    first = project_run(place, alone).run
    assert project_run(place, replace(alone, outcome="completed")).run == first
    assert project_run(place, record(tmp_path)).run != first
    assert "mlflow.parentRunId" not in run(place, first).data.tags


def test_a_run_that_was_deleted_on_the_page_is_made_anew_whole(
    place: Place, tmp_path: Path
) -> None:
    project_study(place, study())
    done = record(tmp_path, outcome="completed")
    trained(done.job, 0.1, 0.2)
    first = project_run(place, done).run
    place.client.delete_run(first)
    second = project_run(place, done).run
    assert second != first
    assert points(place.client, second, "miou") == [(2, 0.1), (4, 0.2)]
    assert [file.path for file in place.client.list_artifacts(second)] == [PANEL_FILE]


def test_a_parent_that_was_deleted_is_made_anew_with_its_children(
    place: Place, tmp_path: Path
) -> None:
    first = project_study(place, study()).run
    child = project_run(place, record(tmp_path, outcome="completed")).run
    place.client.delete_run(first)
    second = project_study(place, study()).run
    assert second != first
    assert run(place, child).data.tags["mlflow.parentRunId"] == second


def test_a_parent_made_anew_adopts_more_runs_than_one_answer_holds(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = [project_run(place, record(tmp_path, f"trial-000{n}")).run for n in range(3)]
    monkeypatch.setattr(pages, "PAGE", 1)
    parent = project_study(place, study()).run
    assert {run(place, n).data.tags["mlflow.parentRunId"] for n in children} == {parent}


def test_a_study_that_is_told_again_is_looked_for_once_and_its_runs_not_at_all(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = project_study(place, study()).run
    asked = _searches(monkeypatch)
    project_study(place, study(metrics={"miou": 0.4}))
    assert len(asked) == 1
    asked.clear()
    child = project_run(place, record(tmp_path)).run
    assert len(asked) == 2  # for its page, and for further seeds that lie below it
    assert run(place, child).data.tags["mlflow.parentRunId"] == parent
    assert run(place, child).data.tags["study"] == "street"


def _searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries by which MLflow is searched from now on."""
    asked, search = [], MlflowClient.search_runs

    def counted(client: MlflowClient, experiments: list[str], query: str, **options: Any) -> Any:
        asked.append(query)
        return search(client, experiments, query, **options)

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    return asked


def test_numbers_of_a_study_follow_its_record(place: Place) -> None:
    project_study(place, study(metrics={"miou": 0.4, "trials_completed": 1}))
    number = project_study(place, study(metrics={"miou": 0.4, "trials_completed": 2})).run
    assert run(place, number).data.metrics == {"miou": 0.4, "trials_completed": 2}
    assert points(place.client, number, "miou") == [(0, 0.4)]


def test_a_completed_run_gets_its_picture_once_and_none_is_no_error(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = record(tmp_path, outcome="completed")
    number = project_run(place, done).run
    assert place.client.list_artifacts(number) == []
    storage.write_bytes(storage.join(done.job.folder, PANEL_FILE), b"png")
    assert project_run(place, done).done == ["picture"]
    assert project_run(place, done).done == []


def test_a_damaged_journal_holds_up_nothing_else(place: Place, tmp_path: Path) -> None:
    done = record(tmp_path, outcome="lost", cause="disk full")
    storage.write_bytes(f"{done.job.folder}/journal/00000002.json", b"{")
    with pytest.raises(UserError, match="no report of a run"):
        project_run(place, done)
    found = find_run(place, done)
    assert found is not None
    assert (found.info.status, found.data.tags["cause"]) == ("FAILED", "disk full")


def test_an_end_alone_is_written_where_there_is_a_run(place: Place, tmp_path: Path) -> None:
    killed = record(tmp_path, outcome="killed")
    end_early(place, killed)
    assert find_run(place, killed) is None
    number = project_run(place, record(tmp_path)).run
    end_early(place, killed)
    assert run(place, number).info.status == "KILLED"


def test_no_key_of_a_store_leaves_the_process(place: Place, tmp_path: Path) -> None:
    """C8: whoever may read MLflow could read the bucket."""
    secret = "s3://KEY:SECRET@bucket"
    going = record(
        tmp_path,
        outcome="lost",
        cause=f"{secret}/x: access denied",
        tags={"teacher": f"{secret}/teacher.safetensors"},
    )
    config = (
        going.job.config
    )  # as an earlier afdcd took it: a key is refused where it is read today
    data = config.data.model_copy(update={"root": f"{secret}/x"})
    config = config.model_copy(update={"data": data})
    going = replace(going, job=going.job.model_copy(update={"config": config}))
    project_study(place, study(name="street", tags={"space": f"{secret}/space.yaml"}))
    project_run(place, going)
    runs = place.client.search_runs([place.experiment])
    assert len(runs) == 2
    for found in runs:
        assert "SECRET" not in str(found.to_dictionary())
    assert runs[0].data.params["data.root"] == "s3://bucket/x"
