#!/usr/bin/env bash
# Our side beside the peers': `scripts/bench/run.sh AFFINE [SUITE...]`, from `make bench`.
#
# The peers go into target/bench with pip, once, unless PYTHON names one that has torch, transformers and peft already; what such
# a Python has not of TRL is put beside it. ROUNDS (5) and THREADS (1) change what is run.
set -euo pipefail
cd "$(dirname "$0")/../.."
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
  if ! "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    if [[ ! -f $out/peers/whole ]]; then
      echo "Obtaining the peers, once: some minutes, 4 GB."
      "$python" -m venv --clear "$out/peers"
      # All that libtorch_python.so names as load-time libraries, and no more: without triton and NVTX.
      "$out/peers/bin/pip" install --quiet --no-compile --no-deps torch==2.11.0 nvidia-cuda-runtime==13.0.96 \
        nvidia-cuda-cupti==13.0.85 'nvidia-cublas==13.1.0.3.*' nvidia-cudnn-cu13==9.19.0.56 'nvidia-cufft==12.0.0.61.*' \
        'nvidia-cufile==1.15.1.6.*' 'nvidia-curand==10.4.0.35.*' 'nvidia-cusparse==12.6.3.3.*' \
        nvidia-cusparselt-cu13==0.8.0 nvidia-nccl-cu13==2.28.9 nvidia-nvshmem-cu13==3.4.5 'nvidia-nvjitlink==13.0.88.*' \
        'nvidia-cusolver==12.0.4.66.*' 'nvidia-cuda-nvrtc==13.0.88.*'
      "$out/peers/bin/pip" install --quiet --no-compile --no-deps transformers==5.23.0 peft==0.21.2 trl==1.16.0 \
        accelerate==1.15.0 tokenizers==0.23.3 safetensors==0.8.0 huggingface_hub==2.4.0 datasets==5.2.0
      "$out/peers/bin/pip" install --quiet --no-compile numpy==2.4.6 sympy networkx jinja2 filelock fsspec typing_extensions \
        pyyaml regex packaging tqdm requests psutil httpx typer hf_xet 'pyarrow>=24' pandas 'dill<0.4.2' 'multiprocess<0.70.20' \
        xxhash
      touch "$out/peers/whole"
    fi
    python=$out/peers/bin/python
  fi
  if ! "$python" -c 'import trl, datasets' 2>/dev/null; then
    target "$out/trl" trl==1.16.0 datasets==5.2.0 'pyarrow>=24' pandas dill multiprocess xxhash python-dateutil six
    export PYTHONPATH=$out/trl/site-packages${PYTHONPATH:+:$PYTHONPATH}
  fi
  # The last trl that has PPO.
  target "$out/trl-ppo" trl==1.12.0
  "$python" scripts/bench/compare.py "$affine" "$out" "${compared[@]}" --trl-ppo "$out/trl-ppo/site-packages" \
    --rounds "${ROUNDS:-5}" --threads "${THREADS:-1}" --verbose
fi

if [[ -n $quantized ]]; then
  model=$out/models/mid-bfloat16
  [[ -d $model ]] || "$python" scripts/bench/make_model.py --preset mid --dtype bf16 --out "$model"
  OMP_NUM_THREADS=${THREADS:-1} OMP_WAIT_POLICY=passive "$affine" scripts/bench/quantized.lua "$model" "${ROUNDS:-5}"
fi
if [[ -n $growth ]]; then
  OMP_NUM_THREADS=${THREADS:-1} "$affine" scripts/bench/growth.lua
fi
