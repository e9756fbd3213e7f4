"""Shapes in the signatures of losses and distillers are checked in tests, and only there."""

import torch
from jaxtyping import install_import_hook

install_import_hook(["afdcd.losses", "afdcd.distillers"], "beartype.beartype")

torch.set_num_threads(1)
