"""The splits of a data set, and the roles that a protocol gives to their rows."""

from typing import Literal, get_args

Split = Literal["train", "val", "test", "unlabelled"]
Role = Literal["train", "val", "test"]
Protocol = Literal["official", "dev"]
SPLITS: tuple[Split, ...] = get_args(Role)
UNLABELLED: Split = "unlabelled"  # pictures that nobody labelled: they train by distillation alone
ALL_SPLITS: tuple[Split, ...] = get_args(Split)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


def no_report(protocol: str) -> str:
    """What a person reads where a protocol leaves no labelled rows to report on."""
    return (
        f"protocol {protocol}: val selects and no labelled split is left to report; "
        "use protocol dev"
    )
