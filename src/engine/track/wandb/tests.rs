use super::*;

fn begin(folder: &Path) -> Wandb {
    Wandb::begin(folder, &Options::default(), &Map::new()).unwrap()
}

fn place(stage: &str, step: u64) -> Place {
    Place { stage: stage.to_string(), step, time: 1.5 }
}

fn numbers(of: &[(&str, i64)]) -> Metrics {
    of.iter().map(|(name, value)| (name.to_string(), Metric::Int(*value))).collect()
}

fn records(fragment: &Fragment) -> Vec<Kind> {
    log::read(&fragment.log()).unwrap().records
}

/// What all fragments together say of a metric: its values, each with its `_step`.
fn values(folder: &Path, metric: &str) -> Vec<(String, i64)> {
    let mut values = Vec::new();
    for kind in fragment::fragments(folder).unwrap().iter().flat_map(records) {
        if let Kind::History(history) = kind {
            let of_metric = history.items.iter().filter(|item| item.path == [metric]);
            values.extend(of_metric.map(|item| (item.json.clone(), history.step.unwrap().num)));
        }
    }
    values
}

fn exits(fragment: &Fragment) -> Vec<i32> {
    let exit = |kind: Kind| if let Kind::Exit(exit) = kind { Some(exit.exit_code) } else { None };
    records(fragment).into_iter().filter_map(exit).collect()
}

#[test]
fn a_run_that_goes_on_logs_what_was_not_logged_of_the_steps_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = begin(folder.path());
    for step in 1..=3 {
        first.log(&place("sft", step), &numbers(&[("loss", step as i64)])).unwrap();
    }
    first.closer().append(output("a line\n".to_string())).unwrap();
    drop(first);
    let mut second = begin(folder.path());
    for step in 2..=4 {
        second.log(&place("sft", step), &numbers(&[("loss", 10 + step as i64), ("late", 0)])).unwrap();
    }
    second.finish(0).unwrap();
    let text = |value: i64, row| (value.to_string(), row);
    assert_eq!(values(folder.path(), "sft/loss"), [text(1, 1), text(2, 2), text(3, 3), text(14, 6)]);
    assert_eq!(values(folder.path(), "sft/late"), [text(0, 4), text(0, 5), text(0, 6)]);
    let fragments = fragment::fragments(folder.path()).unwrap();
    assert!(fragments.len() == 2 && fragments[0].id == fragments[1].id);
    // An upload of the second replaces what the first said of these.
    let begins: Vec<Kind> = records(&fragments[1]).into_iter().take(5).collect();
    assert!(matches!(&begins[1], Kind::Run(run) if run.resumed));
    assert!(matches!(&begins[2], Kind::Metric(of) if of.name == "sft/loss" && of.step_metric == "sft/step"));
    assert!(
        matches!(&begins[3], Kind::Summary(of) if of.update.iter().any(|item| item.path == ["sft/loss"] && item.json == "3"))
    );
    assert!(matches!(&begins[4], Kind::Output(of) if of.text == "a line\n"));
}

#[test]
fn steps_of_all_stages_count_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = begin(folder.path());
    for (stage, step) in [("a", 10), ("a", 20), ("b", 1), ("b", 30), ("a", 30)] {
        run.log(&place(stage, step), &numbers(&[("loss", 0)])).unwrap();
    }
    let numbers = |metric: &str| values(folder.path(), metric).into_iter().map(|(_, row)| row).collect::<Vec<_>>();
    assert_eq!((numbers("a/loss"), numbers("b/loss")), (vec![10, 20, 31], vec![21, 30]));
}

#[test]
fn a_run_has_one_end_and_nothing_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = begin(folder.path());
    let closer = run.closer();
    closer.close(255).unwrap();
    closer.close(1).unwrap();
    run.finish(0).unwrap();
    let error = run.log(&place("", 1), &numbers(&[("loss", 1)])).unwrap_err();
    assert_eq!(error.to_string(), "the W&B run was finished: nothing can be logged to it any more");
    drop(run);
    assert_eq!(exits(&fragment::fragments(folder.path()).unwrap()[0]), [255]);
}

#[test]
fn a_run_that_nobody_finished_ends_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(begin(folder.path()));
    assert_eq!(exits(&fragment::fragments(folder.path()).unwrap()[0]), [] as [i32; 0]);
    begin(folder.path());
    assert_eq!(exits(&fragment::fragments(folder.path()).unwrap()[0]), [1]);
}

#[test]
fn only_what_no_process_writes_is_abandoned() {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = begin(folder.path());
    assert_eq!(close_abandoned(folder.path()).unwrap(), 0);
    // A copy is as its process left it, and locked by nobody.
    let copy = killed.path().join(run.fragment.path.file_name().unwrap());
    std::fs::create_dir(&copy).unwrap();
    let copy = Fragment { path: copy, id: run.id().to_string() };
    std::fs::copy(run.fragment.log(), copy.log()).unwrap();
    let at_work = std::fs::File::open(copy.log()).unwrap();
    assert!(!log::is_taken(&at_work));
    let error = Wandb::begin(killed.path(), &Options::default(), &Map::new()).unwrap_err().to_string();
    assert!(error.ends_with("is a W&B run that another process is writing"), "{error}");
    drop(at_work);
    assert_eq!(close_abandoned(killed.path()).unwrap(), 1);
    assert_eq!(close_abandoned(killed.path()).unwrap(), 0);
    assert_eq!(exits(&copy), [1]);
}

#[test]
fn media_are_defined_as_one_thing_and_files_stay_below_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = begin(folder.path());
    run.histogram(&place("", 1), "h", &[1.0, f64::NAN]).unwrap();
    run.table(&place("", 1), "../t", &["a", "b"], &[vec![Metric::Int(1), Metric::Null]]).unwrap();
    let error = run.table(&place("", 1), "t", &["a", "b"], &[vec![Metric::Int(1)]]).unwrap_err();
    assert_eq!(error.to_string(), r#"table "t", row 1: expected 2 values, one per column, got 1"#);
    assert_eq!(run.defined, HashSet::from(["h", "../t"].map(str::to_string)));
    let tables = std::fs::read_dir(run.fragment.files().join("media/table")).unwrap();
    assert_eq!(tables.count(), 1);
    let output = folder.path().join("output.log");
    std::fs::write(&output, "").unwrap();
    assert!(run.file(&output).unwrap_err().to_string().contains("has a name that W&B keeps for a file of its own"));
}
