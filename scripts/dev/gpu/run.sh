#!/usr/bin/env bash
# On the GPU machine, in the folder that `make gpu-check` filled: `./run.sh [PYTHON [PART...]]`, parts `check model decode train
# table`, all of them unless said. PYTHON has torch 2.11.0 with CUDA, whose libraries affine then uses, and transformers and peft, which
# decode and train beside affine. Every part ends in minutes where ROUNDS=1; `results` gathers the lines of all calls, so a
# machine that is lent for ten minutes at a time is asked several times, and `table` shows what there is.
#
# DEVICE=cpu MODEL=parity/model-tiny LENGTHS=64 tries all of it without a GPU.
set -euo pipefail
cd "$(dirname "$0")"
python=${1:-python3}
parts=("${@:2}")
((${#parts[@]})) || parts=(check model decode train table)
rounds=${ROUNDS:-3} device=${DEVICE:-cuda} model=${MODEL:-4b} lengths=${LENGTHS:-2048,16384} results=${RESULTS:-results}
mkdir -p "$results"

lib=$("$python" -c 'import os, torch; assert torch.__version__.startswith("2.11.0"), torch.__version__; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
# The CUDA libraries of pip lie in folders of their own.
cuda=$("$python" -c 'import glob, os, torch; print(":".join(glob.glob(os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "nvidia", "*", "lib"))))')
affine=(env "LD_LIBRARY_PATH=$lib:$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ./affine)
failed=0

check() {
  "${affine[@]}" check.lua parity "$device"
}

# Of random weights, 8 GB.
model() {
  [[ ! -d $model ]] || return 0
  "$python" make_model.py --preset 4b --dtype bf16 --out "$model.part"
  mv "$model.part" "$model"
}

# Appends what a command prints to a file of results. One that hangs or dies leaves the others their turn.
measure() {
  local file=$results/$1.jsonl
  shift
  timeout 300 "$@" | tee -a "$file" || { echo "FAILED: $*" >&2; failed=1; }
}

ours_decode() { measure affine-decode "${affine[@]}" bench.lua "$model" "$device"; }
ours_train() {
  local length checkpointing
  for length in ${lengths//,/ }; do
    for checkpointing in checkpointing ""; do
      measure affine-train "${affine[@]}" train.lua "$model" "$device" "$length" $checkpointing
    done
  done
}
peers_decode() { measure peer-decode "$python" peer.py decode "$model" "$device"; }
peers_train() { measure peer-train "$python" peer.py train "$model" "$device" "$lengths"; }

# Sides take turns, in reversed order every other round, so that a card's slow drift hits both.
beside() {
  local round
  for ((round = 1; round <= rounds; round++)); do
    if ((round % 2)); then "ours_$1"; "peers_$1"; else "peers_$1"; "ours_$1"; fi
  done
}
decode() { beside decode; }
train() { beside train; }
table() { "$python" table.py "$model" "$results"/*.jsonl | tee "$results/table.md"; }

if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | tee "$results/card.txt"
fi
for part in "${parts[@]}"; do
  case $part in
    check | model | decode | train | table) "$part" ;;
    *) echo "There is no part \`$part\`: check, model, decode, train, table." >&2; exit 2 ;;
  esac
done
exit $failed
