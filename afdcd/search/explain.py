"""Why the best student of a study is the best one, in a dozen lines, from the study database alone."""

from collections import Counter

from afdcd.search.claims import claim, spreads, to_settle
from afdcd.search.kept import Kept
from afdcd.search.proof import plan_of, proof_of
from afdcd.search.records import CHOSEN, is_maximised
from afdcd.search.rows import POLICY, Entry, ranked
from afdcd.text import percent

NEAR = 3  # runners-up that are shown


def explain(kept: Kept) -> list[str]:
    """What was run, what was chosen by which number, what it is held against, and what that says."""
    entries, maximise = kept.entries(), is_maximised(kept.study)
    search = [entry for entry in entries if entry.is_searched]
    counts = Counter(entry.outcome or "running" for entry in search)
    hours = sum(entry.device_hours for entry in entries)
    ran = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    lines = [
        f"study {kept.study.study_name}: {len(search)} trials ({ran or 'none yet'}), "
        f"{hours:.3g} device-hours with all proofs and lost work"
    ]
    best = ranked(search, maximise=maximise)
    if not best:
        return [*lines, "no trial has reached its full length yet, so nothing is chosen"]
    chosen = chosen_of(kept, best) or best[0]
    lines += [_chosen(kept, chosen), f"  {_settings(chosen)}", *_others(chosen, best)]
    plan = plan_of(kept.study)
    proof = proof_of(plan, entries, higher_is_better=maximise) if plan else None
    if proof is None:
        return [*lines, "one seed, unproven: luck alone may have put it first"]
    seeds = ", ".join(map(str, proof.plan.seeds))
    lines.append(f"proof with seeds {seeds}, which nothing was selected by:")
    lines += [f"  {': '.join(row[:2])}{f'; {row[2]}' if row[2] else ''}" for row in spreads(proof)]
    return [*lines, f"so it is {claim(proof)}", *filter(None, [to_settle(proof)]), *proof.unmet]


def chosen_of(kept: Kept, best: list[Entry]) -> Entry | None:
    """The trial that was proven or registered first, of those that ended; None before the search's end."""
    plan = plan_of(kept.study)
    noted = [plan.trial] if plan else kept.study.user_attrs.get(CHOSEN, [])
    return next((e for e in best if e.first in noted[:1]), None)


def _chosen(kept: Kept, entry: Entry) -> str:
    score = f"{percent(entry.value)} with its first seed"
    return f"chosen: trial {entry.run}, {_method(entry)}, {score}; {_why(kept, entry)}"


def _why(kept: Kept, entry: Entry) -> str:
    """Why it was run at all, as its row says since then."""
    row = kept.study.get_trials(deepcopy=False)[entry.first]
    noted = row.user_attrs.get(POLICY, {})
    if entry.is_reference:
        return "it was asked for"
    if "expected" not in noted:
        return f"it was proposed ({noted.get('why', 'unknown why')})"
    expected = f"{percent(noted['expected'])} ± {percent(noted['deviation'])}"
    return f"it was proposed, for the model expected {expected}"


def _others(chosen: Entry, best: list[Entry]) -> list[str]:
    """What it was chosen before: the next best, and the best that a person asked for."""
    near = [entry for entry in best if entry.first != chosen.first]
    asked = [entry for entry in near[NEAR:] if entry.is_reference][:1]
    return [
        f"before trial {e.run}, {_method(e)}, {percent(e.value)}{', asked for' if e.is_reference else ''}"
        for e in [*near[:NEAR], *asked]
    ]


def _method(entry: Entry) -> str:
    return str((entry.setting or {}).get("distiller", {}).get("method"))


def _settings(entry: Entry) -> str:
    told = (
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in entry.searched.items()
    )
    return "  ".join(told) or "nothing was searched"
