"""For all tests: no network, few threads."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import torch

# Models here are so small that a second thread costs more than it gives.
torch.set_num_threads(1)
