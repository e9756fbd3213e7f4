"""How winycg/CIRKD@2d8ad0f and OSVAI/Af-DCD@5b086a7 spell the parameters of our networks."""

from afdcd.models.config import HeadName

_ENCODER = (
    ("encoder.conv1.0.", "pretrained.conv1."),
    ("encoder.conv1.1.", "pretrained.bn1."),
    ("encoder.conv1.3.", "pretrained.conv2."),
    ("encoder.conv1.4.", "pretrained.bn2."),
    ("encoder.conv1.6.", "pretrained.conv3."),
    ("encoder.bn1.", "pretrained.bn3."),
    ("encoder.layer", "pretrained.layer"),
    ("encoder.features.", "pretrained.net.features."),
)
_HEADS: dict[HeadName, tuple[tuple[str, str], ...]] = {
    "deeplabv3": (
        ("head.aspp.branches.0.", "head.aspp.b0."),
        ("head.aspp.branches.1.", "head.aspp.b1.block."),
        ("head.aspp.branches.2.", "head.aspp.b2.block."),
        ("head.aspp.branches.3.", "head.aspp.b3.block."),
        ("head.aspp.pooled.", "head.aspp.b4.gap."),
        ("head.classifier.", "head.block.4."),
    ),
    "pspnet": tuple((f"head.psp.branches.{i}.", f"head.psp.conv{i + 1}.") for i in range(4)),
    "mlp": (),  # nobody has published weights under these names
}
_AUX = (("aux.classifier.", "auxlayer.block.4."), ("aux.block.", "auxlayer.block."))


def official_name(key: str, head: HeadName) -> str:
    """The published spelling of one key of `SegmentationNetwork.state_dict()`.

    A key without one (of a timm encoder) comes back as it is.
    """
    for ours, theirs in (*_ENCODER, *_HEADS[head], *_AUX):
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def official_backbone_name(key: str) -> str:
    """The spelling of one key of an encoder's state dict in the published `*-imagenet` files."""
    name = official_name(f"encoder.{key}", "deeplabv3")
    return name.removeprefix("encoder.").removeprefix("pretrained.").removeprefix("net.")
