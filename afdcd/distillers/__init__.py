"""The distillation methods, chosen by `method`: adding one is adding its config here."""

from typing import Annotated

from pydantic import Field

from afdcd.distillers.afdcd import AfDCDConfig
from afdcd.distillers.base import Distiller, PairShapes
from afdcd.distillers.fd import FDConfig
from afdcd.distillers.kd import KDConfig
from afdcd.distillers.none import NoneConfig

DistillerConfig = Annotated[
    NoneConfig | KDConfig | FDConfig | AfDCDConfig, Field(discriminator="method")
]

__all__ = [
    "AfDCDConfig",
    "Distiller",
    "DistillerConfig",
    "FDConfig",
    "KDConfig",
    "NoneConfig",
    "PairShapes",
]
