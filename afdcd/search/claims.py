"""A proof in words: one sentence for the claim, one row for each arm, and what would settle it."""

from afdcd.search.evidence import Verdict
from afdcd.search.proof import CHAMPION, FOUND, PLAIN, PUBLISHED, Plan, Proof

ARMS = {
    CHAMPION: "best setting found",
    PLAIN: "plain student, same recipe",
    PUBLISHED: "best published setting",
    FOUND: "best setting found",
}
_WORDS: dict[Verdict, str] = {
    "better": "better than the plain student",
    "not distinguishable": "not distinguishable from the plain student",
    "worse": "worse than the plain student",
    "unproven": "unproven",
}


def announced(plan: Plan) -> str:
    """What is about to be run, and why."""
    seeds, arms = len(plan.seeds), [title_of(arm) for arm in plan.arms]
    return f"trial {plan.trial}: {seeds} fresh seeds each of {', '.join(arms)}"


def title_of(arm: str) -> str:
    """`best setting found, kd`: what an arm is, and of which rival."""
    kind, _, rival = arm.partition(" ")
    return ", ".join(filter(None, [ARMS[kind], rival]))


def claim(proof: Proof) -> str:
    """`better than the plain student: +1.20 points [+0.50, +1.90] over 5 seeds`."""
    if PLAIN not in proof.plan.arms:
        return f"the plain student itself, {proof.spread(CHAMPION)}"
    found = proof.against(PLAIN)
    if found is None or proof.verdict == "unproven":
        return "unproven: too few seeds completed"
    return f"{_WORDS[proof.verdict]}: {found} over {found.n} seeds"


def spreads(proof: Proof) -> list[tuple[str, str, str]]:
    """For each arm what it is, its mean and spread, and by how much the champion is better."""
    rows = []
    for arm in proof.plan.arms:
        found = proof.against(arm) if arm != CHAMPION else None
        told = f"{found}, {found.verdict}" if found else ""
        rows.append((_arm(proof, arm), str(proof.spread(arm) or "no run completed"), told))
    return rows


def to_settle(proof: Proof) -> str:
    """How many seeds would tell, and what they cost; empty where nothing is open."""
    found = proof.to_settle()
    if found is None:
        return ""
    seeds, hours = found
    return (
        f"if mean and spread stay as they are, {seeds} seeds would tell (study.proof.seeds={seeds}, "
        f"about {hours:.2g} device-hours more); the same command goes on from these"
    )


def _arm(proof: Proof, arm: str) -> str:
    ran = next(iter(proof.runs.get(arm, {}).values()), None)
    return f"{title_of(arm)} (trial {ran.run.trial})" if ran else title_of(arm)
