"""Whatever one call to database, MLflow or storage does, the study comes to the same end.

A call is refused (an error before it took effect), unheard (an error although it did), hangs, or the
process that makes it is killed. Then the same command is given again, at most three times.
"""

import pytest

from tests.faults.conftest import Place

# Each of the others takes minutes; a group of its own lets any process take it.
SLOW = {n: [pytest.mark.slow, pytest.mark.xdist_group(f"tenth-{n}")] for n in range(1, 10)}
TENTHS = [0, *(pytest.param(n, marks=marks) for n, marks in SLOW.items())]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("tenth", TENTHS)
def test_a_disturbed_study_ends_as_an_undisturbed_one(place: Place, tenth: int) -> None:
    found = place.disturbed(lambda number: number % 10 == tenth)
    assert not found, "\n\n".join([f"{len(found)} cases", *found])


def test_all_three_boundaries_are_crossed_by_driver_and_run(place: Place) -> None:
    """Each test above takes a tenth of these calls, however many they are."""
    assert {call.partition(".")[0] for call in place.calls} == {
        "driver lease",
        "driver mlflow",
        "driver optuna",
        "driver storage",
        "worker storage",
    }
    assert len(place.calls) > 300


def test_the_undisturbed_study_is_what_it_should_be(place: Place) -> None:
    """Else all others could agree on nothing."""
    found = place.expected
    pages = {
        key: value for key, value in found.items() if key.startswith("page") and key.count(" ") == 1
    }
    assert {key: value.split('"')[3] for key, value in pages.items()} == {
        "page study": "FINISHED",
        "page trial-0000": "FINISHED",
        "page trial-0000-seed-1": "FINISHED",
        "page trial-0002": "FINISHED",
        "page trial-0003": "FINISHED",
    }
    assert found["page trial-0000-seed-1 tag mlflow.parentRunId"] == "trial-0000"
    assert found["page trial-0003 tag outcome"] == "paused"
    assert found["page trial-0003 metric iteration"] == "[[2, 2.0]]"
    assert found["page trial-0002 metric iteration"] == "[[2, 2.0], [4, 4.0]]"
    assert found["model street version 1 tag trial"] == "2"
    assert found["model street alias candidate"] == "1"
    assert sum(place.trained.values()) == 3 * 4 + 2
    saved = [call for call in place.calls if call == "worker storage.write_bytes state.safetensors"]
    assert len(saved) == 8  # at each of 7 validations, and as a node was drained
