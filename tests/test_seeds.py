import random

from afdcd.seeds import derive


def test_is_the_same_in_every_process_and_version() -> None:
    """A changed number would make a resumed run draw others than the run that was killed."""
    assert derive(0, "crop", 3) == 1747200980807013253


def test_every_part_matters_and_parts_do_not_run_together() -> None:
    seeds = [derive(*a) for a in ((0, "a"), (1, "a"), (0, "b"), (0, "a", 1), (0, "a", 1, 2))]
    assert len({*seeds, derive(0, "a", 12), derive(1, 2, 3), derive(12, 3)}) == 8


def test_fits_every_generator() -> None:
    rng = random.Random(0)
    assert all(0 <= derive(rng.getrandbits(40), "x") < 2**63 for _ in range(1000))
