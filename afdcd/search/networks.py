"""What the networks of a trial say of it, as errors with file, line and key."""

from collections.abc import Iterator

from afdcd.config import Key, Source, UserError
from afdcd.data.catalog.splits import no_report
from afdcd.data.shards.described import dataset_at
from afdcd.models.config import ModelConfig
from afdcd.models.encoders import check_encoder
from afdcd.search.load import SearchSpace
from afdcd.tasks.names import task_named
from afdcd.training import shapes
from afdcd.training.trial import TrialConfig


def check_networks(space: SearchSpace) -> None:
    """Build every network without memory, and hold each pair to what its method needs.

    Raises:
        UserError: a data set of a person's own that is not prepared, an encoder that does not exist, or
            one that does not fit pair, method or crop.
    """
    _check_classes(space)
    mistakes: dict[str, None] = {}
    for example, source in zip(space.examples, space.sources, strict=True):
        try:
            check_encoders(example, source)
            check_shapes(example, source)
        except UserError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise UserError("\n".join(mistakes))


def _check_classes(space: SearchSpace) -> None:
    """How many outputs a network needs, only its own manifest says of a set in no catalog."""
    example = space.examples[0]
    try:
        task_named(example.task).outputs(example.data)
    except UserError as error:
        raise UserError(f"{space.source.at(('data', 'root'))}: {error}") from None


def notes(space: SearchSpace) -> list[str]:
    """What a person should know of a valid space before it runs; once each."""
    found: dict[str, None] = {}
    data = space.examples[0].data
    if not dataset_at(data.root, data.dataset).reports(data.protocol):
        found[no_report(data.protocol)] = None
    for example in space.examples:
        teacher = example.pair.teacher.model if example.pair.teacher else None
        if teacher:
            crop, student = example.data.crop, example.pair.student
            pair = shapes.pair_shapes(student, teacher, task_named(example.task).outputs(data))
            for note in example.distiller.notes(pair, crop):
                found[f"crop {crop[0]}x{crop[1]}: {note}"] = None
    return list(found)


def check_encoders(config: TrialConfig, source: Source) -> None:
    """Raises UserError where an encoder that the trial names does not exist."""
    for key, model in _networks(config):
        try:
            check_encoder(model.encoder)
        except ValueError as error:
            raise UserError(f"{source.at((*key, 'encoder'))}: {error}") from None


def check_shapes(config: TrialConfig, source: Source, teacher: ModelConfig | None = None) -> None:
    """`afdcd.training.shapes.check_shapes`, its error with file and line."""
    try:
        shapes.check_shapes(config, task_named(config.task).outputs(config.data), teacher)
    except UserError as error:
        raise UserError(f"{source.at(('pair',))}: {error}") from None
    except ValueError as error:
        raise UserError(f"{source.at(('distiller',))}: {error}") from None


def _networks(config: TrialConfig) -> Iterator[tuple[Key, ModelConfig]]:
    yield ("pair", "student"), config.pair.student
    if config.pair.teacher and config.pair.teacher.model:
        yield ("pair", "teacher", "model"), config.pair.teacher.model
