"""What a prerequisite's run leaves: the state of its distiller, and what it was learnt from."""

import json
import tempfile
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from afdcd import storage
from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.models.tensors import read_tensors
from afdcd.training.job import Job

KEY = "afdcd.prepared"


class Card(FrozenConfig):
    """What the file says of itself.

    Attributes:
        fingerprint: of the run: its settings, the teacher's sha256, the data, the seed.
    """

    method: str
    fingerprint: str


def save_prepared(job: Job, distiller: nn.Module, place: str) -> None:
    """Write the distiller's state as one safetensors file at `place`, a path or URI."""
    card = Card(method=job.config.distiller.method, fingerprint=job.identity)
    tensors = {
        key: value.detach().cpu().contiguous() for key, value in distiller.state_dict().items()
    }
    storage.write_bytes(place, save(tensors, metadata={KEY: json.dumps(card.plain())}))


def load_prepared(uri: str) -> tuple[dict[str, Tensor], Card]:
    """The tensors and the card of such a file.

    Raises:
        UserError: missing, cut short, or another kind of file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.safetensors"
        path.write_bytes(storage.read_bytes(uri))
        tensors, metadata = read_tensors(path)
    try:
        values = json.loads(metadata[KEY])
    except (KeyError, ValueError):
        raise UserError(f"{uri}: holds no result of a prerequisite's run") from None
    return tensors, validate(Card, values, Source(name=uri))
