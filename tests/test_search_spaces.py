"""Every committed search space: read by the real loader, sampled, each sample a valid trial."""

from pathlib import Path

import optuna
import pytest

from afdcd.config import load_yaml, validate
from afdcd.data.catalog import DATASETS
from afdcd.search.file import load_space
from afdcd.search.space import suggest
from afdcd.training.trial import TrialConfig

FILES = sorted((Path(__file__).parents[1] / "search_spaces").glob("*.yaml"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_valid_and_so_are_twenty_samples(file: Path) -> None:
    needs_root = load_yaml(file)[0]["data"]["dataset"] != "synthetic"
    space = load_space(str(file), ["data.root=shards"] if needs_root else [])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        config = validate(TrialConfig, suggest(space.space, study.ask()), space.source)
        config.check_shapes(len(DATASETS[config.data.dataset].classes))


def test_the_quickstart_needs_nothing_but_the_repository() -> None:
    (quickstart,) = [file for file in FILES if file.stem == "quickstart"]
    example = load_space(str(quickstart), []).examples[0]
    assert example.data.root is None
    assert example.pair.teacher is not None
    assert example.pair.teacher.weights is None
    assert example.pair.student.pretrained is None
