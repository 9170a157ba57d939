#!/usr/bin/env bash
# Prints a Python that has torch, transformers and peft: the one given, or that of target/bench/peers, which pip fills once (4 GB).
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=$1 peers=$PWD/target/bench/peers
if "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
  echo "$python"
  exit
fi
if [[ ! -f $peers/whole ]]; then
  echo "Obtaining the peers, once: some minutes, 4 GB." >&2
  "$python" -m venv --clear "$peers"
  # Each in its version, and nothing that they would bring beside them.
  "$peers/bin/pip" install --quiet --no-compile --no-deps --requirement scripts/dev/bench/peers.txt >&2
  touch "$peers/whole"
fi
echo "$peers/bin/python"
