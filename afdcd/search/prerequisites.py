"""What methods need before a study can begin, beside a teacher: each a run of its own, trained once."""

from afdcd import storage
from afdcd.environment import storage_root
from afdcd.search.cluster import Cluster
from afdcd.search.session import Session
from afdcd.search.teachers import Teacher
from afdcd.search.trained_once import TrainedOnce
from afdcd.tracking.registry import fetch
from afdcd.training.artifacts import trouble_with
from afdcd.training.job import TEACHER
from afdcd.training.trial import TrialConfig

KIND = "prerequisite"


class Prerequisites:
    """Finds or trains the prerequisites of a study's methods.

    Attributes:
        found: where each lies for every node, by the identity of its run.
    """

    def __init__(self, session: Session, cluster: Cluster) -> None:
        self._digest, self._once = session.digest, TrainedOnce(session, cluster, KIND)
        self.found: dict[str, str] = {}

    @property
    def cost(self) -> dict[str, float]:
        """Device-hours of those that were trained here, by name."""
        return self._once.cost

    def prepare(self, config: TrialConfig, teacher: Teacher) -> bool:
        """See to it that this run can begin; False if it was interrupted.

        Raises:
            UserError: the training of one failed.
        """
        for trial in config.prerequisite_trials().values():
            identity = trial.fingerprint(self._digest, teacher.sha256)
            if identity not in self.found and not self._find(trial, identity, teacher):
                return False
        return True

    def inputs_of(self, config: TrialConfig, teacher: Teacher | None) -> dict[str, str]:
        """What a job of these settings learns from: `Job.inputs`."""
        if teacher is None:
            return {}
        trials = config.prerequisite_trials().items()
        ids = {name: trial.fingerprint(self._digest, teacher.sha256) for name, trial in trials}
        return {TEACHER: teacher.weights} | {name: self.found[key] for name, key in ids.items()}

    def _find(self, trial: TrialConfig, identity: str, teacher: Teacher) -> bool:
        copy = storage.join(storage_root(), f"{KIND}s", f"{identity[:16]}.safetensors")
        if not storage.exists(copy) or trouble_with(copy, identity, prepares=True):
            what = f"{trial.distiller.method}-{teacher.card.model.name}"
            version = self._once.version(trial, identity, what, {TEACHER: teacher.weights})
            if version is None:
                return False
            storage.write_bytes(copy, fetch(version).read_bytes())
        self.found[identity] = copy
        return True
