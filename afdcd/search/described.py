"""What stands beside a registered student: its answer first, then the evidence, then each class."""

import math

from afdcd.data.catalog.splits import no_report
from afdcd.models.weights import NetworkCard
from afdcd.search.candidates import Candidate
from afdcd.search.claims import claim, spreads
from afdcd.search.evidence import spread
from afdcd.tasks.names import task_named
from afdcd.tasks.score import PER_CLASS, PER_CLASS_LABEL, Score
from afdcd.text import percent, shown
from afdcd.tracking.records import StudyRecord

TEST_CLASSES = f"test_{PER_CLASS}.json"
LENGTH = 5000  # characters, of the registry's column
CLASSES = 40  # of a description


def describe(candidate: Candidate, card: NetworkCard, tests: dict[int, Score], gain: str) -> str:
    """A version's description.

    Args:
        tests: scores on the test split by seed; empty where no labelled split reports.
        gain: over the plain student by one run of each, for a student that is not proven.
    """
    config, label = candidate.config, candidate.score.label
    height, width = config.data.crop
    settings = ", ".join(f"{name} = {value}" for name, value in candidate.settings.items())
    teacher = percent(candidate.teacher.score.value) if candidate.teacher else "none"
    own = tests.get(candidate.seed)
    text = f"""{_answer(candidate, card, gain)}

{candidate.title[0].upper()}{candidate.title[1:]}

| | |
|---|---|
| {label} on {card.split} (selected by) | {percent(candidate.score.value)} |{_test_rows(label, tests, own)}
| teacher's {label} on {card.split} | {teacher} |
| parameters | {card.parameters:,} |
| GFLOPs at {height}x{width} (2 per multiply-add) | {2 * (card.gmacs or 0):.2f} |
| seed | {candidate.seed} ({_luck(candidate)}) |

{_evidence(candidate)}Searched settings: {shown(settings) or "none"}

{_class_table(own) if own else no_report(config.data.protocol)}
"""
    return text[:LENGTH]


def gain_over(candidate: Candidate, alone: Score | None) -> str:
    """What one run of each says; a proof says more, and then this is not told."""
    if alone is None or not candidate.config.distiller.DISTILS:
        return ""
    points = 100 * (candidate.score.value - alone.value) * (1 if alone.higher_is_better else -1)
    return f" ({points:+.2f} over the plain student, one seed each)"


def about(study: StudyRecord, candidate: Candidate, name: str, alias: str) -> str:
    """What a registered model is."""
    data, task = candidate.config.data, candidate.config.task
    use = f" To use it: `afdcd predict models:/{name}@{alias} PICTURES --out FOLDER`"
    return (
        f"{task.capitalize()} students found by the study {study.name} ({study.id}) on {data.dataset}, "
        f"protocol {data.protocol}. The alias `champion` names one that was proven better than the "
        "plain student, `candidate` the best one so far of which that is not known."
        f"{use if task_named(task).draws else ''}"
    )


def _answer(candidate: Candidate, card: NetworkCard, gain: str) -> str:
    """What a person wants to know first: the list of versions shows little more than this."""
    method, pair = candidate.config.distiller.method, shown(candidate.config.pair.label)
    told = claim(candidate.proof) if candidate.proof else f"unproven{gain}"
    return f"{candidate.score}, {method}, {told}, {_size(card.parameters)}, {pair}"


def _size(parameters: int | None) -> str:
    count = parameters or 0
    return f"{count / 1e6:.2f} M parameters" if count >= 10_000 else f"{count} parameters"


def _test_rows(label: str, tests: dict[int, Score], own: Score | None) -> str:
    rows = [f"\n| {label} on test (never used to select) | {percent(own.value)} |"] if own else []
    if len(tests) > 1:
        every = spread({seed: score.value for seed, score in tests.items()})
        rows.append(f"\n| {label} on test, all proof seeds | {every} |")
    return "".join(rows)


def _evidence(candidate: Candidate) -> str:
    """The arms of its proof, a row each."""
    if candidate.proof is None:
        return ""
    rows = [f"| {' | '.join(row)} |" for row in spreads(candidate.proof)]
    titles = ["| proof | mean and sd of a seed | best setting's gain, 95 % |", "|---|---|---|"]
    return "\n".join([*titles, *rows, "", ""])


def _luck(candidate: Candidate) -> str:
    if candidate.proof:
        return "the first proof seed, fixed before it ran"
    if not candidate.seeds:
        return "one seed, unproven; differences below about 1 point may be seed noise"
    told = [f"{seed}: {percent(score.value)}" for seed, score in sorted(candidate.seeds.items())]
    return f"other seeds of this setting: {', '.join(told)}"


def _class_table(score: Score) -> str:
    """What every class scores, or the worst and the best where they are many; empty without classes."""
    found = score.group(PER_CLASS)
    names = list(found)
    if not names:
        return ""
    if len(names) > CLASSES:
        ranked = sorted((n for n in names if not math.isnan(found[n])), key=found.__getitem__)
        names = list(dict.fromkeys([*ranked[: CLASSES // 2], *ranked[-CLASSES // 2 :]]))
    lines = [f"| {name} | {percent(found[name])} |" for name in names]
    if hidden := len(found) - len(names):
        lines.insert(CLASSES // 2, f"| {hidden} more in {TEST_CLASSES} of the run | |")
    return "\n".join([f"| class | test {PER_CLASS_LABEL} |", "|---|---|", *lines])
