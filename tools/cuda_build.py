"""Exit code 0 where the installed PyTorch is a CUDA build that needs NVIDIA's packages, 1 where it is not."""

import sys
from importlib.metadata import requires

sys.exit(0 if any(name.startswith(("nvidia-", "cuda-")) for name in requires("torch") or []) else 1)
