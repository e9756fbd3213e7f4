"""A place for studies in memory, made once: databases without a run, data, and networks."""

import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Networks, temporary_folder
from tests.faults.forks import STORAGE, TEMPORARY, Forks, KnownError
from tests.faults.state import State, difference, state_of
from tests.faults.world import SPACE, World
from tests.search.studies import _empty_database as empty_study_database


class Place:
    """Where each case finds the world as it was before the first command."""

    def __init__(self, folder: Path, mlflow_database: Path) -> None:
        from afdcd.data.synthetic.config import SyntheticConfig
        from afdcd.data.synthetic.dataset import prepare_synthetic
        from afdcd.search.load import load_space

        self.root = folder / "world"  # always the same, for MLflow keeps a connection by its path
        self._storage = self.root / STORAGE
        self._mlflow, self._study = mlflow_database, empty_study_database()
        data = str(folder / "data")
        prepare_synthetic(data, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
        file = folder / "street.yaml"
        file.write_text(SPACE.replace("ROOT", data))
        self._space, self._networks = load_space(str(file), []), Networks(folder)
        self.calls, self.expected, self.trained = self._undisturbed()

    def disturbed(self, chosen: Callable[[int], bool]) -> list[str]:
        """Run the study once, and at each chosen call once more from there for each disturbance of it.

        Returns:
            A text for each case that did not end as the undisturbed study does.
        """
        world = self._new()
        forks = Forks(self.root, world, chosen)
        world.boundary.before, world.again = forks.before, forks.again
        try:
            differences = difference(self._run(world), self.expected)
            found = [*filter(_counts_in(world), differences), *self._judged(world)]
        except KnownError:
            found = self._judged(world)
        except BaseException as error:
            if not forks.is_child:
                raise
            found = traceback.format_exception(error)
        if forks.is_child:
            forks.end(found)
        assert not found and not world.said, [*world.said, *found]
        assert world.boundary.calls == self.calls  # nothing of the other cases is left in this one
        return forks.found

    def _judged(self, world: World) -> list[str]:
        """What is wrong with the way to the end."""
        found = [f"crashed: {said}" for said in world.said if world.crashed]
        trained = world.cluster.trained
        again = sum(trained.values()) - sum(self.trained.values())
        if trained.keys() != self.trained.keys() or again > world.cluster.interval:
            found.append(f"trained {trained}")
        return found

    def _undisturbed(self) -> tuple[list[str], State, Counter[tuple[str, int]]]:
        world = self._new()
        state = self._run(world)
        assert not world.said
        return world.boundary.calls, state, world.cluster.trained

    def _new(self) -> World:
        _forget_connections()
        shutil.rmtree(self.root, ignore_errors=True)
        self._storage.mkdir(parents=True)
        (self.root / TEMPORARY).mkdir()
        shutil.copy(self._mlflow, self._storage / "mlflow.db")
        shutil.copy(self._study, self._storage / "study.db")
        return World(self._space, self._networks)

    def _run(self, world: World) -> State:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(self.root / TEMPORARY))
            patch.setenv("AFDCD_STORAGE", str(self._storage))
            patch.setenv("AFDCD_GIT_COMMIT", "abc")
            world.install(patch)
            world.run()
        return state_of(self._storage)


def _counts_in(world: World) -> Callable[[str], bool]:
    """Whether a difference is a fault. For want of a picture no run is lost: its page says why."""
    at = world.boundary.at
    pictured = at is not None and world.boundary.calls[at].endswith("write_bytes panel.png")
    return lambda line: not (pictured and ("panel.png" in line or " tag picture" in line))


def _forget_connections() -> None:
    """MLflow keeps them for as long as the process lives; to a file that is replaced they are of no use."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    for engine in (*Tracking._engine_map.values(), *Registry._engine_map.values()):
        engine.dispose()


@pytest.fixture(scope="session")
def place(_empty_database: Path) -> Iterator[Place]:
    folder = Path(temporary_folder())
    yield Place(folder, _empty_database)
    shutil.rmtree(folder, ignore_errors=True)
