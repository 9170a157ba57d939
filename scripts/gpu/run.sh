#!/usr/bin/env bash
# On the GPU machine, in the folder that `make gpu-check` filled: `./run.sh [PYTHON]`. PYTHON has torch 2.11.0 with CUDA, whose
# libraries affine then uses. The numbers are affine's alone: scripts/bench/ measures the peers.
set -euo pipefail
cd "$(dirname "$0")"
python=${1:-python3}
lib=$("$python" -c 'import os, torch; assert torch.__version__.startswith("2.11.0"), torch.__version__; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
# The CUDA libraries of pip lie in folders of their own.
cuda=$("$python" -c 'import glob, os, torch; print(":".join(glob.glob(os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "nvidia", "*", "lib"))))')
export LD_LIBRARY_PATH=$lib:$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader

./affine check.lua parity cuda
[[ -d 4b ]] || "$python" make_model.py --preset 4b --dtype bf16 --out 4b
./affine bench.lua 4b cuda
