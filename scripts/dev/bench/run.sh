#!/usr/bin/env bash
# Our side beside the peers': `scripts/dev/bench/run.sh AFFINE [SUITE...]`, from `make bench`.
#
# The peers go into target/bench with pip, once, unless PYTHON names one that has torch, transformers and peft already; what such
# a Python has not of TRL is put beside it. ROUNDS (5) and THREADS (1) change what is run.
set -euo pipefail
cd "$(dirname "$0")/../../.."
affine=$1 python=${PYTHON:-python3} out=$PWD/target/bench
suites=(${@:2})
[[ ${#suites[@]} -gt 0 ]] || suites=(sft-tiny sft-small sft-mid decode-small decode-mid mixed ppo-small growth)
mkdir -p "$out"

compared=() growth= quantized=
for suite in "${suites[@]}"; do
  case $suite in
    growth) growth=1 ;;
    quantized) quantized=1 ;;
    *) compared+=("$suite") ;;
  esac
done

# target FOLDER PIP-ARGUMENTS...: packages in a folder of their own, made once. The folder is named site-packages, by which dill
# knows that what is in it can be imported.
target() {
  [[ -f $1/whole ]] && return
  echo "Obtaining ${*:2}."
  rm -rf "$1"
  "$python" -m pip install --quiet --no-compile --no-deps --target "$1/site-packages" "${@:2}"
  touch "$1/whole"
}

if [[ ${#compared[@]} -gt 0 ]]; then
  python=$(scripts/dev/bench/peers.sh "$python")
  if ! "$python" -c 'import trl, datasets' 2>/dev/null; then
    mapfile -t beside < <(grep -E '^(trl|datasets|pyarrow|pandas|dill|multiprocess|xxhash|python-dateutil|tzdata)==' scripts/dev/bench/peers.txt)
    target "$out/trl" "${beside[@]}"
    export PYTHONPATH=$out/trl/site-packages${PYTHONPATH:+:$PYTHONPATH}
  fi
  # The last trl that has PPO.
  target "$out/trl-ppo" trl==1.12.0
  "$python" scripts/dev/bench/compare.py "$affine" "$out" "${compared[@]}" --trl-ppo "$out/trl-ppo/site-packages" \
    --rounds "${ROUNDS:-5}" --threads "${THREADS:-1}" --verbose
fi

if [[ -n $quantized ]]; then
  model=$out/models/mid-bfloat16
  [[ -d $model ]] || "$(scripts/dev/bench/peers.sh "$python")" scripts/dev/bench/make_model.py --preset mid --dtype bf16 --out "$model"
  OMP_NUM_THREADS=${THREADS:-1} OMP_WAIT_POLICY=passive "$affine" scripts/dev/bench/quantized.lua "$model" "${ROUNDS:-5}"
fi
if [[ -n $growth ]]; then
  OMP_NUM_THREADS=${THREADS:-1} "$affine" scripts/dev/bench/growth.lua
fi
