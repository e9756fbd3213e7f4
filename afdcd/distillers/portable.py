"""The same loss in official and in portable weights: how to carry settings from one to the other.

    config = validate(AfDCDConfig, {"preset": "cityscapes-deeplabv3-mobilenetv2"})
    pair = PairShapes({"encoder": (Tap(320, 8), Tap(2048, 8))}, classes=19)
    portable(config, pair, (64, 128))

gives settings whose terms are equal on 64x128 maps, and on maps or widths of another size are what
those settings mean there. What is normalised, and how far that holds: docs/methods.md.
"""

from typing import TypeVar

from afdcd.distillers.configs import AfDCDConfig, MGDConfig, PairShapes
from afdcd.distillers.configs.shapes import ENCODER

ConfigT = TypeVar("ConfigT", AfDCDConfig, MGDConfig)


def portable(config: ConfigT, pair: PairShapes, feature_hw: tuple[int, int]) -> ConfigT:
    """`config` with portable weights; equal terms on the teacher's maps of `feature_hw`."""
    if config.weights == "portable":
        return config
    return _rescaled(config.updated(weights="portable"), pair, feature_hw, 1)


def official(config: ConfigT, pair: PairShapes, feature_hw: tuple[int, int]) -> ConfigT:
    """`config` with official weights; equal terms on the teacher's maps of `feature_hw`."""
    if config.weights == "official":
        return config
    return _rescaled(config, pair, feature_hw, -1).updated(weights="official")


def _rescaled(config: ConfigT, pair: PairShapes, feature_hw: tuple[int, int], sign: int) -> ConfigT:
    channels = pair.channels(ENCODER)[1]
    config = config.updated(
        fd_weight=config.fd_weight * config.fd_unit(channels, *feature_hw) ** sign
    )
    if isinstance(config, MGDConfig):
        return config
    tau_unit, value_unit = config.contrast_units(channels, *feature_hw)
    return config.updated(
        tau=config.tau / tau_unit**sign,
        contrast_weight=config.contrast_weight * value_unit**sign,
    )
