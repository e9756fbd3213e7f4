"""What the settings of every method have in common. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from afdcd.config import FrozenConfig, Key
from afdcd.distillers.configs.cost import Cost
from afdcd.distillers.configs.presets import Preset, with_preset
from afdcd.distillers.configs.shapes import Needs, PairShapes

if TYPE_CHECKING:
    from afdcd.distillers.base import Distiller


@dataclass(frozen=True)
class Prerequisite:
    """What must have been learnt from the teacher before a method can begin: a run of its own.

    Attributes:
        method: of that run; it `PREPARES`.
        training: its recipe, as plain values of a `TrainingConfig`.
    """

    method: "MethodConfig"
    training: Mapping[str, Any]


class MethodConfig(FrozenConfig):
    """Settings of one method; a subclass gives `method` its name and says how it is built.

    Attributes:
        PRESETS: published settings by name, for methods with a key `preset`.
        DISTILS: whether there is a teacher at all.
        PREPARES: whether it learns from the teacher alone, for another method: no student is there, and
            the state of its distiller is what comes of it.
        WHOLE: keys that its prerequisites follow, each of which has a run of its own; so they take no
            numeric range.
        SIZES: keys that say how much it remembers from step to step.
        WITHOUT: what to set so that a map is not read, by the map's name, e.g. "aux_weight to 0".
        TASK_REMEDY: what to do about another task than `tasks`, as the end of a sentence.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {}
    DISTILS: ClassVar[bool] = True
    PREPARES: ClassVar[bool] = False
    WHOLE: ClassVar[frozenset[str]] = frozenset()
    SIZES: ClassVar[tuple[str, ...]] = ()
    WITHOUT: ClassVar[Mapping[str, str]] = {}
    TASK_REMEDY: ClassVar[str] = ""

    method: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, values: Any) -> Any:
        return with_preset(cls.PRESETS, values) if isinstance(values, dict) else values

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """What keys that are not given are."""
        return {key: field.default for key, field in cls.model_fields.items()}

    @property
    def without(self) -> Mapping[str, str]:
        """`WITHOUT`, where the keys are."""
        return self.WITHOUT

    @property
    def sizes(self) -> tuple[Key, ...]:
        """`SIZES`, where the keys are."""
        return tuple((name,) for name in self.SIZES)

    @property
    def silent(self) -> dict[Key, str]:
        """Why a term is always 0, with the remedy, by the key that makes it so; `()`: by all weights."""
        if not self.DISTILS or self.needs != Needs():
            return {}
        told = f"{self.method} with all weights 0 is no distillation; raise one, or leave it out"
        return {(): told}

    @property
    def tasks(self) -> frozenset[str] | None:
        """The tasks whose networks it can read; None: of any."""
        return None

    @property
    def couples_images(self) -> bool:
        """Whether images of a batch are compared with each other, so that a term is not the mean of
        what it is for each image."""
        return False

    @property
    def needs(self) -> Needs:
        """What it reads of each network; nothing for a term of weight 0."""
        return Needs()

    @property
    def prerequisites(self) -> dict[str, Prerequisite]:
        """What must be there first, by the name under which `Distiller.read` is given it."""
        return {}

    def check(self, pair: PairShapes, crop: tuple[int, int]) -> None:
        """Whether the settings fit `pair` on crops of (rows, columns); every pair does.

        Raises:
            ValueError: what does not fit, with the remedy.
        """

    def notes(self, pair: PairShapes, crop: tuple[int, int]) -> list[str]:
        """What a person should know of settings that passed `check`."""
        return []

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        """What it computes and keeps for an image of (rows, columns), as far as shapes tell."""
        return Cost()

    def identity(self) -> dict[str, Any]:
        """What two settings that compute the same have in common."""
        return self.plain()

    def build(self, pair: PairShapes) -> "Distiller":
        raise NotImplementedError
