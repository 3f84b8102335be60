"""Loaded into a worker by Dask (`--preload`): it has another version of what DIFFERING names, or lacks it."""

import os
import platform
import sys

import torch

from minidl_cli.sweeps.cluster import legs

match os.environ["DIFFERING"]:
    case "minidl":
        legs.__version__ = "0.0.9"
    case "PyTorch":
        torch.__version__ = "2.99.0"
    case "Python":
        platform.python_version_tuple = lambda: ("3", "99", "1")
    case "all":
        sys.modules["minidl_cli.sweeps.cluster.legs"] = None
