"""What training programs put before every name in a state dict."""

from torch import Tensor

from afdcd.models.checkpoints.choice import BESIDE, EMA, ROLES, Choice, Unwrapped

PREFIXES = EMA | {"module", "_orig_mod", "model", "net", "network", "online_model"} | ROLES


def without_prefixes(
    tensors: dict[str, Tensor], choice: Choice, taken: Unwrapped
) -> dict[str, Tensor]:
    while True:
        tensors = _of_flat_average(tensors, choice, taken)
        tops = {key.partition(".")[0] for key in tensors}
        wrappers = tops & PREFIXES
        beside = {top for top in tops - wrappers if BESIDE.fullmatch(top)}
        if not wrappers or tops - wrappers - beside or wrappers & tensors.keys():
            return _without_inner_compile(tensors, taken)
        name = choice.among(wrappers, {}, taken)
        taken.removed.append(f"prefix {name + '.'!r}")
        taken.left_out += sorted(f"{top}.*" for top in tops - {name})
        tensors = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if _under(k, name)}


def _under(key: str, prefix: str) -> bool:
    return key.startswith(f"{prefix}.")


def _without_inner_compile(tensors: dict[str, Tensor], taken: Unwrapped) -> dict[str, Tensor]:
    """A part of a network that was compiled has the prefix within."""
    if not any("._orig_mod." in key for key in tensors):
        return tensors
    taken.removed.append("'_orig_mod.' within names")
    return {key.replace("._orig_mod.", "."): value for key, value in tensors.items()}


def _of_flat_average(
    tensors: dict[str, Tensor], choice: Choice, taken: Unwrapped
) -> dict[str, Tensor]:
    """One of two sets of keys, of which one begins with `ema_`; mmcv writes `_` there for each dot."""
    averaged = {k for k in tensors if k.startswith("ema_") and k.partition(".")[0] not in EMA}
    raw = {key: value for key, value in tensors.items() if key not in averaged}
    if not averaged or not raw:
        return tensors
    names = {f"ema_{key.replace('.', '_')}": key for key in raw} | {f"ema_{k}": k for k in raw}
    if not averaged <= names.keys():
        return tensors
    if choice.weights == "raw":
        taken.notes.append("raw taken; the keys that begin with 'ema_' left out: --weights ema")
        return raw
    taken.notes.append(
        "ema (keys that begin with 'ema_') taken, the rest from the raw weights: --weights raw; "
        "mmcv swaps the two around a validation: score both"
    )
    return raw | {names[key]: tensors[key] for key in averaged}
