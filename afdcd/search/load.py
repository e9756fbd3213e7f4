"""A search space file: a TrialConfig with ranges, plus the `study:` section that says how to search."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afdcd.config import Source, UserError, load_yaml, override, validate
from afdcd.data.catalog.datasets import DATASETS
from afdcd.models.zoo import ModelConfig
from afdcd.search.fixed import check_fixed
from afdcd.search.space import corners, parameters_of, parse_ranges
from afdcd.search.study import StudyConfig
from afdcd.training.trial import TrialConfig

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SearchSpace:
    """What a search space file says, read and checked.

    Attributes:
        space: plain config values with ranges.
        source: for errors that name the line.
        examples: valid configurations at both ends of every range and at every option.
    """

    name: str
    study: StudyConfig
    space: dict[str, Any]
    source: Source
    examples: tuple[TrialConfig, ...]

    def identity(self, data_digest: str) -> str:
        """Digest of what must stay the same for a study to go on.

        How many trials there are and what they occupy may change, what they compute may not.
        """
        space = {name: item for name, item in self.space.items() if name != "resources"}
        space["data"] = {
            k: v for k, v in space["data"].items() if k not in ("root", "loader_workers")
        }
        text = json.dumps([space, data_digest], sort_keys=True, default=vars)
        return hashlib.sha256(text.encode()).hexdigest()

    def rooted(self, root: str) -> "SearchSpace":
        """The same space on the prepared data at `root`."""
        space = {**self.space, "data": {**self.space["data"], "root": root}}
        examples = tuple(e.updated(data=e.data.updated(root=root)) for e in self.examples)
        return replace(self, space=space, examples=examples)

    def with_teachers(self) -> list[TrialConfig]:
        """One example for each teacher that the space can choose."""
        found = {
            teacher_key(example): example
            for example in self.examples
            if example.pair.teacher and example.distiller.method != "none"
        }
        return list(found.values())


def teacher_key(config: TrialConfig) -> str:
    """Equal for two trials exactly if they ask for the same teacher; empty without one."""
    teacher = config.pair.teacher
    return json.dumps(teacher.plain(), sort_keys=True) if teacher else ""


def load_space(path: str, assignments: list[str]) -> SearchSpace:
    """Read a search space file, apply `key=value` overrides, and check all that it can propose.

    Raises:
        UserError: file, line, key and remedy of what is wrong.
    """
    values, source = load_yaml(path)
    override(values, source, assignments)
    section = Source(source.name, source.lines, prefix=("study",))
    study = validate(StudyConfig, values.pop("study", {}), section)
    name = _checked_name(study.name if study.name is not None else Path(path).stem, source)
    space = parse_ranges(values, source)
    check_fixed(space, source)
    examples = tuple(_examples(space, source))
    _check_grace(study, examples, source)
    for index, block in enumerate(study.enqueue):
        parameters_of(space, block, source, ("study", "enqueue", index))
    return SearchSpace(name, study, space, source, examples)


def _checked_name(name: str, source: Source) -> str:
    """It becomes a folder, a model in the registry and part of a query."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{source.at(('study', 'name'))}: {name!r} cannot name a study; use up to 100 letters, "
            "digits, '.', '_' and '-', the first a letter or digit: study.name=..."
        )
    return name


def _check_grace(study: StudyConfig, examples: tuple[TrialConfig, ...], source: Source) -> None:
    shortest = min(example.training.iterations for example in examples)
    if study.grace and study.grace > shortest:
        raise UserError(
            f"{source.at(('study', 'grace'))}: {study.grace} is more than a trial's {shortest} "
            "iterations, so no trial would ever be stopped; lower it"
        )


def check_shapes(config: TrialConfig, source: Source, teacher: ModelConfig | None = None) -> None:
    """`TrialConfig.check_shapes`, its error with file and line."""
    try:
        config.check_shapes(len(DATASETS[config.data.dataset].classes), teacher)
    except UserError as error:
        raise UserError(f"{source.at(('pair',))}: {error}") from None
    except ValueError as error:
        raise UserError(f"{source.at(('distiller',))}: {error}") from None


def _examples(space: dict[str, Any], source: Source) -> list[TrialConfig]:
    mistakes: dict[str, None] = {}
    examples = []
    for values, places in corners(space):
        lines = {key: source.lines[at] for key, at in places.items() if at in source.lines}
        at_corner = Source(source.name, lines)
        try:
            config = validate(TrialConfig, values, at_corner)
            check_shapes(config, at_corner)
            examples.append(config)
        except UserError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise UserError("\n".join(mistakes))
    return examples
