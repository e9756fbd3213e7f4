"""MGD's feature term: the error of the teacher's last stage, rebuilt from a masked student's.

Source: Yang et al. 2022, ECCV, arXiv:2205.01529, sec. 3; yzd-v/MGD@2c9da0b
`mmseg/distillation/losses/mgd.py`, whose numbers tests/distillers/test_mgd.py holds this to.
"""

from afdcd.distillers.masked import MaskedMethod


class MGD(MaskedMethod):
    """Logits KD and the reconstruction error."""
