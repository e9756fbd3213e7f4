"""What a study may spend on the cluster at hand, and whether that can pay for what it must run."""

import optuna

from afdcd.config import UserError
from afdcd.search.budget import Budget, Cost
from afdcd.search.cluster import Cluster
from afdcd.search.load import teacher_key
from afdcd.search.plan.afford import shortfalls
from afdcd.search.plan.devices import Machine, cpu, gpu_named
from afdcd.search.plan.known import ledgers
from afdcd.search.plan.make import make_plan
from afdcd.search.plan.plan import Plan
from afdcd.search.session import Session
from afdcd.search.teachers import Teachers
from afdcd.search.wishes import budget_of

ACCELERATOR = "accelerator_type:"  # how Ray names the kind of a node's GPUs, among its resources


def purse_of(here: Session, cluster: Cluster, database: optuna.Study) -> tuple[Budget, Cost]:
    """The budget of a study, and what one of its runs is reckoned to cost at least.

    Raises:
        UserError: a study that has not begun, whose budget cannot pay for teachers, references and proof.
    """
    limits = budget_of(database, here.space.study.budget)
    if limits.device_hours is None and limits.wall_clock is None:
        return Budget(), Cost(0.0, 0.0)
    plan = make_plan(here.space, _machine(here, cluster), ledgers())
    if not database.get_trials(deepcopy=False):
        _check(here, cluster, database, plan)
    written, at_once = here.space.study.budget, max(1, plan.at_once)
    return Budget(written, plan.proof_runs, at_once), plan.least_run


def _check(here: Session, cluster: Cluster, database: optuna.Study, plan: Plan) -> None:
    makers = Teachers(here, cluster, database.user_attrs.get("teachers"))
    missing = [
        example.teacher_trial().pair.label
        for example in here.space.with_teachers()
        if not makers.is_there(teacher_key(example), example)
    ]
    lines = shortfalls(here.space, plan.training_only(missing))
    if lines:
        raise UserError("\n".join(lines))


def _machine(here: Session, cluster: Cluster) -> Machine:
    if not cluster.uses_gpu(here.space.examples[0].resources):
        return Machine(cpu(0.0), int(cluster.cpus))
    kinds = {name for node in cluster.machines for name in node if name.startswith(ACCELERATOR)}
    kind = min(kinds, default=ACCELERATOR).removeprefix(ACCELERATOR)
    return Machine(gpu_named(kind, 0.0), int(cluster.gpus))
