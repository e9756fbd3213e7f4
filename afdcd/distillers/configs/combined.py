"""Several methods at once, each with its own weights."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from afdcd.config import FrozenConfig, Key
from afdcd.distillers.configs.afdcd import AfDCDConfig
from afdcd.distillers.configs.cirkd import CIRKDConfig
from afdcd.distillers.configs.cost import Cost
from afdcd.distillers.configs.cwd import LOGITS_ALONE, CWDConfig
from afdcd.distillers.configs.ifvd import IFVDConfig
from afdcd.distillers.configs.kd import KDConfig
from afdcd.distillers.configs.maskd import MasKDConfig
from afdcd.distillers.configs.method import MethodConfig, Prerequisite
from afdcd.distillers.configs.mgd import PUBLISHED, MGDConfig
from afdcd.distillers.configs.presets import Preset
from afdcd.distillers.configs.shapes import Needs, PairShapes
from afdcd.distillers.configs.skd import SKDConfig

if TYPE_CHECKING:
    from afdcd.distillers.combined import Combined


PresetName = Literal["mgd-cwd-cityscapes-pspnet-resnet18", "mgd-cwd-cityscapes-deeplabv3-resnet18"]
_MGD_AND_CWD: dict[str, Any] = {"mgd": {**PUBLISHED, "logits_weight": 0.0}, "cwd": LOGITS_ALONE}


class TermsConfig(FrozenConfig):
    """Settings of each method that takes part, as it has them by itself."""

    kd: KDConfig | None = None
    mgd: MGDConfig | None = None
    afdcd: AfDCDConfig | None = None
    skd: SKDConfig | None = None
    ifvd: IFVDConfig | None = None
    cwd: CWDConfig | None = None
    cirkd: CIRKDConfig | None = None
    maskd: MasKDConfig | None = None

    def __iter__(self) -> Iterator[tuple[str, MethodConfig]]:  # type: ignore[override]
        """Those that take part, in a fixed order."""
        for name in type(self).model_fields:
            if (config := getattr(self, name)) is not None:
                yield name, config


class CombinedConfig(MethodConfig):
    """For example CWD's logits beside Af-DCD's contrast:

        {method: combined, terms: {cwd: {kd_weight: 0, feature_weight: 0, adversarial_weight: 0}, afdcd: {}}}

    Most of what is published in combination is a preset of its method: `cwd`, `skd`, `ifvd` and `cirkd`
    come with logits KD, `mgd` with CWD's term for logits. Of different methods, sources hold this last
    one alone; as a preset here, its two parts can be weighed and searched apart.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = {
        f"mgd-cwd-{name}": Preset(preset.source, {"terms": _MGD_AND_CWD})
        for name, preset in MGDConfig.PRESETS.items()
    }

    method: Literal["combined"] = "combined"
    preset: PresetName | None = Field(default=None, exclude=True)
    terms: TermsConfig

    @model_validator(mode="after")
    def _joins(self) -> "CombinedConfig":
        names = [name for name, _ in self.terms]
        if len(names) < 2:
            raise ValueError(
                "terms: at least two methods are joined; name one by itself as `method`"
            )
        if len(players := [name for name, _ in self.terms if self._plays(name)]) > 1:
            raise ValueError(
                f"terms: {' and '.join(players)} would each have a discriminator for the same logits; "
                "set adversarial_weight to 0 in all but one"
            )
        return self

    def _plays(self, name: str) -> bool:
        return bool(getattr(getattr(self.terms, name), "adversarial_weight", 0))

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Nothing of `terms`: a method that is not named takes no part."""
        return {"method": "combined", "preset": None}

    @property
    def tasks(self) -> frozenset[str] | None:
        asked = [config.tasks for _, config in self.terms if config.tasks is not None]
        return frozenset.intersection(*asked) if asked else None

    @property
    def couples_images(self) -> bool:
        return any(config.couples_images for _, config in self.terms)

    @property
    def needs(self) -> Needs:
        found = Needs()
        for _, config in self.terms:
            found |= config.needs
        return found

    @property
    def without(self) -> dict[str, str]:
        return {
            tap: f"terms.{name}.{said}"
            for name, config in self.terms
            for tap, said in config.without.items()
        }

    @property
    def sizes(self) -> tuple[Key, ...]:
        return tuple(("terms", name, *key) for name, config in self.terms for key in config.sizes)

    @property
    def silent(self) -> dict[Key, str]:
        """Of each part: one that teaches nothing is told of, although others do."""
        return {
            ("terms", name, *key): told
            for name, config in self.terms
            for key, told in config.silent.items()
        }

    @property
    def prerequisites(self) -> dict[str, Prerequisite]:
        """Under names as `maskd.tokens`."""
        return {
            f"{name}.{what}": needed
            for name, config in self.terms
            for what, needed in config.prerequisites.items()
        }

    def check(self, pair: PairShapes, crop: tuple[int, int]) -> None:
        for name, config in self.terms:
            try:
                config.check(pair, crop)
            except ValueError as error:
                raise ValueError(f"terms.{name}: {error}") from None

    def notes(self, pair: PairShapes, crop: tuple[int, int]) -> list[str]:
        return [note for _, config in self.terms for note in config.notes(pair, crop)]

    def cost(self, pair: PairShapes, crop: tuple[int, int]) -> Cost:
        found = Cost()
        for _, config in self.terms:
            found += config.cost(pair, crop)
        return found

    def identity(self) -> dict[str, Any]:
        """Without the methods that take no part: those to come change nothing."""
        terms = {name: config.identity() for name, config in self.terms}
        return {"method": self.method, "terms": terms}

    def build(self, pair: PairShapes) -> "Combined":
        from afdcd.distillers.combined import Combined

        return Combined(self, pair)
