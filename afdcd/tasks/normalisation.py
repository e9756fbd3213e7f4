"""Networks say themselves how their images are normalised; whoever shows them some does so."""

from collections.abc import Callable

from torch import Tensor

from afdcd.config import UserError
from afdcd.data.train.config import NORMALISATIONS, Normalisation
from afdcd.data.train.transforms import renormaliser
from afdcd.models.zoo import SegmentationNetwork


def known(name: str, origin: str) -> Normalisation:
    """A network's normalisation as one of ours.

    Raises:
        UserError: it is none.
    """
    for one in NORMALISATIONS:
        if one == name:
            return one
    names = ", ".join(NORMALISATIONS)
    raise UserError(f"{origin}: normalisation {name!r} is none of {names}")


def for_network(
    network: SegmentationNetwork, shown: Normalisation
) -> Callable[[Tensor], Tensor] | None:
    """What images normalised as `shown` go through for a network that wants them otherwise."""
    if network.normalisation is None:
        return None
    return renormaliser(shown, known(network.normalisation, "the teacher"))
