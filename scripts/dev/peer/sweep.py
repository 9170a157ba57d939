"""affine's sweeps beside Optuna 5 on the same journals: `sweep.py AFFINE [--seed N] [--rounds N]`.

Optuna makes random histories; both are then asked the same questions about them:

- pruners: the same decision, always;
- TPE: the densities at random points agree, and so the point that is chosen; what is drawn has the same distribution;
- grid, Sobol: the same trials in the same order; random: the same distribution;
- importance (PED-ANOVA), the best trials of several objectives: the same;
- a study goes from one to the other and back, and optuna-dashboard shows it.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import optuna
    from optuna.pruners import HyperbandPruner, MedianPruner, PercentilePruner, SuccessiveHalvingPruner, WilcoxonPruner
    from optuna.samplers import GridSampler, QMCSampler, RandomSampler, TPESampler
    from optuna.samplers._tpe import parzen_estimator
    from optuna.samplers._tpe.sampler import _split_trials
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState
    from scipy import stats
except ImportError as missing:
    sys.exit(print(f"sweep: skipped, {missing}"))

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)



class StableNumpy:
    """numpy whose sort keeps the order of equal numbers; its own leaves that to the processor, and with it the widths of Optuna's kernels."""

    def __getattr__(self, name):
        return getattr(np, name)

    def argsort(self, numbers):
        return np.argsort(numbers, kind="stable")


parzen_estimator.np = StableNumpy()

ANSWER = """
local sweep, json = require "affine.sweep", require "affine.json"
local checks = require "affine.native.sweep_checks"
-- JSON has no table with a name in front: `{ "1": "asha", ... }` stands for it.
local function named(t)
  if type(t) == "table" then t[1], t["1"] = t["1"], nil end
  return t
end
local function space(spec)
  local spaces = {}
  for name, s in pairs(spec) do
    if s.kind == "choice" then spaces[name] = sweep.choice(s.choices)
    elseif s.kind == "int" then spaces[name] = sweep.int(s.low, s.high, { log = s.log, step = s.step })
    else spaces[name] = sweep.uniform(s.low, s.high, { log = s.log, step = s.step }) end
  end
  return spaces
end
local file = assert(io.open(arg[1]))
local answers = {}
for i, q in ipairs(json.decode(file:read("a"))) do
  local study = sweep.open { name = q.study, storage = q.file, directions = q.directions, seed = q.seed,
    sampler = named(q.sampler), pruner = named(q.pruner) }
  if q.judge then answers[i] = checks.judge(study, q.judge)
  elseif q.points then answers[i] = checks.densities(study, space(q.space), q.points)
  elseif q.importance then answers[i] = study:importance()
  elseif q.front then answers[i] = study:best_trials()
  else
    local drawn = {}
    for n = 1, q.draws do
      local trial = study:ask()
      local params = {}
      -- In the order that is given, which decides the dimensions of a sequence.
      for j, name in ipairs(q.names) do params[name] = trial:suggest(space { [name] = q.space[name] })[name] end
      drawn[n] = params
      trial:complete(0)
    end
    answers[i] = drawn
  end
end
io.write("\\n", json.encode(answers), "\\n")
"""

SPACE = {
    "lr": {"kind": "float", "low": 1e-5, "high": 1e-2, "log": True},
    "dropout": {"kind": "float", "low": 0.0, "high": 0.5, "log": False, "step": 0.1},
    "x": {"kind": "float", "low": -3.0, "high": 5.0, "log": False},
    "n": {"kind": "int", "low": 1, "high": 200, "log": True, "step": 1},
    "layers": {"kind": "int", "low": 2, "high": 12, "log": False, "step": 2},
    "rank": {"kind": "choice", "choices": [4, 16, 64, "all"]},
}

PRUNERS = [
    ("median", lambda: MedianPruner(n_startup_trials=2), ["median"], {"n_startup_trials": 2}),
    ("median", lambda: MedianPruner(1, 3, 2, n_min_trials=2), ["median"],
     {"n_startup_trials": 1, "n_warmup_steps": 3, "interval_steps": 2, "n_min_trials": 2}),
    ("percentile", lambda: PercentilePruner(30.0, 1), ["percentile"], {"percentile": 30.0, "n_startup_trials": 1}),
    ("asha", lambda: SuccessiveHalvingPruner(), ["asha"], {}),
    ("asha", lambda: SuccessiveHalvingPruner(2, 3, 0, 1), ["asha"],
     {"min_resource": 2, "reduction_factor": 3, "bootstrap_count": 1}),
    ("hyperband", lambda: HyperbandPruner(1, 27, 3), ["hyperband"], {"max_resource": 27}),
    ("hyperband", lambda: HyperbandPruner(), ["hyperband"], {}),
    ("wilcoxon", lambda: WilcoxonPruner(), ["wilcoxon"], {}),
    ("wilcoxon", lambda: WilcoxonPruner(p_threshold=0.3, n_startup_steps=5), ["wilcoxon"],
     {"p_threshold": 0.3, "n_startup_steps": 5}),
]  # fmt: skip


def suggest(trial, name, spec):
    if spec["kind"] == "choice":
        return trial.suggest_categorical(name, spec["choices"])
    if spec["kind"] == "int":
        return trial.suggest_int(name, spec["low"], spec["high"], log=spec["log"], step=spec["step"])
    return trial.suggest_float(name, spec["low"], spec["high"], log=spec["log"], step=spec.get("step"))


class Check:
    def __init__(self, binary, folder, seed):
        self.binary, self.folder, self.rng, self.files = binary, folder, random.Random(seed), 0
        self.questions, self.wanted = [], []

    def file(self):
        self.files += 1
        return self.folder / f"{self.files}.log"

    def ask(self, wanted, **question):
        self.questions.append(question | {"file": str(question["file"])})
        self.wanted.append(wanted)

    def answers(self):
        """What affine says to all questions, with what is wanted."""
        (self.folder / "questions.json").write_text(json.dumps(self.questions))
        (self.folder / "answer.lua").write_text(ANSWER)
        done = subprocess.run(
            [self.binary, self.folder / "answer.lua", self.folder / "questions.json"],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stderr)
        asked, self.questions, self.wanted = (self.questions, self.wanted), [], []
        return list(zip(*asked, json.loads(done.stdout.splitlines()[-1])))


def study_in(path, directions, **options):
    return optuna.create_study(
        study_name="peer", storage=JournalStorage(JournalFileBackend(str(path))), directions=directions, load_if_exists=True, **options
    )


def check_pruners(check, rounds):
    count, ended = 0, 0
    for _ in range(rounds):
        for _, make, parts, options in PRUNERS:
            direction = check.rng.choice(["minimize", "maximize"])
            path = check.file()
            study = study_in(path, [direction], pruner=make(), sampler=RandomSampler(seed=check.rng.randrange(10**6)))
            tasks = parts[0] == "wilcoxon"
            for _ in range(check.rng.randrange(4, 14)):
                trial = study.ask()
                level, steps = check.rng.gauss(0, 1), check.rng.choice([9, 27, 30, 300])
                order = check.rng.sample(range(20), 20) if tasks else sorted(check.rng.sample(range(steps), min(steps, 12)))
                pruned = False
                for step in order:
                    value = level + check.rng.choice([0.3, 1.0]) * check.rng.gauss(0, 1) + (0 if tasks else 3 / (step + 1))
                    if check.rng.random() < 0.02:
                        value = float("nan")
                    trial.report(round(value, check.rng.choice([1, 6])), step)
                    copy = check.file()
                    shutil.copy(path, copy)
                    # A new one: Optuna's keep in memory what the first complete trials were like, affine's in the journal.
                    study.pruner = make()
                    pruned = trial.should_prune()
                    count, ended = count + 1, ended + pruned
                    check.ask(pruned, study="peer", file=copy, directions=[direction], judge=trial.number,
                              pruner={"1": parts[0]} | options)  # fmt: skip
                    if pruned and check.rng.random() < 0.8:
                        break
                    pruned = False
                if pruned:
                    study.tell(trial, state=TrialState.PRUNED)
                elif check.rng.random() < 0.1:
                    study.tell(trial, state=TrialState.FAIL)
                elif check.rng.random() < 0.95:
                    study.tell(trial, level)
    for question, wanted, got in check.answers():
        if wanted != got:
            sys.exit(f"sweep: {question}: Optuna's pruner says {wanted}, affine's {got}")
    print(f"sweep: pruners decide alike: {count} decisions, {ended} of them to prune")


def history(check, directions, trials, conditional=False):
    """A random study with complete, pruned, failed and running trials."""
    path = check.file()
    study = study_in(path, directions, sampler=RandomSampler(seed=check.rng.randrange(10**6)))
    for n in range(trials):
        trial = study.ask()
        names = [name for name in SPACE if not (conditional and name in ("n", "layers") and n % 3)]
        params = {name: suggest(trial, name, SPACE[name]) for name in names}
        loss = abs(np.log10(params["lr"]) + 3.5) + params["x"] / 4 + check.rng.gauss(0, 0.2)
        fate = check.rng.random()
        if len(directions) == 1 and fate < 0.2:
            for step in range(check.rng.randrange(0, 5)):
                trial.report(loss if check.rng.random() < 0.9 else float("nan"), step)
            study.tell(trial, state=TrialState.PRUNED)
        elif fate < 0.25:
            study.tell(trial, state=TrialState.FAIL)
        elif fate < 0.9 or n < 3:
            study.tell(trial, [round(loss + k * check.rng.gauss(0, 1), 3) for k in range(len(directions))])
    return path, study


def points_in(check, space, count):
    sampler, study = RandomSampler(seed=check.rng.randrange(10**6)), optuna.create_study()
    internal = []
    for _ in range(count):
        trial = study.ask()
        for name in sorted(space):
            suggest(trial, name, space[name])
        frozen = study.trials[trial.number]
        internal.append([float(frozen.distributions[name].to_internal_repr(frozen.params[name])) for name in sorted(space)])
    del sampler
    return internal


def check_tpe(check, rounds):
    for round_ in range(rounds):
        directions = [check.rng.choice(["minimize", "maximize"]) for _ in range(check.rng.choice([1, 1, 2, 3]))]
        path, study = history(check, directions, check.rng.choice([12, 30, 80]), conditional=round_ % 2 == 1)
        sampler = TPESampler(seed=0)
        names = sorted(check.rng.sample(list(SPACE), check.rng.randrange(1, len(SPACE) + 1)))
        space = {name: SPACE[name] for name in names}
        points = points_in(check, space, 50)
        trials = [t for t in study.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)]
        finished = sum(t.state != TrialState.RUNNING for t in trials)
        gamma = int(np.ceil(0.1 * finished)) if len(directions) > 1 else min(int(np.ceil(0.1 * finished)), 25)
        below, above = _split_trials(study, trials, gamma)
        distributions = {name: next(t.distributions[name] for t in trials if name in t.distributions) for name in names}
        columns = {name: np.array([point[i] for point in points]) for i, name in enumerate(names)}
        wanted = {
            kind: sampler._build_parzen_estimator(study, distributions, part, handle_below=kind == "good").log_pdf(columns)
            for kind, part in [("good", below), ("others", above)]
        }
        check.ask(wanted, study="peer", file=path, directions=directions, space=space, points=points)
    worst = 0.0
    for question, wanted, got in check.answers():
        gains = [np.array(side["good"]) - np.array(side["others"]) for side in (wanted, got)]
        if np.argmax(gains[0]) != np.argmax(gains[1]):
            sys.exit(f"sweep: {question['file']}: TPE chooses another point")
        for kind in ("good", "others"):
            worst = max(worst, float(np.max(np.abs(wanted[kind] - np.array(got[kind])))))
    if worst > 1e-6:
        sys.exit(f"sweep: TPE's densities differ by {worst}")
    print(f"sweep: TPE's densities agree in {rounds} histories within {worst:.1e}, and so does the choice")


def same_distribution(what, name, spec, ours, theirs):
    if spec["kind"] == "choice":
        table = [[column.count(choice) for choice in spec["choices"]] for column in (ours, theirs)]
        table = np.array(table)[:, np.sum(table, axis=0) > 0]
        p = 1.0 if table.shape[1] < 2 else stats.chi2_contingency(table).pvalue
    else:
        p = stats.ks_2samp(ours, theirs).pvalue
    if p < 1e-4:
        sys.exit(f"sweep: {what}: {name} is drawn from another distribution (p = {p:.1e})")
    return p


def check_draws(check, draws):
    """TPE on one history, each draw by a sampler of another seed; random from the first trial on."""
    path, study = history(check, ["minimize"], 40)
    names, theirs = list(SPACE), []
    for seed in range(draws):
        copy = check.file()
        shutil.copy(path, copy)
        check.ask(None, study="peer", file=copy, directions=["minimize"], seed=seed, draws=1, names=names, space=SPACE)
        fresh = check.file()
        shutil.copy(path, fresh)
        trial = study_in(fresh, ["minimize"], sampler=TPESampler(seed=seed)).ask()
        theirs.append({name: suggest(trial, name, SPACE[name]) for name in names})
    ours = [got[0] for _, _, got in check.answers()]
    least = min(same_distribution("TPE", n, SPACE[n], [o[n] for o in ours], [t[n] for t in theirs]) for n in names)
    print(f"sweep: TPE draws alike: {draws} draws of {len(names)} parameters, the least p is {least:.3f}")

    count = 5 * draws
    check.ask(None, study="r", file=check.file(), directions=["minimize"], seed=1, draws=count, names=names, space=SPACE, sampler="random")
    ((_, _, ours),) = check.answers()
    study = optuna.create_study(sampler=RandomSampler(seed=1))
    theirs = []
    for _ in range(count):
        trial = study.ask()
        theirs.append({name: suggest(trial, name, SPACE[name]) for name in names})
    least = min(same_distribution("random", n, SPACE[n], [o[n] for o in ours], [t[n] for t in theirs]) for n in names)
    print(f"sweep: random draws alike: {count} draws, the least p is {least:.3f}")


def check_sequences(check):
    grid = {"rank": [4, 16, 64, "all"], "lr": [1e-5, 1e-4, 1e-3], "layers": [2, 4]}
    space = {name: {"kind": "choice", "choices": values} for name, values in grid.items()}
    for seed in [0, 7]:
        study = optuna.create_study(sampler=GridSampler(grid, seed=seed))
        study.optimize(lambda trial: len([suggest(trial, name, space[name]) for name in grid]))
        check.ask([t.params for t in study.trials], study="g", file=check.file(), directions=["minimize"], seed=seed,
                  draws=24, names=list(grid), space=space, sampler={"1": "grid", "space": grid})  # fmt: skip
    names = list(SPACE)
    study = optuna.create_study(sampler=QMCSampler(seed=0, warn_independent_sampling=False))
    for _ in range(65):
        trial = study.ask()
        [suggest(trial, name, SPACE[name]) for name in names]
        study.tell(trial, 0)
    # Optuna's first trial is random.
    check.ask([t.params for t in study.trials[1:]], study="q", file=check.file(), directions=["minimize"], draws=64,
              names=names, space=SPACE, sampler={"1": "quasi", "scramble": False})  # fmt: skip
    for question, wanted, got in check.answers():
        for n, (a, b) in enumerate(zip(wanted, got, strict=True)):
            for name in a:
                same = a[name] == b[name] if isinstance(a[name], str) else abs(a[name] - b[name]) <= 1e-9 * abs(a[name]) + 1e-12
                if not same:
                    sys.exit(f"sweep: {question['sampler']}: trial {n} is {b}, Optuna's {a}")
    print("sweep: grids and Sobol's sequence are Optuna's, in its order")


def check_importance(check, rounds):
    for round_ in range(rounds):
        directions = [check.rng.choice(["minimize", "maximize"]) for _ in range(check.rng.choice([1, 1, 2]))]
        path, study = history(check, directions, check.rng.choice([10, 30, 80]), conditional=round_ % 2 == 1)
        wanted = optuna.importance.get_param_importances(study)
        check.ask(wanted, study="peer", file=path, directions=directions, importance=True)
        check.ask([t.number for t in study.best_trials], study="peer", file=path, directions=directions, front=True)
    worst = 0.0
    for question, wanted, got in check.answers():
        if "front" in question:
            # Of one objective Optuna names every best trial, too.
            if sorted(t["number"] for t in got) != sorted(wanted):
                sys.exit(f"sweep: {question['file']}: the best trials are {wanted}, not {got}")
            continue
        got = {item["name"]: item["share"] for item in got}
        worst = max([worst] + [abs(got[name] - share) for name, share in wanted.items()])
    if worst > 1e-6:
        sys.exit(f"sweep: importances differ by {worst}")
    print(f"sweep: importances agree in {rounds} histories within {worst:.1e}, and so do the best trials")


def check_exchange(check):
    path = check.file()
    names = list(SPACE)
    ask = {"study": "peer", "file": path, "directions": ["minimize"], "seed": 3, "draws": 15, "names": names, "space": SPACE}
    check.ask(None, **ask)
    check.answers()
    study = study_in(path, ["minimize"], sampler=TPESampler(seed=1))
    study.optimize(lambda trial: len([suggest(trial, name, SPACE[name]) for name in names]) and trial.params["lr"], n_trials=15)
    check.ask(None, **ask)
    check.answers()
    study = study_in(path, ["minimize"])
    states = [t.state for t in study.trials]
    if states != [TrialState.COMPLETE] * 45 or [t.number for t in study.trials] != list(range(45)):
        sys.exit(f"sweep: after an exchange Optuna sees {states}")
    print("sweep: a study went to Optuna and back: 45 trials")
    try:
        from optuna_dashboard import wsgi
    except ImportError as missing:
        return print(f"sweep: no dashboard, {missing}")
    app = wsgi(JournalStorage(JournalFileBackend(str(path))))

    def get(place):
        status = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": place, "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
        environ |= {"wsgi.input": __import__("io").BytesIO(), "wsgi.errors": sys.stderr, "QUERY_STRING": ""}
        body = b"".join(app(environ, lambda line, _, *__: status.append(line)))
        return status[0], json.loads(body)

    status, studies = get("/api/studies")
    found = studies["study_summaries"][0]["study_id"]
    status, detail = get(f"/api/studies/{found}")
    if not status.startswith("200") or len(detail["trials"]) != 45:
        sys.exit(f"sweep: the dashboard says {status}")
    print("sweep: optuna-dashboard shows it")


SIDE_BY_SIDE = """
local sweep = require "affine.sweep"
local study = sweep.open { name = "peer", storage = arg[1], direction = "minimize", sampler = "tpe" }
study:run(100, function(trial)
  local x = trial:uniform("x", -1, 1)
  for step = 1, 3 do trial:report(step, x * x + 1 / step) end
  return x * x
end)
"""


def check_side_by_side(check):
    """Two processes of affine, one killed, and Optuna write at the same time."""
    path = check.file()
    script = check.folder / "side.lua"
    script.write_text(SIDE_BY_SIDE)
    study = study_in(path, ["minimize"], sampler=TPESampler(seed=1))
    start = lambda: subprocess.Popen([check.binary, script, path], stderr=subprocess.DEVNULL)  # noqa: E731
    workers = [start(), start()]

    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        for step in range(1, 4):
            trial.report(x * x + 1 / step, step)
        if trial.number > 20:
            workers[0].kill()
        return x * x

    study.optimize(objective, n_trials=40)
    workers[0].wait()
    if workers[1].wait():
        sys.exit("sweep: side by side: affine failed")
    trials = study_in(path, ["minimize"]).trials
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if [t.number for t in trials] != list(range(len(trials))) or len(complete) < 100 or len(trials) - len(complete) > 1:
        sys.exit(f"sweep: side by side: {len(complete)} of {len(trials)} trials are complete")
    if any(len(t.intermediate_values) != 3 or abs(t.value - t.params["x"] ** 2) > 1e-12 for t in complete):
        sys.exit("sweep: side by side: a trial has lost something")
    print(f"sweep: two processes of affine, one of them killed, and Optuna made {len(trials)} trials side by side")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("affine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    # Every line of a journal waits for the disk.
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=fast if fast.is_dir() else None) as name:
        check = Check(Path(options.affine).resolve(), Path(name), options.seed)
        check_sequences(check)
        check_tpe(check, 4 * options.rounds)
        check_importance(check, 4 * options.rounds)
        check_draws(check, 300)
        check_exchange(check)
        check_side_by_side(check)
        check_pruners(check, options.rounds)


if __name__ == "__main__":
    main()
