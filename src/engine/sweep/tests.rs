//! Studies and their trials in one process: what they keep to when others write beside them, die, or come back.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::journal::{Journal, operation};
use super::process::{PROCESS, Process};
use super::pruner::{Never, Pruner, Verdict};
use super::sampler::{GridOptions, SamplerOptions};
use super::*;
use crate::engine::Result;

fn options(folder: &Path) -> StudyOptions {
    StudyOptions {
        name: "s".to_string(),
        directions: vec![Direction::Minimize],
        storage: folder.join("study.log"),
        sampler: SamplerOptions::Random,
        pruner: Rc::new(Never),
        seed: Some(3),
        load_if_exists: true,
        budget: Budget::default(),
        keep: Keep::All,
    }
}

fn open(folder: &Path, change: impl FnOnce(&mut StudyOptions)) -> Result<Study> {
    let mut options = options(folder);
    change(&mut options);
    Study::open(options)
}

fn grid(values: &[Value]) -> SamplerOptions {
    SamplerOptions::Grid(GridOptions { space: vec![("x".to_string(), values.to_vec())] })
}

fn next(study: &Study) -> Trial {
    match study.next(None, Instant::now()).unwrap() {
        Next::Trial(trial) => *trial,
        Next::Done(done) => panic!("{done}"),
    }
}

fn float(high: f64) -> Distribution {
    Distribution::float("x", 0.0, high, false, None).unwrap()
}

fn states(study: &Study) -> Vec<State> {
    study.trials().unwrap().iter().map(|trial| trial.state).collect()
}

#[test]
fn what_is_refused_leaves_no_study() {
    let folder = tempfile::tempdir().unwrap();
    let error = |change: fn(&mut StudyOptions)| open(folder.path(), change).err().unwrap().to_string();
    assert_eq!(error(|options| options.sampler = grid(&[])), "sampler.space.x: expected at least one value, got none");
    assert_eq!(error(|options| options.name.clear()), "name: expected a name, got none");
    assert_eq!(
        error(|options| options.directions.clear()),
        "directions: expected a direction for each objective, got none"
    );
    let journal = Journal::open(&folder.path().join("study.log")).unwrap();
    assert!(journal.replay().study("s").is_none());
}

#[test]
fn a_parameter_of_another_kind_is_refused_whenever_the_other_came() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |_| {}).unwrap();
    let (one, other) = (next(&study), next(&study));
    one.suggest("x", float(1.0)).unwrap();
    // The other's history is older than that.
    let integer = Distribution::int("x", 2, 10, false, 1).unwrap();
    let error = other.suggest("x", integer).unwrap_err().to_string();
    assert_eq!(
        error,
        "x: expected a number from 0 to 1, as the study's trials had it before, got an integer from 2 to 10"
    );
    assert!(other.record().parameters.is_empty());
}

#[test]
fn a_range_that_is_widened_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |options| options.sampler = SamplerOptions::Tpe(Default::default())).unwrap();
    let mut most: f64 = 0.0;
    for number in 0..45 {
        let trial = next(&study);
        let x = trial.suggest("x", float(if number < 15 { 1.0 } else { 10.0 })).unwrap();
        trial.complete(&[(x - 5.0).powi(2)]).unwrap();
        most = most.max(x);
    }
    assert!(most > 3.0, "{most}");
}

#[test]
fn a_trial_that_died_without_a_checkpoint_is_begun_anew_in_its_place_once() {
    let points = |deaths: &[u64]| {
        let folder = tempfile::tempdir().unwrap();
        let study = open(folder.path(), |options| options.sampler = SamplerOptions::Tpe(Default::default())).unwrap();
        study.enqueue(Map::from_iter([("x".to_string(), json!(0.25))])).unwrap();
        let mut points = Vec::new();
        while points.len() < 16 {
            let trial = next(&study);
            let x = trial.suggest("x", float(1.0)).unwrap();
            // Dropped, it counts as one whose process was interrupted.
            if !deaths.contains(&trial.number()) {
                trial.complete(&[x]).unwrap();
                points.push(x);
            }
        }
        points
    };
    let whole = points(&[]);
    assert_eq!(whole[0], 0.25);
    assert_eq!(points(&[0, 5, 14]), whole);
    // What dies twice is given up.
    assert_eq!(points(&[2, 3])[2..9], whole[3..10]);
}

#[test]
fn tokens_of_what_is_begun_anew_stay_counted() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |_| {}).unwrap();
    next(&study).count_tokens(30).unwrap();
    let anew = next(&study);
    anew.count_tokens(12).unwrap();
    assert_eq!(budget::tokens(&study.history().unwrap()), 42);
}

#[test]
fn what_is_queued_without_parameters_has_its_point_of_a_grid() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |options| options.sampler = grid(&[json!(1), json!(2)])).unwrap();
    study.enqueue(Map::new()).unwrap();
    let choice = Distribution::choice("x", vec![json!(1), json!(2)]).unwrap();
    let mut seen = Vec::new();
    while let Next::Trial(trial) = study.next(None, Instant::now()).unwrap() {
        seen.push(trial.suggest("x", choice.clone()).unwrap());
        trial.complete(&[0.0]).unwrap();
    }
    seen.sort_by(f64::total_cmp);
    assert_eq!(seen, [0.0, 1.0]);
}

#[test]
fn what_may_hold_so_many_bytes_has_no_end_by_that() {
    let folder = tempfile::tempdir().unwrap();
    let ends = |budget: Budget| open(folder.path(), |options| options.budget = budget).unwrap().ends_by_itself();
    assert!(!ends(Budget { max_bytes: Some(10), ..Budget::default() }));
    assert!(ends(Budget { max_tokens: Some(10), ..Budget::default() }));
}

#[test]
fn a_trial_that_another_ended_says_so_and_one_that_ended_here_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |_| {}).unwrap();
    let (own, stopped, taken) = (next(&study), next(&study), next(&study));
    own.fail("mine").unwrap();
    assert_eq!((own.lost(), own.has_ended()), (None, true));
    assert_eq!(stopped.lost(), None);
    study.stop(1).unwrap();
    assert_eq!(stopped.lost().unwrap(), "trial 1 is pruned already: stopped by hand");
    let mut journal = Journal::open(&folder.path().join("study.log")).unwrap();
    let other = Value::String("another".to_string());
    journal.transaction(|transaction| transaction.append(operation::system_attr(2, PROCESS, other))).unwrap();
    assert!(taken.complete(&[1.0]).is_err());
    assert_eq!(
        (taken.lost().unwrap().as_str(), taken.has_ended()),
        ("trial 2 is run by another process by now", false)
    );
}

#[test]
fn trials_in_doubt_are_those_that_run_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |_| {}).unwrap();
    let _own = next(&study);
    assert!(study.in_doubt().unwrap().is_empty());
    let mut elsewhere = Process::this().to_value();
    elsewhere["boot"] = "another".into();
    elsewhere["host"] = "there".into();
    let mut journal = Journal::open(&folder.path().join("study.log")).unwrap();
    journal.transaction(|transaction| transaction.append(operation::system_attr(0, PROCESS, elsewhere))).unwrap();
    let doubt = study.in_doubt().unwrap().remove(0);
    assert!(
        doubt.starts_with("trial 0: process ") && doubt.contains(" on there runs it, last heard of 0 s"),
        "{doubt}"
    );
}

/// Prunes trial 1 for a clone of trial 0.
struct Replaces;

impl Pruner for Replaces {
    fn judge(&self, _: &History, trial: &history::Placed) -> Result<Verdict> {
        let successor = Successor { of: 0, params: Map::new() };
        Ok(match trial.record.number {
            1 => Verdict { prune: true, successor: Some(successor), ..Verdict::default() },
            _ => Verdict::default(),
        })
    }
}

#[test]
fn a_clone_takes_a_place_only_while_its_origin_stands() {
    for ends_before in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let study = open(folder.path(), |options| options.pruner = Rc::new(Replaces)).unwrap();
        let (origin, worse) = (next(&study), next(&study));
        origin.suggest("x", float(1.0)).unwrap();
        let checkpoint = origin.folder().unwrap().join("step-1");
        std::fs::create_dir(&checkpoint).unwrap();
        std::fs::write(checkpoint.join("weights"), "whole").unwrap();
        origin.set_checkpoint(&checkpoint.to_string_lossy()).unwrap();
        assert!(worse.should_prune().unwrap());
        if ends_before {
            origin.prune().unwrap();
        }
        worse.prune().unwrap();
        let trials = study.trials().unwrap();
        assert_eq!((trials[1].state, clones::is_replaced(&trials[1])), (State::Pruned, !ends_before));
        match ends_before {
            true => assert_eq!(trials.len(), 2),
            false => {
                let own = abandoned::checkpoint(&trials[2]).unwrap();
                assert!(own.ends_with("study.log.trials/0002/from-0"), "{own}");
                assert_eq!(std::fs::read_to_string(Path::new(own).join("weights")).unwrap(), "whole");
            }
        }
        let entries = std::fs::read_dir(folders::all(&study.storage())).unwrap().count();
        assert_eq!(entries, trials.len() - 1, "nothing is left of the preparations");
    }
}

#[test]
fn a_checkpoint_that_went_with_its_folder_is_none_to_begin_from() {
    let folder = tempfile::tempdir().unwrap();
    let study = open(folder.path(), |_| {}).unwrap();
    let origin = next(&study);
    let checkpoint = origin.folder().unwrap().join("step-1");
    origin.set_checkpoint(&checkpoint.to_string_lossy()).unwrap();
    origin.complete(&[1.0]).unwrap();
    let error = study.clone_trial(Successor { of: 0, params: Map::new() }).unwrap_err().to_string();
    assert_eq!(error, "number: expected a trial whose checkpoint is there, got 0, whose folder was removed");
    assert_eq!(states(&study), [State::Complete]);
}

#[test]
fn a_new_journal_takes_no_folder_of_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let of_first_trial = || {
        let study = open(folder.path(), |_| {}).unwrap();
        let trial = next(&study);
        (trial.folder().unwrap(), trial.folder().unwrap())
    };
    let (old, _) = of_first_trial();
    std::fs::remove_file(folder.path().join("study.log")).unwrap();
    let (new, again) = of_first_trial();
    assert!(old.ends_with("0000") && new.ends_with("0000-2") && again == new, "{}", new.display());
}
