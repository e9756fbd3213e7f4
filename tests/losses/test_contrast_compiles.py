"""Kernels compile for an H100 where there is no GPU: the interpreter takes what a compiler refuses.

Run by itself (`python -m tests.losses.test_contrast_compiles`), without the interpreter, it compiles.
"""

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import torch

WHERE = {"high": 4, "wide": 4, "n": 64, "d": 24, "size": 64}
TILE = {"pixels": 16, "depth": 24, "tile": 64, "unroll": 8, "other_groups": True, "capacity": 64}
USUAL = WHERE | TILE | {"block": 16, "channels": 32}
RAGGED = USUAL | {"n": 60, "d": 20, "other_groups": False}
POINTERS = {"source": "*bf16", "slope": "*bf16", "counts": "*i32", "listed": "*i32"}
POINTERS |= dict.fromkeys(("tokens", "sums", "excess", "positive", "logits"), "*fp32")
# Features as they come, or copied to scratch.
INPUTS = {"compare": "*fp32", "slope_of_all": "*fp32", "slope_of_listed": "*bf16", "pack": "*bf16"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="the other tests compile for the real GPU")
def test_compile_for_an_h100() -> None:
    pytest.importorskip("triton")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.losses.test_contrast_compiles"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*INPUTS, *INPUTS, "compare"]


def _compile(name: str, values: dict[str, int]) -> str:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from afdcd.kernels import contrast, contrast_slope

    kernel = getattr(contrast_slope if name.startswith("slope") else contrast, name)
    types = POINTERS | {"student": INPUTS[name], "teacher": INPUTS[name]}
    types |= {"scale": "fp32", "visible": "fp32"} | dict.fromkeys(values, "constexpr")
    names: list[str] = kernel.arg_names
    signature = {x: types.get(x, "i32") for x in names}
    constants = {x: values[x] for x in names if x in values}
    aligned: Any = {(k,): [["tt.divisibility", 16]] for k, x in enumerate(names) if x in POINTERS}
    source = ASTSource(kernel, signature, constants, aligned)
    return compile(source, target=GPUTarget("cuda", 90, 32), options={"num_stages": 1}).asm["ttgir"]


def _check() -> None:
    variants = [(name, values) for values in (USUAL, RAGGED) for name in INPUTS]
    for name, values in [*variants, ("compare", USUAL | {"capacity": 0})]:
        code = _compile(name, values)
        # One load for four tokens, which is what the product of zeros in `distances` is for.
        if name == "compare" and not re.search(r"sizePerThread = \[4, 4\]", code):
            raise SystemExit("the tile of distances is not laid out in squares of 4x4")
        print(name)


if __name__ == "__main__":
    _check()
