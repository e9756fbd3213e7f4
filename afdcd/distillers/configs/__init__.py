"""What a search space may say of each method. Nothing here imports torch.

A file is checked, and a wrong key told, in a fraction of a second; what a method computes is in the
module of the same name one folder up, which `build` imports.
"""

from typing import Annotated

from pydantic import Field

from afdcd.distillers.configs.afdcd import AfDCDConfig
from afdcd.distillers.configs.fd import FDConfig
from afdcd.distillers.configs.kd import KDConfig
from afdcd.distillers.configs.none import NoneConfig
from afdcd.distillers.configs.shapes import PairShapes

DistillerConfig = Annotated[
    NoneConfig | KDConfig | FDConfig | AfDCDConfig, Field(discriminator="method")
]

__all__ = ["AfDCDConfig", "DistillerConfig", "FDConfig", "KDConfig", "NoneConfig", "PairShapes"]
