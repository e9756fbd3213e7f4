"""Every committed search space: read by the real loader, sampled, each sample a valid trial."""

from pathlib import Path

import optuna
import pytest

from afdcd.config import validate
from afdcd.data.shards.described import dataset_at
from afdcd.distillers.configs import METHODS, AfDCDConfig
from afdcd.distillers.configs.afdcd_presets import PRESETS
from afdcd.search.check_study import check_study
from afdcd.search.load import load_space
from afdcd.search.networks import notes
from afdcd.search.space import nodes, parameters_of
from afdcd.training.shapes import check_shapes
from afdcd.training.trial import TrialConfig
from afdcd.yaml_text import load_yaml
from tests.own_sets import prepare_own
from tests.sampled import suggest

FOLDER = Path(__file__).parents[1] / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def own_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return prepare_own(tmp_path_factory.mktemp("own"), "custom")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_valid_and_so_are_twenty_samples(file: Path, own_root: str) -> None:
    dataset = load_yaml(file)[0]["data"]["dataset"]
    root = {"synthetic": [], "custom": [f"data.root={own_root}"]}.get(dataset, ["data.root=shards"])
    space = load_space(str(file), root)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        config = validate(TrialConfig, suggest(space.space, study.ask()), space.source)
        check_shapes(config, len(dataset_at(config.data.root, config.data.dataset).classes))


def test_the_quickstart_needs_nothing_but_the_repository() -> None:
    (quickstart,) = [file for file in FILES if file.stem == "quickstart"]
    example = load_space(str(quickstart), []).examples[0]
    assert example.data.root is None
    assert example.pair.teacher is not None
    assert example.pair.teacher.weights is None
    assert example.pair.student.pretrained is None


def test_the_quickstart_warns_of_nothing_and_compares_with_the_plain_student() -> None:
    space = load_space(str(FOLDER / "quickstart.yaml"), [])
    assert notes(space) == []
    assert [block["distiller"]["method"] for block in space.study.enqueue] == ["none", "afdcd"]
    assert space.study.trials > len(space.study.enqueue)  # something is left to search


@pytest.mark.parametrize("name", ["ade20k", "camvid", "cityscapes", "coco_stuff", "voc"])
def test_published_settings_are_run_first_with_the_pair_they_were_published_for(name: str) -> None:
    """Nothing of them is left to the sampler, and every published pair has all three methods."""
    space = load_space(str(FOLDER / f"{name}.yaml"), ["data.root=shards"])
    run: dict[str, list[str]] = {}
    for block in space.study.enqueue:
        pinned = parameters_of(space.space, block, space.source, ())
        values = suggest(space.space, optuna.trial.FixedTrial(pinned))  # fails if one is open
        config = validate(TrialConfig, values)
        methods = run.setdefault(config.pair.student.name, [])
        methods.append(config.distiller.method)
        if preset := block["distiller"].get("preset"):
            assert preset.removeprefix(f"{name}-").startswith(config.pair.student.name)
            assert config.distiller == validate(AfDCDConfig, {"preset": preset})
    published = {preset.partition("-")[2] for preset in PRESETS if preset.startswith(f"{name}-")}
    assert run.keys() == {student for student in published if not student.endswith("-plain")}
    assert all(methods[:3] == ["none", "kd", "afdcd"] for methods in run.values())


@pytest.mark.parametrize(
    ("name", "crop", "iterations"),
    [
        ("ade20k", (512, 512), 40_000),
        ("camvid", (360, 360), 40_000),
        ("cityscapes", (512, 1024), 40_000),
        ("coco_stuff", (512, 512), 80_000),
        ("voc", (512, 512), 40_000),
    ],
)
def test_recipe_is_the_published_one(name: str, crop: tuple[int, int], iterations: int) -> None:
    example = load_space(str(FOLDER / f"{name}.yaml"), ["data.root=shards"]).examples[0]
    assert (example.data.dataset, example.data.crop) == (name, crop)
    teacher = example.pair.teacher
    assert teacher is not None and teacher.train is not None
    for training in (example.training, teacher.train):
        assert (training.iterations, training.batch, training.lr) == (iterations, 16, 0.02)


@pytest.mark.parametrize("name", ["camvid", "coco_stuff"])
def test_a_published_teacher_is_given_as_the_file_s_first_lines_say(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    (line,) = [line for line in text.splitlines() if "pair.teacher.weights=" in line]
    overrides = ["data.root=shards", *line.removeprefix("#").split()]
    example = load_space(str(FOLDER / f"{name}.yaml"), overrides).examples[0]
    assert example.pair.teacher is not None
    assert example.pair.teacher.weights == "teacher.safetensors"
    assert example.data.normalisation == "caffe"


@pytest.mark.parametrize("name", ["cityscapes", "camvid", "quickstart"])
def test_an_arena_has_every_method_as_published_with_an_equal_share(name: str) -> None:
    """And one student, one teacher and one recipe: only the method differs from run to run."""
    space = load_space(
        str(FOLDER / f"arena-{name}.yaml"), [] if name == "quickstart" else ["data.root=shards"]
    )
    check_study(space)
    assert space.division is not None and space.division.key == "distiller.method"
    methods = {name for name, config in METHODS.items() if not config.PREPARES} - {"combined"}
    assert space.division.sizes.keys() == methods
    shares = space.division.left(space.study.runs, [])
    assert shares.pop("none") == 1 and len(set(shares.values())) == 1
    assert sum(shares.values()) + 1 == space.study.runs  # nothing is left over
    run = []
    for block in space.study.enqueue:
        pinned = parameters_of(space.space, block, space.source, ())
        values = suggest(space.space, optuna.trial.FixedTrial(pinned))  # fails if one is open
        run.append(validate(TrialConfig, values).distiller.method)
    assert sorted(run) == sorted(methods)
    assert all(path.startswith("distiller") for path, _ in nodes(space.space))


@pytest.mark.parametrize("name", ["cityscapes", "camvid"])
def test_an_arena_with_imagenet_weights_is_one_command(name: str) -> None:
    text = (FOLDER / f"arena-{name}.yaml").read_text()
    (line,) = [line for line in text.splitlines() if "pair.student.pretrained=" in line]
    space = load_space(str(FOLDER / f"arena-{name}.yaml"), line.removeprefix("#").split())
    assert space.name == f"arena-{name}-imagenet"
    assert space.examples[0].pair.student.pretrained == "RESNET18.safetensors"
