"""Python's huggingface_hub and affine on the same Hub and in the same cache: each finds what the other left, byte for byte.

    AFFINE_PEER_HUB=FOLDER cargo test --release --locked --test tests -- --ignored a_hub_is_served_for_the_peer &
    python hub.py AFFINE FOLDER [--gigabytes 1]

Wants huggingface_hub==2.4.0. Prints how long a large file takes each of them, up and down, and how much memory.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("affine")
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--gigabytes", type=float, default=1.0)
arguments = parser.parse_args()

for _ in range(600):
    if (arguments.folder / "hub.json").exists():
        break
    time.sleep(1)
reach = json.loads((arguments.folder / "hub.json").read_text())
work = pathlib.Path(tempfile.mkdtemp(prefix="hub-", dir=arguments.folder))


def environment(home, server="plain", **more):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}
    own = {"HF_HOME": str(home), "HF_ENDPOINT": reach[server], "HF_TOKEN": reach["token"]}
    return kept | own | {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | more


def affine(home, *words, server="plain", **more):
    done = subprocess.run([arguments.affine, *words], env=environment(home, server, **more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert reach["token"] not in done.stdout + done.stderr
    return done.stdout


def python(home, code, *words, server="plain", **more):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=environment(home, server, **more), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def model(folder, seed):
    """Files as a model has them, its weights random."""
    source = pathlib.Path(__file__).resolve().parents[3] / "tests/golden/parity/model-tiny"
    shutil.copytree(source, folder)
    (folder / "model.safetensors").write_bytes(random.Random(seed).randbytes(3_000_000))
    front = "license: apache-2.0\nbase_model: acme/base\ntags:\n- affine\nmodel-index:\n- name: tiny\n  results:\n  - task:\n      type: text-generation\n    dataset:\n      name: sat\n      type: sat\n    metrics:\n    - type: mean_score\n      value: 0.5\n"
    (folder / "README.md").write_text(f"---\n{front}---\n# Tiny\n")
    return folder


UP = """
import sys
from huggingface_hub import HfApi
folder, repo = sys.argv[1:]
HfApi().create_repo(repo, exist_ok=True)
print(HfApi().upload_folder(folder_path=folder, repo_id=repo).oid)
"""
DOWN = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], revision=sys.argv[2] if len(sys.argv) > 2 else None))
"""
TREE = """
import json, sys
from huggingface_hub import HfApi, ModelCard
repo = sys.argv[1]
files = {entry.path: [entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id] for entry in HfApi().list_repo_tree(repo, recursive=True)}
card = ModelCard.load(repo).data
results = [[result.dataset_type, result.metric_type, result.metric_value] for result in card.eval_results]
print(json.dumps({"files": files, "license": card.license, "base": card.base_model, "results": results, "sha": HfApi().model_info(repo).sha}))
"""
SCAN = """
from huggingface_hub import scan_cache_dir
cache = scan_cache_dir()
assert not cache.warnings, cache.warnings
print(sum(len(revision.files) for repo in cache.repos for revision in repo.revisions))
"""


def check_repository(folder, repo, server):
    """What Python sees of a repository is what is in the folder."""
    told = json.loads(python(work / "reader", TREE, repo, server=server))
    for name, content in contents(folder).items():
        size, digest = told["files"][name]
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        assert size == len(content) and digest in (git, hashlib.sha256(content).hexdigest()), name
        assert (len(digest) == 64) == name.endswith(".safetensors"), name
    assert set(told["files"]) == {*contents(folder), ".gitattributes"}, told["files"].keys()
    assert (told["license"], told["base"], told["results"]) == ("apache-2.0", "acme/base", [["sat", "mean_score", 0.5]])
    return told["sha"]


for server in ("plain", "xet"):
    ours, theirs = model(work / f"ours-{server}", 1), model(work / f"theirs-{server}", 2)
    affine(work / "a", "hub", "upload", str(ours), "acme/ours", server=server)
    python(work / "p", UP, theirs, "acme/theirs", server=server)
    commits = {repo: check_repository(folder, repo, server) for folder, repo in ((ours, "acme/ours"), (theirs, "acme/theirs"))}
    # What Python put there is unchanged to affine, and the other way.
    assert "nothing was sent" not in affine(work / "a", "hub", "upload", str(theirs), "acme/theirs", server=server)
    assert python(work / "p", UP, ours, "acme/ours", server=server).strip() == commits["acme/ours"]
    assert check_repository(theirs, "acme/theirs", server) == commits["acme/theirs"]
    print(f"{server}: both clients see the same files, hashes and card of what either uploaded")

    # One cache: what one downloads the other finds, without asking.
    for repo, folder in (("acme/ours", ours), ("acme/theirs", theirs)):
        first, second = work / f"first-{server}-{folder.name}", work / f"second-{server}-{folder.name}"
        affine(first, "hub", "download", repo, "--file", "*", server=server)
        found = python(first, DOWN, repo, server=server, HF_HUB_OFFLINE="1").strip()
        python(second, DOWN, repo, server=server)
        also = affine(second, "hub", "download", repo, "--file", "*", server=server, HF_HUB_OFFLINE="1").strip()
        wanted = contents(folder)
        for place in (found, also):
            there = contents(pathlib.Path(place))
            there.pop(".gitattributes")
            assert there == wanted
        layout = [sorted(str(path.relative_to(home / "hub")) for path in (home / "hub").rglob("*") if "CACHEDIR" not in path.name and ".gitignore" not in path.name and "version" not in path.name) for home in (first, second)]
        names = [{name for name in side if "/blobs/" in name or "/snapshots/" in name or "/refs/" in name} for side in layout]
        assert names[0] == names[1], names[0] ^ names[1]
        for home in (first, second):
            assert int(python(home, SCAN)) == len(wanted) + 1
    print(f"{server}: each finds in its cache what the other downloaded, offline; blobs, snapshots and refs are called the same")

    # All at once, into one cache.
    shared = work / f"shared-{server}"
    running = []
    for index in range(6):
        words = [arguments.affine, "hub", "download", "acme/ours", "--file", "*"] if index % 2 else [sys.executable, "-c", DOWN, "acme/ours"]
        running.append(subprocess.Popen(words, env=environment(shared, server), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    for process in running:
        _, problem = process.communicate()
        assert process.returncode == 0, problem
    place = affine(shared, "hub", "download", "acme/ours", "--file", "*", server=server, HF_HUB_OFFLINE="1").strip()
    there = contents(pathlib.Path(place))
    there.pop(".gitattributes")
    assert there == contents(ours)
    print(f"{server}: three processes of each kind at once leave one whole cache")

# Speed, on loopback. -------------------------------------------------------------------------------------------------


def measured(words, home, server):
    """The command under a small program that tells how much memory it took."""
    code = "import resource, subprocess, sys; c = subprocess.run(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(c.returncode)"
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], env=environment(home, server), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - begun, int(done.stdout.split()[-1]) / 1000


size = int(arguments.gigabytes * 1e9)
print(f"\n{size / 1e9:g} GB of random bytes, on loopback; seconds and MB of memory")
print(f"{'':22}{'affine':>18}{'huggingface_hub':>22}{'ratio':>10}")
rounds = []
for turn in range(2):
    for server in ("xet", "plain"):
        sides = {}
        for side in ("affine", "python"):
            folder = model(work / f"large-{server}-{side}-{turn}", 3)
            with open(folder / "model.safetensors", "wb") as file:
                source = random.Random(f"{server}{side}{turn}")
                for _ in range(size // 10_000_000):
                    file.write(source.randbytes(10_000_000))
            repo, home = f"acme/large-{side}-{turn}", work / f"home-{server}-{side}-{turn}"
            up = [arguments.affine, "hub", "upload", folder, repo] if side == "affine" else [sys.executable, "-c", UP, folder, repo]
            down = [arguments.affine, "hub", "download", repo, "--file", "*"] if side == "affine" else [sys.executable, "-c", DOWN, repo]
            sides[side] = measured(up, home, server), measured(down, work / f"fresh-{home.name}", server)
            shutil.rmtree(work / f"fresh-{home.name}")
            shutil.rmtree(folder)
            shutil.rmtree(home, ignore_errors=True)
        for index, name in enumerate(("upload", "download")):
            ours, theirs = sides["affine"][index], sides["python"][index]
            told = f"{ours[0]:9.1f} s {ours[1]:4.0f} MB   {theirs[0]:9.1f} s {theirs[1]:4.0f} MB {theirs[0] / ours[0]:9.2f}"
            print(f"{name + ' (' + server + ')':22}{told}", flush=True)
            rounds.append((name, server, ours))
slow = [entry for entry in rounds if entry[2][1] > 200]
print("affine stays within 200 MB" if not slow else f"affine takes more than 200 MB: {slow}")
shutil.rmtree(work)
