#!/usr/bin/env bash
# Everything that Python is the reference for, on fresh inputs: `scripts/dev/peer/run.sh AFFINE [CHECK...]`, from `make peer-check`.
#
# Installs the originals with pip into folders below target/peer (and 4 GB for `adapters`, `shards` and `card_use` into target/bench/peers, unless
# PYTHON has torch, transformers and peft). AGENTGYM and WEBSHOP may name clones of the originals'
# repositories, which are no packages; with them their text wrappers and pages are compared too.
set -euo pipefail
cd "$(dirname "$0")/../../.."
affine=$1 python=${PYTHON:-python3} out=$PWD/target/peer
checks=(${@:2})
mkdir -p "$out"
seed=$((RANDOM * 1000))

wanted() { [[ ${#checks[@]} == 0 || " ${checks[*]} " == *" $1 "* ]] && echo "--- $1"; }
# venv NAME PIP-ARGUMENTS...: a virtual environment, made once.
venv() {
  [[ -f $out/$1/whole ]] && return
  "$python" -m venv "$out/$1"
  "$out/$1/bin/pip" install --quiet "${@:2}"
  touch "$out/$1/whole"
}
peer_test() { cargo test --release --locked --test tests -- --ignored --nocapture "$@"; }

if wanted programs; then
  AFFINE_PEER_PROGRAMS=$out/programs peer_test programs_are_written_for_the_peer
  "$python" scripts/dev/peer/programs.py --run 20 "$out"/programs/{train,validation,test}.jsonl
fi

if wanted textcraft; then "$python" scripts/dev/peer/textcraft.py "$affine"; fi
if wanted agentgym; then "$python" scripts/dev/peer/agentgym_client.py "$affine"; fi

if wanted adapters; then "$(scripts/dev/bench/peers.sh "$python")" scripts/dev/peer/adapters.py "$affine"; fi
if wanted shards; then "$(scripts/dev/bench/peers.sh "$python")" scripts/dev/peer/shards.py "$affine"; fi

if wanted trackers; then
  venv trackers wandb==0.31.0 tensorboard==2.21.0 tensorboardX==2.6.5 numpy==2.4.6
  "$out/trackers/bin/python" scripts/dev/peer/trackers.py "$affine" --seed "$seed"
fi

if wanted sweep; then
  venv optuna optuna==5.0.0 optuna-dashboard==0.21.0 scipy==1.17.1 numpy==2.4.6
  "$out/optuna/bin/python" scripts/dev/peer/sweep.py "$affine"
fi

if wanted card; then
  venv hub huggingface_hub==2.4.0
  "$out/hub/bin/python" scripts/dev/peer/card.py "$affine" "$seed"
fi
if wanted hub; then
  venv hub huggingface_hub==2.4.0
  # Built before the clock starts.
  cargo test --release --locked --test tests --no-run
  served=$out/hub-server
  rm -rf "$served" && mkdir -p "$served"
  AFFINE_PEER_HUB=$served peer_test a_hub_is_served_for_the_peer &
  "$out/hub/bin/python" scripts/dev/peer/hub.py "$affine" "$served" || { touch "$served/stop"; exit 1; }
  touch "$served/stop"
  wait
fi
if wanted card_use; then "$(scripts/dev/bench/peers.sh "$python")" scripts/dev/peer/card_use.py "$affine"; fi

if wanted babyai; then
  venv minigrid minigrid==3.2.0 numpy==2.4.6 gymnasium==1.4.0 pygame-ce==2.5.8
  games=$out/babyai.jsonl
  "$out/minigrid/bin/python" scripts/dev/peer/babyai.py "$games" --seeds "$seed:$((seed + 5))"
  AFFINE_PEER_BABYAI=$games peer_test recorded_by_the_peer
  if [[ -n ${AGENTGYM:-} ]]; then
    "$out/minigrid/bin/python" scripts/dev/peer/babyai.py "$games" --seeds "$seed:$((seed + 3))" --agentgym "$AGENTGYM/agentenv-babyai"
    AFFINE_PEER_BABYAI=$games peer_test recorded_by_the_peer
  fi
fi

if wanted alfworld; then
  # Each in its version, and nothing that they would bring beside them.
  venv alfworld --no-deps --requirement scripts/dev/peer/alfworld.txt
  games=$out/alfworld-games
  rm -rf "$games"
  "$out/alfworld/bin/python" scripts/dev/peer/alfworld.py texts "$games"
  AFFINE_PEER_ALFWORLD_GAMES=$games peer_test games_for_the_peer_check
  "$out/alfworld/bin/python" scripts/dev/peer/alfworld.py play "$games"
  AFFINE_PEER_ALFWORLD=$games/walks.jsonl peer_test walks_of_the_real_engine
fi

if wanted webshop; then
  venv webshop thefuzz==0.22.1 rapidfuzz==3.14.6 pyjnius==1.9.0 flask==3.1.3 beautifulsoup4==4.15.0 tqdm==4.70.1 numpy==2.4.6
  jar=$out/pyserini/resources/jars/anserini-0.14.3-fatjar.jar
  if [[ ! -f $jar ]]; then
    "$out/webshop/bin/pip" download --quiet --no-deps --dest "$out" pyserini==0.17.0
    "$python" -m zipfile -e "$out"/pyserini-0.17.0-*.whl "$out"
  fi
  AFFINE_PEER_WEBSHOP_CATALOGUE=$out/shop peer_test the_catalogue_is_written_for_the_peer
  "$out/webshop/bin/python" scripts/dev/peer/webshop.py --catalogue "$out/shop" --jar "$jar" --out "$out/webshop.jsonl" \
    ${WEBSHOP:+--original "$WEBSHOP"}
  AFFINE_PEER_WEBSHOP=$out/webshop.jsonl peer_test webshop_agrees_with_the_peer
fi

if wanted sciworld; then
  jar=$out/scienceworld/scienceworld/scienceworld.jar
  [[ -f $jar ]] || "$python" -m pip install --quiet --target "$out/scienceworld" scienceworld==1.2.3 py4j==0.10.9.9
  SCIENCEWORLD_JAR=$jar PYTHONPATH=$out/scienceworld "$python" scripts/dev/peer/sciworld.py "$affine" "$out/sciworld.jsonl"
  AFFINE_PEER_SCIWORLD=$out/sciworld.jsonl SCIENCEWORLD_JAR=$jar peer_test fresh_walks
fi
