//! Studies in files that several processes share, some of which die.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::time::Instant;

use affine::engine::sweep::journal::{Journal, operation};
use affine::engine::sweep::pruner::Never;
use affine::engine::sweep::sampler::SamplerOptions;
use affine::engine::sweep::{
    Budget, Direction, Distribution, Keep, Next, State, Study, StudyOptions, Trial, TrialRecord,
};

use super::cli::{affine, stderr, stdout};

/// Trials of a study in `study.log`: as many as are asked for, of which one says so and waits for ever where it is told to.
const WORKER: &str = r#"
local sweep = require "affine.sweep"
local wanted, waits, keeps = tonumber(arg[1]), tonumber(arg[2]), arg[3]
local study <close> = sweep.open { name = "s", direction = "minimize", storage = "study.log", seed = 5,
  sampler = { "tpe", n_startup_trials = 5 }, pruner = { "asha", min_resource = 2, reduction_factor = 2 } }
print(study:run(wanted, function(trial)
  local x = trial:uniform("x", -2, 2)
  local begin = tonumber(trial:checkpoint() or 0) + 1
  local y = trial:choice("y", { "a", "b" }) == "a" and 0 or 1
  for step = begin, 4 do
    -- Some work.
    local started = os.clock()
    repeat until os.clock() - started > 0.002
    trial:report(step, x * x + y + 1 / step)
    if keeps then trial:set_checkpoint(tostring(step)) end
    if waits == trial:number() and step == 2 then
      print("waiting")
      while true do
        trial:report(step, x * x + y + 1 / step, { prune = false })
        local since = os.clock()
        repeat until os.clock() - since > 0.02
      end
    end
  end
  return x * x + y
end))
"#;

fn worker(folder: &Path, args: &[&str]) -> Command {
    // Once: another worker may be reading it.
    if !folder.join("worker.lua").exists() {
        std::fs::write(folder.join("worker.lua"), WORKER).unwrap();
    }
    let mut command = affine();
    command.arg("worker.lua").args(args).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A worker that waits in a trial.
fn waiting(folder: &Path, args: &[&str]) -> Child {
    let mut child = worker(folder, args).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    child
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn trials(folder: &Path) -> Vec<TrialRecord> {
    let journal = Journal::open(&folder.join("study.log")).unwrap();
    let study = journal.replay().study("s").unwrap();
    journal.replay().trials(study).map(|trial| (**trial).clone()).collect()
}

/// What each trial tried and came to, without those that were done again.
fn outcomes(folder: &Path) -> Vec<(Vec<f64>, State, Vec<f64>)> {
    let trials = trials(folder);
    let replaced: Vec<u64> = trials.iter().flat_map(|trial| trial.retried().collect::<Vec<_>>()).collect();
    let first = |trial: &TrialRecord| trial.retry_of().unwrap_or(trial.number);
    let mut left: Vec<&TrialRecord> = trials.iter().filter(|trial| !replaced.contains(&trial.number)).collect();
    left.sort_by_key(|trial| first(trial));
    let outcome =
        |trial: &&TrialRecord| (trial.parameters.iter().map(|p| p.value).collect(), trial.state, trial.values.clone());
    left.iter().map(outcome).collect()
}

#[test]
fn processes_share_a_study_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let workers: Vec<Child> = (0..3).map(|_| worker(folder.path(), &["60"]).spawn().unwrap()).collect();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stdout(&output), "the study has its 60 trials\n");
    }
    let trials = trials(folder.path());
    assert_eq!(trials.iter().map(|trial| trial.number).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    assert!(trials.iter().all(|trial| matches!(trial.state, State::Complete | State::Pruned)));
    let journal = std::fs::read_to_string(folder.path().join("study.log")).unwrap();
    let writers: std::collections::HashSet<&str> = journal.lines().filter_map(|line| line.split('"').nth(5)).collect();
    assert_eq!(writers.len(), 3);
}

#[test]
fn a_killed_trial_goes_on_from_its_checkpoint_and_changes_nothing() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finished(worker(whole.path(), &["25", "-1", "keeps"]));
    // The first trial that comes so far: the same in both.
    let place = trials(whole.path()).iter().position(|t| t.number > 10 && t.reports.len() > 2).unwrap().to_string();
    let mut child = waiting(cut.path(), &["25", &place, "keeps"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(trials(cut.path()).last().unwrap().state, State::Running);

    let output = finished(worker(cut.path(), &["25", "-1", "keeps"]));
    let said = stderr(&output);
    assert!(said.contains(&format!("trial {place} was left running: process {}", child.id())), "{said}");
    assert!(said.contains("it goes on from its checkpoint"), "{said}");
    let trials = trials(cut.path());
    assert_eq!((trials.len(), trials.iter().filter(|trial| trial.state == State::Failed).count()), (26, 1));
    assert_eq!(outcomes(cut.path()), outcomes(whole.path()));
}

#[test]
fn a_killed_trial_without_a_checkpoint_is_failed_and_another_takes_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = waiting(folder.path(), &["6", "0"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = stderr(&finished(worker(folder.path(), &["6"])));
    assert!(said.contains("it left no checkpoint to go on from"), "{said}");
    let states: Vec<State> = trials(folder.path()).iter().map(|trial| trial.state).collect();
    assert_eq!((states.len(), states[0]), (7, State::Failed));
}

#[test]
fn a_process_that_lives_is_left_its_trial() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = waiting(folder.path(), &["4", "0"]);
    let output = finished(worker(folder.path(), &["4"]));
    assert!(!stderr(&output).contains("left running"), "{}", stderr(&output));
    let states: Vec<State> = trials(folder.path()).iter().map(|trial| trial.state).collect();
    assert_eq!((states.len(), states[0]), (4, State::Running));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_interrupted_run_is_finished_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let child = waiting(folder.path(), &["8", "3", "keeps"]);
    // SAFETY: the number is that of our own child, which nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let left = trials(folder.path()).pop().unwrap();
    assert_eq!(
        (left.number, left.state, left.system_attrs["affine:checkpoint"].as_str()),
        (3, State::Running, Some("2"))
    );
    finished(worker(folder.path(), &["8", "-1", "keeps"]));
    let outcomes = outcomes(folder.path());
    assert_eq!(outcomes.len(), 8);
    assert!(outcomes.iter().all(|(_, state, _)| state.is_finished() && *state != State::Failed));
}

fn study(
    path: &Path,
    directions: &[Direction],
    change: impl FnOnce(&mut StudyOptions),
) -> affine::engine::Result<Study> {
    let mut options = StudyOptions {
        name: "s".to_string(),
        directions: directions.to_vec(),
        storage: path.join("study.log"),
        sampler: SamplerOptions::Random,
        pruner: Rc::new(Never),
        seed: None,
        load_if_exists: true,
        budget: Budget::default(),
        keep: Keep::All,
    };
    change(&mut options);
    Study::open(options)
}

/// A number from 0 to 1.
fn suggested(trial: &Trial, name: &str) -> f64 {
    trial.suggest(name, Distribution::float(name, 0.0, 1.0, false, None).unwrap()).unwrap()
}

#[test]
fn a_study_is_opened_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    study(path, &[Direction::Minimize], |options| options.seed = Some(7)).unwrap();
    study(path, &[Direction::Minimize], |_| {}).unwrap();
    let journal = Journal::open(&path.join("study.log")).unwrap();
    assert_eq!(journal.replay().study("s").unwrap().system_attrs["affine:seed"], 7);
    let error = |result: affine::engine::Result<Study>| result.err().unwrap().to_string();
    assert_eq!(
        error(study(path, &[Direction::Maximize], |_| {})),
        "direction: expected minimize, as the study s has it, got maximize"
    );
    let again = error(study(path, &[Direction::Minimize], |options| options.load_if_exists = false));
    assert!(again.ends_with("study.log: there is a study s already"), "{again}");
    study(path, &[Direction::Maximize], |options| options.name = "other".to_string()).unwrap();
}

#[test]
fn a_trial_is_given_up_that_dies_twice_at_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path(), &[Direction::Minimize], |_| {}).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let Next::Trial(trial) = study.next(None, Instant::now()).unwrap() else { unreachable!() };
        seen.push((trial.number(), trial.checkpoint(), suggested(&trial, "x")));
        trial.set_checkpoint("here").unwrap();
        drop(trial);
    }
    let (first, second) = (&seen[0], &seen[1]);
    assert_eq!((second.0, second.1.as_deref(), second.2), (1, Some("here"), first.2));
    assert_eq!((seen[2].0, &seen[2].1), (2, &None));
    let states: Vec<State> = study.trials().unwrap().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [State::Failed, State::Failed, State::Running]);
}

#[test]
fn a_trial_goes_on_however_often_it_is_interrupted_or_dies_later_on() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path(), &[Direction::Minimize], |_| {}).unwrap();
    for round in 0..6 {
        let Next::Trial(trial) = study.next(None, Instant::now()).unwrap() else { unreachable!() };
        assert_eq!(trial.record().reports.len(), [0, 0, 0, 0, 1, 2][round], "round {round}");
        assert!(trial.folder().unwrap().ends_with("study.log.trials/0000"), "{:?}", trial.folder());
        if round < 3 {
            trial.interrupt().unwrap();
        } else {
            trial.report(round as i64, 1.0).unwrap();
        }
    }
}

/// Three trials on one model by turns, each of which goes on in its folder.
const POPULATION: &str = r#"
    local model, sweep, tokenizer, trainer =
      require("affine.model"), require("affine.sweep"), require("affine.tokenizer"), require("affine.trainer")
    local m <close> = model.create { preset = "tiny", tokenizer = tokenizer.train { "one two three" }, seed = 1 }
    local records = {}
    for i = 1, 4 do records[i] = { prompt = "one", completion = "two three" } end
    local study <close> = sweep.open { name = "s", direction = "minimize", storage = "study.log", sampler = "random", seed = 2 }
    print(study:population({ model = m, n = 4, size = 3 }, function(trial)
      m:add_lora { lora_r = 4, seed = trial:number() and 3, adapter_name = trial:adapter() }
      local sft = trainer.sft(m, { data = records, max_steps = 12, output_dir = trial:folder(), resume = true,
        save_steps = 0, learning_rate = trial:uniform("learning_rate", 1e-3, 1e-1, { log = true }), logging_steps = 0 })
      local loss
      for step in sft:steps() do
        loss = step.loss
        if arg[1] and step.step == 7 then
          print("waiting")
          io.flush()
          repeat until false
        end
        trial:report(step.step, loss)
      end
      return loss
    end))
"#;

#[test]
fn a_population_that_is_interrupted_saves_all_of_its_trials_and_goes_on() {
    let run = |folder: &Path, waits: &[&str]| {
        std::fs::write(folder.join("population.lua"), POPULATION).unwrap();
        let mut command = affine();
        command.arg("population.lua").args(waits).current_dir(folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finished(run(whole.path(), &[]));
    let mut child = affine::engine::signals::as_started(|| run(cut.path(), &["waits"]).spawn()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for trial in ["0000", "0001", "0002"] {
        let saved = std::fs::read_dir(cut.path().join("study.log.trials").join(trial)).unwrap().count();
        assert!(saved > 0, "trial {trial} has saved nothing");
    }
    let output = finished(run(cut.path(), &[]));
    assert_eq!(stderr(&output).matches("it goes on from its checkpoint").count(), 3, "{}", stderr(&output));
    let reports = |folder: &Path| -> Vec<_> {
        let mut whole = trials(folder);
        whole.retain(|trial| trial.state == State::Complete);
        whole.sort_by_key(|trial| trial.retry_of().unwrap_or(trial.number));
        whole.into_iter().map(|trial| trial.reports).collect()
    };
    assert_eq!(reports(cut.path()), reports(whole.path()));
    assert_eq!(reports(cut.path()).iter().map(|reports| reports.len()).collect::<Vec<_>>(), [12; 4]);
}

#[test]
fn what_was_taken_over_is_written_by_its_new_process_alone() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path(), &[Direction::Minimize], |_| {}).unwrap();
    let trial = study.ask().unwrap();
    // As another process does that has not heard of this one.
    let mut journal = Journal::open(&folder.path().join("study.log")).unwrap();
    journal
        .transaction(|transaction| {
            transaction.append(operation::system_attr(0, "affine:abandoned", "silence".into()))?;
            transaction.append(operation::state(0, State::Failed, None))
        })
        .unwrap();
    let error = trial.report(1, 0.5).unwrap_err().to_string();
    assert_eq!(error, "trial 0 is failed already: another process took it over, as this one was not heard of");
}

#[test]
fn suggestions_do_not_depend_on_the_order_of_the_calls() {
    let last = |names: [&str; 3]| {
        let folder = tempfile::tempdir().unwrap();
        let study = study(folder.path(), &[Direction::Minimize], |options| {
            options.sampler = SamplerOptions::Tpe(Default::default());
        });
        let study = study.unwrap();
        let mut last = Vec::new();
        for number in 0..20 {
            let trial = study.ask().unwrap();
            let given = |name: &&str| (name.to_string(), suggested(&trial, name));
            last = names.iter().map(given).collect();
            last.sort_by(|a, b| a.0.cmp(&b.0));
            trial.complete(&[(last[0].1 - 0.3).powi(2) + f64::from(number % 3)]).unwrap();
        }
        last
    };
    assert_eq!(last(["a", "b", "c"]), last(["c", "a", "b"]));
}
