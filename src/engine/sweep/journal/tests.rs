use super::*;
use crate::engine::sweep::distribution::Distribution;
use crate::engine::sweep::record::{Direction, State};
use serde_json::json;

/// What Optuna 5.0.0 wrote, with shorter ids of the writer:
///
/// ```python
/// storage = JournalStorage(JournalFileBackend("golden.log"))
/// study = optuna.create_study(study_name="golden", storage=storage, direction="maximize")
/// study.enqueue_trial({"r": 16})
/// trial = study.ask()
/// trial.suggest_float("lr", 1e-5, 1e-2, log=True), trial.suggest_categorical("r", [4, 16, "all"])
/// trial.report(0.25, 1), trial.report(float("nan"), 2)
/// trial.set_user_attr("note", "first")
/// study.tell(trial, 0.5)
/// trial = study.ask()
/// trial.suggest_int("n", 1, 9, step=2)
/// study.tell(trial, state=TrialState.PRUNED)
/// study.ask()
/// ```
const GOLDEN: &str = include_str!("golden.log");

fn journal(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn complaint(text: &str) -> String {
    let (folder, path) = journal(text);
    let error = Journal::open(&path).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().canonicalize().unwrap().display()), "")
}

#[test]
fn optunas_own_journal_is_read() {
    let (_folder, path) = journal(GOLDEN);
    let journal = Journal::open(&path).unwrap();
    let study = journal.replay().study("golden").unwrap();
    assert_eq!((study.directions.as_slice(), study.trials.len()), (&[Direction::Maximize][..], 3));
    let trials: Vec<_> = journal.replay().trials(study).collect();
    let states: Vec<State> = trials.iter().map(|trial| trial.state).collect();
    assert_eq!(states, [State::Complete, State::Pruned, State::Running]);
    let first = trials[0];
    assert_eq!(
        (first.values.as_slice(), first.fixed("r"), first.user_attrs["note"].as_str()),
        (&[0.5][..], Some(&json!(16)), Some("first"))
    );
    assert_eq!((first.reports[&1], first.reports[&2].is_nan()), (0.25, true));
    let rank = first.parameter("r").unwrap();
    assert_eq!((rank.value, rank.distribution.external(rank.value)), (1.0, json!(16)));
    assert_eq!(trials[1].parameter("n").unwrap().distribution.range(), Some((1.0, 9.0)));
}

#[test]
fn what_is_written_is_what_optuna_writes() {
    let (_folder, path) = journal("");
    let mut journal = Journal::open(&path).unwrap();
    let dist = Distribution::float("lr", 1e-5, 1e-2, true, None).unwrap();
    journal
        .transaction(|transaction| {
            transaction.append(operation::create_study("golden", &[Direction::Maximize]))?;
            transaction.append(operation::create_trial(0))?;
            transaction.append(operation::parameter(0, "lr", 0.25, &dist))?;
            transaction.append(operation::report(0, 1, 0.25))?;
            transaction.append(operation::report(0, 2, f64::NAN))?;
            transaction.append(operation::user_attr(0, "note", json!("first")))?;
            transaction.append(operation::state(0, State::Complete, Some(&[0.5])))
        })
        .unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    for line in written.lines() {
        let ours = python_json::parse(line).unwrap();
        let alike = |theirs: &&Value| theirs["op_code"] == ours["op_code"];
        let theirs: Vec<Value> = GOLDEN.lines().map(|line| python_json::parse(line).unwrap()).collect();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        // Of trials that Optuna makes for later there are more fields: the last is one that runs.
        let theirs = theirs.iter().rfind(alike).unwrap();
        assert_eq!(keys(&ours), keys(theirs), "{line}");
    }
    assert!(written.contains("\"intermediate_value\":NaN"));
}

#[test]
fn two_readers_of_one_file_agree() {
    let (_folder, path) = journal("");
    let (mut one, mut other) = (Journal::open(&path).unwrap(), Journal::open(&path).unwrap());
    one.transaction(|transaction| transaction.append(operation::create_study("s", &[Direction::Minimize]))).unwrap();
    other.transaction(|transaction| transaction.append(operation::create_trial(0))).unwrap();
    one.sync().unwrap();
    assert_eq!((one.replay().trial_count(), other.replay().trial_count()), (1, 1));
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let (_folder, path) = journal("");
    let mut journal = Journal::open(&path).unwrap();
    let failed = journal.transaction(|transaction| -> Result<()> {
        transaction.append(operation::create_study("s", &[Direction::Minimize]))?;
        Err(Error::message("no"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    assert!(journal.replay().study("s").is_none());
    assert_eq!(std::fs::read(&path).unwrap().len(), 0);
}

#[test]
fn a_damaged_last_line_is_lost_and_no_other() {
    for cut in [1, 40] {
        let (_folder, path) = journal(&GOLDEN[..GOLDEN.len() - cut]);
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.replay().trial_count(), 2, "the line that made the third");
        journal.transaction(|transaction| transaction.append(operation::create_trial(0))).unwrap();
        assert_eq!(Journal::open(&path).unwrap().replay().trial_count(), 3);
    }
    let (_folder, path) = journal(&format!("{GOLDEN}{{\"op_code\": 4,\n"));
    append_line(&path, "me", operation::create_trial(0)).unwrap();
    assert_eq!(Journal::open(&path).unwrap().replay().trial_count(), 4);
}

/// A study, and a trial of it that runs.
fn begun(path: &Path) -> Journal {
    let mut journal = Journal::open(path).unwrap();
    journal
        .transaction(|transaction| {
            transaction.append(operation::create_study("s", &[Direction::Minimize]))?;
            transaction.append(operation::create_trial(0))
        })
        .unwrap();
    journal
}

#[test]
fn a_process_whose_lock_was_taken_over_writes_nothing() {
    let (folder, path) = journal("");
    let (mut slow, mut other) = (begun(&path), Journal::open(&path).unwrap());
    let failed = slow.transaction(|transaction| {
        transaction.append(operation::create_trial(0))?;
        // It stands still for so long that another process goes on without it.
        std::fs::remove_file(folder.path().join("x.log.lock")).unwrap();
        other.transaction(|transaction| transaction.append(operation::create_trial(0)))
    });
    let said = failed.unwrap_err().to_string();
    assert!(said.ends_with("took its lock over while this one stood still: nothing was written"), "{said}");
    assert_eq!((slow.replay().trial_count(), Journal::open(&path).unwrap().replay().trial_count()), (2, 2));

    let failed = slow.transaction(|transaction| {
        transaction.append(operation::create_trial(0))?;
        // Another has taken it over, and is at it.
        std::fs::remove_file(folder.path().join("x.log.lock")).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("x.log.lock")).unwrap();
        Ok(())
    });
    assert!(failed.is_err());
    assert!(folder.path().join("x.log.lock").is_symlink(), "the other's lock stays");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
}

#[test]
fn lines_before_an_error_are_read_once() {
    let (_folder, path) = journal("");
    let mut journal = begun(&path);
    let mut text = std::fs::read_to_string(&path).unwrap();
    let trial = text.lines().last().unwrap().to_string();
    text += &format!("{trial}\n{{\"op_code\":99}}\n");
    std::fs::write(&path, text).unwrap();
    for _ in 0..3 {
        assert!(journal.sync().unwrap_err().to_string().contains("line 4 is of a newer version"));
        assert_eq!(journal.replay().trial_count(), 2);
    }
}

#[test]
fn a_complete_trial_has_a_value_for_each_objective() {
    let begun = r#"{"op_code":0,"worker_id":"x","study_name":"s","directions":[1]}
{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":"2026-01-01T00:00:00.000000"}
"#;
    let end = r#""datetime_complete":"2026-01-01T00:00:00.000000"}"#;
    for values in ["null", "[]", "[1.0, 2.0]"] {
        let line =
            format!("{{\"op_code\":6,\"worker_id\":\"x\",\"trial_id\":0,\"state\":1,\"values\":{values},{end}\n");
        assert_eq!(complaint(&format!("{begun}{line}")), "x.log: line 3 is damaged: it has no proper `values`");
    }
    let made = r#"{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":null,"state":1,"values":[1.0,2.0]}"#;
    assert_eq!(complaint(&format!("{begun}{made}\n")), "x.log: line 3 is damaged: it has no proper `values`");
}

#[test]
fn a_link_to_a_journal_is_refused() {
    let (folder, path) = journal(GOLDEN);
    let link = folder.path().join("link.log");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = Journal::open(&link).unwrap_err();
    assert_eq!(error.hint().unwrap(), format!("give the file itself: {}", path.display()));
}

#[test]
fn what_is_no_journal_is_said_in_a_sentence() {
    assert_eq!(complaint("name,value\na,1\n"), "x.log: it is no journal of Optuna: line 1 is not one of its lines");
    assert_eq!(complaint("SQLite format 3\0"), "x.log: it is no journal of Optuna: line 1 is not one of its lines");
    assert_eq!(complaint("{\"a\": 1}\n"), "x.log: it is no journal of Optuna: line 1 has no proper `op_code`");
    let newer = format!("{GOLDEN}{{\"op_code\":11,\"worker_id\":\"x\"}}\n");
    let lines = GOLDEN.lines().count() + 1;
    assert_eq!(complaint(&newer), format!("x.log: line {lines} is of a newer version of Optuna: operation 11"));
    let middle = GOLDEN.replacen("{\"op_code\":4", "{\"op_co", 1);
    assert!(complaint(&middle).contains("line 2 is damaged: it is not JSON"), "{}", complaint(&middle));
}
