"""A search space file: a TrialConfig with ranges, plus the `study:` section that says how to search."""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdcd.config import Key, Source, UserError, validate
from afdcd.search.config import StudyConfig
from afdcd.search.division import Division, division_of
from afdcd.search.earlier import in_present_keys
from afdcd.search.fixed import check_fixed
from afdcd.search.rungs import Rules, rungs
from afdcd.search.space import SEED, corners, parameters_of, parse_ranges
from afdcd.tasks.names import SEGMENTATION, task_named
from afdcd.tasks.score import Measure
from afdcd.training.recipe import TrainingConfig
from afdcd.training.trial import SEMANTICS, TrialConfig
from afdcd.yaml_text import load_yaml, override

if TYPE_CHECKING:
    from afdcd.tasks.base import Task

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SearchSpace:
    """What a search space file says, read and checked.

    Attributes:
        written: the values of the file, overrides applied.
        space: plain config values with ranges.
        source: for errors that name the line.
        examples: configurations at both ends of every range and at every option.
        sources: where the keys of each example are written.
    """

    name: str
    study: StudyConfig
    written: dict[str, Any]
    space: dict[str, Any]
    source: Source
    examples: tuple[TrialConfig, ...]
    sources: tuple[Source, ...]

    def frame(self, data_digest: str) -> dict[str, Any]:
        """By dotted key what all runs share, so that their scores can be compared."""
        data, training = self.examples[0].data, self.examples[0].training
        task = self.examples[0].task
        return {
            # Frames of before there was a choice do not say it.
            **({} if task == SEGMENTATION else {"task": task, "measure": self.measure.plain()}),
            "data.dataset": data.dataset,
            "data.protocol": data.protocol,
            "data.normalisation": data.normalisation,
            "data digest": data_digest,
            "training.iterations": training.iterations,
            "training.validate_every": training.validate_every,
            "training.seed": training.seed,
            "training semantics": SEMANTICS,
        }

    def rules(self) -> Rules:
        training, study = self.examples[0].training, self.study
        iterations, every = training.iterations, training.validate_every
        compared = rungs(iterations, every, study.grace, study.reduction) if study.grace else []
        return Rules(
            study.runs,
            tuple(compared),
            study.reduction,
            self.measure,
            study.sampler,
            self.division,
        )

    @property
    def division(self) -> Division | None:
        """How its runs are divided, if they are."""
        key = self.study.budget_per
        return None if key is None else division_of(self.space, key, self.source)

    @property
    def task(self) -> "Task":
        """Of all its runs; loading it takes a moment."""
        return task_named(self.examples[0].task)

    @property
    def measure(self) -> Measure:
        """What its runs are compared by."""
        return self.task.measure

    def references(self) -> list[dict[str, Any]]:
        """The searched values, by path, of each setting in `study.enqueue`, and its seed."""
        return [
            reference_of(self.space, block, self.source, ("study", "enqueue", index))
            for index, block in enumerate(self.study.enqueue)
        ]

    def rooted(self, root: str) -> "SearchSpace":
        """The same space on the prepared data at `root`."""
        space = {**self.space, "data": {**self.space["data"], "root": root}}
        examples = tuple(e.updated(data=e.data.updated(root=root)) for e in self.examples)
        return replace(self, space=space, examples=examples)

    def with_teachers(self, *, every: bool = False) -> list[TrialConfig]:
        """One example for each teacher that the space can choose; or every one that learns from one."""
        taught = [e for e in self.examples if e.pair.teacher and e.distiller.DISTILS]
        return taught if every else list({teacher_key(e): e for e in taught}.values())


def teacher_key(config: TrialConfig) -> str:
    """Equal for two trials exactly if they ask for the same teacher; empty without one."""
    teacher = config.pair.teacher
    return json.dumps(teacher.as_before(), sort_keys=True) if teacher else ""


def load_space(path: str, assignments: list[str]) -> SearchSpace:
    """`read_space`, and that every network it can propose exists and fits its pair and crop.

    Raises:
        UserError: file, line, key and remedy of what is wrong.
    """
    from afdcd.search.networks import check_networks

    space = read_space(path, assignments)
    check_networks(space)
    return space


def read_space(path: str, assignments: list[str]) -> SearchSpace:
    """Read a search space file and apply `key=value` overrides; every value it can give is valid.

    This takes a fraction of a second. What only the networks can tell is `check_networks`' part,
    which imports torch.

    Raises:
        UserError: file, line, key and remedy of what is wrong.
    """
    values, source = load_yaml(path)
    override(values, source, assignments)
    values = in_present_keys(values, source)
    section = Source(source.name, source.lines, prefix=("study",))
    written = values.pop("study", {})
    study = validate(StudyConfig, written, section)
    _check_runs(study, written, source)
    name = _checked_name(study.name if study.name is not None else Path(path).stem, source)
    space = parse_ranges(values, source)
    check_fixed(space, source)
    examples, sources = _examples(space, source)
    _check_grace(study, examples, source)
    if study.budget_per is not None:
        division_of(space, study.budget_per, source)
    for index, block in enumerate(study.enqueue):
        reference_of(space, block, source, ("study", "enqueue", index))
    return SearchSpace(name, study, values, space, source, examples, sources)


def _checked_name(name: str, source: Source) -> str:
    """It becomes a folder, a model in the registry and part of a query."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{source.at(('study', 'name'))}: {name!r} cannot name a study; use up to 100 letters, "
            "digits, '.', '_' and '-', the first a letter or digit: study.name=..."
        )
    return name


def reference_of(
    space: dict[str, Any], block: dict[str, Any], source: Source, key: Key
) -> dict[str, Any]:
    """A setting in `study.enqueue` by path; `training.seed` in it asks for a further run.

    Raises:
        UserError: it does not lie in the space.
    """
    training = block.get("training")
    if not isinstance(training, dict) or "seed" not in training:
        return parameters_of(space, block, source, key)
    seed = training["seed"]
    if type(seed) is not int or seed < 0:
        raise UserError(
            f"{source.at((*key, 'training', 'seed'))}: {seed!r} is no whole number from 0 on"
        )
    rest = {name: value for name, value in training.items() if name != "seed"}
    found = parameters_of(space, {**block, "training": rest}, source, key)
    own = space.get("training", {}).get("seed", TrainingConfig().seed)
    return found if seed == own else {**found, SEED: seed}


def _check_runs(study: StudyConfig, written: dict[str, Any], source: Source) -> None:
    """`study.budget.runs` is another word for `study.trials`."""
    if study.budget.runs and "trials" in written and study.budget.runs != study.trials:
        runs = source.at(("study", "budget", "runs"))
        raise UserError(
            f"{source.at(('study', 'trials'))}: {study.trials}, but {runs} says {study.budget.runs}; "
            "both say how many full runs are searched: remove one of them"
        )


def _check_grace(study: StudyConfig, examples: tuple[TrialConfig, ...], source: Source) -> None:
    shortest = min(example.training.iterations for example in examples)
    if study.grace and study.grace > shortest:
        raise UserError(
            f"{source.at(('study', 'grace'))}: {study.grace} is more than a trial's {shortest} "
            "iterations, so no trial would ever be stopped; lower it"
        )


def _examples(
    space: dict[str, Any], source: Source
) -> tuple[tuple[TrialConfig, ...], tuple[Source, ...]]:
    mistakes: dict[str, None] = {}
    examples, sources = [], []
    for values, places in corners(space):
        lines = {key: source.lines[at] for key, at in places.items() if at in source.lines}
        sources.append(Source(source.name, lines))
        try:
            examples.append(validate(TrialConfig, values, sources[-1]))
        except UserError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise UserError("\n".join(mistakes))
    return tuple(examples), tuple(sources)
