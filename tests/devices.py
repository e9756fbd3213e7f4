"""Where kernels are tested: on the GPU if there is one, else by Triton's interpreter on the CPU."""

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
