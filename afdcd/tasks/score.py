"""What a network is judged by: one number with its name and direction, and the parts behind it."""

import math

import pydantic

from afdcd.config import FrozenConfig, Switch
from afdcd.text import percent


class Score(FrozenConfig):
    """A score of a network on one split.

    Attributes:
        name: as MLflow and the registry's tags spell it, e.g. `miou`.
        value: 0..1; nan where nothing could be scored.
        parts: further numbers by name, e.g. `pixel_accuracy` and `iou/road`; a class that occurs
            nowhere is nan.
    """

    # A score that is no number is a fact to be told, not a mistake in a file.
    model_config = pydantic.ConfigDict(allow_inf_nan=True)

    name: str
    value: float
    higher_is_better: Switch = True
    parts: dict[str, float] = pydantic.Field(default_factory=dict)

    @property
    def label(self) -> str:
        """As people write it."""
        return label_of(self.name)

    def __str__(self) -> str:
        return f"{self.label} {percent(self.value)}"

    @property
    def finite(self) -> float | None:
        """The value, if there is one."""
        return self.value if math.isfinite(self.value) else None

    def beats(self, other: "Score | None") -> bool:
        """Whether this is the better one; no number beats nothing, and nothing beats no number."""
        if math.isnan(self.value):
            return False
        if other is None or math.isnan(other.value):
            return True
        return (self.value > other.value) == self.higher_is_better and self.value != other.value

    def group(self, name: str) -> dict[str, float]:
        """The parts named `name/...`, without that prefix."""
        prefix = f"{name}/"
        found = {key: value for key, value in self.parts.items() if key.startswith(prefix)}
        return {key.removeprefix(prefix): value for key, value in found.items()}


class Measure(FrozenConfig):
    """What the runs of a study are compared by, as their task says."""

    name: str
    higher_is_better: Switch = True

    @property
    def label(self) -> str:
        return label_of(self.name)

    def score(self, value: float) -> Score:
        return Score(name=self.name, value=value, higher_is_better=self.higher_is_better)


DEFAULT_MEASURE = Measure(name="miou")  # segmentation's, and that of studies that do not say
LOSS = Measure(name="loss", higher_is_better=False)  # of a run without a student
PER_CLASS = (
    "iou"  # the group of a score's parts that has a number for every class, where there are some
)
PER_CLASS_LABEL = "IoU"
_LABELS = {"miou": "mIoU"}


def label_of(name: str) -> str:
    """A score's name as people write it."""
    return _LABELS.get(name, name)
