"""What a search space may say of each method. Nothing here imports torch.

A file is checked, and a wrong key told, in a fraction of a second; what a method computes is in the
module of the same name one folder up, which `build` imports.
"""

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from afdcd.distillers.configs.afdcd import AfDCDConfig
from afdcd.distillers.configs.cirkd import CIRKDConfig
from afdcd.distillers.configs.combined import CombinedConfig
from afdcd.distillers.configs.cwd import CWDConfig
from afdcd.distillers.configs.ifvd import IFVDConfig
from afdcd.distillers.configs.kd import KDConfig
from afdcd.distillers.configs.maskd import MasKDConfig, MasKDTokensConfig
from afdcd.distillers.configs.method import MethodConfig, Prerequisite
from afdcd.distillers.configs.mgd import MGDConfig
from afdcd.distillers.configs.none import NoneConfig
from afdcd.distillers.configs.shapes import Needs, PairShapes
from afdcd.distillers.configs.skd import SKDConfig

EARLIER = {"fd": "mgd"}  # names that methods had, still read


def in_present_names(values: Any) -> Any:
    """A method's settings under the name that the method has now."""
    if isinstance(values, dict) and values.get("method") in EARLIER:
        return {**values, "method": EARLIER[values["method"]]}
    return values


# Here a new method joins.
DistillerConfig = Annotated[
    NoneConfig
    | KDConfig
    | MGDConfig
    | AfDCDConfig
    | SKDConfig
    | IFVDConfig
    | CWDConfig
    | CIRKDConfig
    | MasKDConfig
    | MasKDTokensConfig
    | CombinedConfig,
    Field(discriminator="method"),
    BeforeValidator(in_present_names),
]
METHODS: dict[str, type[MethodConfig]] = {
    config.model_fields["method"].default: config
    for config in get_args(get_args(DistillerConfig)[0])
}

__all__ = [
    "METHODS",
    "AfDCDConfig",
    "CIRKDConfig",
    "CWDConfig",
    "CombinedConfig",
    "DistillerConfig",
    "IFVDConfig",
    "KDConfig",
    "MGDConfig",
    "MasKDConfig",
    "MasKDTokensConfig",
    "MethodConfig",
    "Needs",
    "NoneConfig",
    "PairShapes",
    "Prerequisite",
    "SKDConfig",
    "in_present_names",
]
