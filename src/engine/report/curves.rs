//! How training went: the numbers of `metrics.jsonl`, stage by stage, a panel each, run over run.

mod derived;
mod known;

use serde::Serialize;

use self::derived::Derived;
use self::known::{FURTHER, KNOWN, SILENT};
use super::runs::RunFolder;
use super::{smooth, titles, words};
use crate::engine::eval::interval;

/// The panels of one stage.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    pub name: String,
    pub title: String,
    /// What the horizontal axis counts.
    pub axis: &'static str,
    /// Steps of the longest run, each once however many rows are about it.
    pub steps: usize,
    pub groups: Vec<Group>,
    /// Keys that never changed, with what they were.
    pub constant: Vec<String>,
    /// Whether any line has a smoothed one over it.
    pub smoothed: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Empty where the stage has few panels.
    pub title: &'static str,
    pub panels: Vec<Panel>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Panel {
    pub key: String,
    pub title: String,
    /// The unit, and what the shaded band is.
    pub note: String,
    /// What else has the same numbers throughout.
    #[serde(skip)]
    pub also: Vec<&'static str>,
    pub series: Vec<Series>,
}

/// A run's line.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub run: usize,
    pub run_name: String,
    #[serde(skip)]
    pub points: Vec<Point>,
    /// Of how many points the smoothed line is the mean: a number that is told each 100th step has a line of its own length.
    #[serde(skip)]
    pub window: Option<usize>,
    pub numbers: Numbers,
}

#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub place: f64,
    /// Not a number where there is a gap.
    pub value: f64,
    pub band: Option<(f64, f64)>,
}

/// A line in words.
#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    pub n: usize,
    pub first: f64,
    pub last: f64,
    pub least: f64,
    pub most: f64,
}

/// So few panels are seen at a glance, without headings between them.
const FEW: usize = 9;

/// Every stage that any run logged, in the order of their first lines.
pub fn stages(runs: &[RunFolder], level: f64) -> Vec<Stage> {
    let mut names: Vec<&str> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.metrics) {
        if !names.contains(&row.stage.as_str()) {
            names.push(&row.stage);
        }
    }
    names.into_iter().map(|name| stage(name, runs, level)).collect()
}

fn stage(name: &str, runs: &[RunFolder], level: f64) -> Stage {
    let rows: Vec<Vec<Derived>> =
        runs.iter().map(|run| run.metrics.iter().filter(|row| row.stage == name).map(Derived::of).collect()).collect();
    let environments: Vec<&String> =
        runs.iter().filter_map(|run| run.summary.as_ref()).flat_map(|summary| &summary.environments).collect();
    let keys = keys(&rows, &environments);
    let (mut panels, mut constant) = (Vec::new(), Vec::new());
    for (rank, key) in keys {
        let panel = panel(&key, rank, &rows, runs, level);
        match panel.constant() {
            Some(value) => constant.push(format!("{} {}", panel.title, words::brief(value))),
            None => panels.push((rank, panel)),
        }
    }
    merge_alike(&mut panels);
    let steps = rows.iter().map(|rows| steps(rows)).max().unwrap_or_default();
    let mut told = runs.iter().flat_map(|run| &run.metrics).filter(|row| row.stage == name);
    let axis = told.next().map_or("step", |row| row.unit);
    let title = titles::of_stage(name);
    let smoothed = panels.iter().flat_map(|(_, panel)| &panel.series).any(|series| series.window.is_some());
    Stage { name: name.to_string(), title, axis, steps, groups: groups(panels), constant, smoothed }
}

fn steps(rows: &[Derived]) -> usize {
    let mut places: Vec<f64> = rows.iter().map(|row| row.place).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    places.len()
}

fn groups(panels: Vec<(usize, Panel)>) -> Vec<Group> {
    let few = panels.len() <= FEW;
    let mut groups: Vec<Group> = Vec::new();
    for (rank, panel) in panels {
        let title = match KNOWN.get(rank) {
            None => FURTHER,
            Some(_) if few => "",
            Some((group, ..)) => group,
        };
        match groups.last_mut() {
            Some(last) if last.title == title => last.panels.push(panel),
            _ => groups.push(Group { title, panels: vec![panel] }),
        }
    }
    groups
}

/// The keys to be shown with their rank in [`KNOWN`], in that order; those of environments as the evaluation orders them.
fn keys(rows: &[Vec<Derived>], environments: &[&String]) -> Vec<(usize, String)> {
    let mut keys: Vec<(usize, String)> = Vec::new();
    for key in rows.iter().flatten().flat_map(|row| row.values.keys()) {
        let family = key.split('.').next().unwrap_or(key);
        let rank = KNOWN.iter().position(|(_, known, ..)| *known == family).unwrap_or(KNOWN.len());
        if !SILENT.contains(&family) && !keys.iter().any(|(_, other)| other == key) {
            keys.push((rank, key.clone()));
        }
    }
    keys.sort_by_cached_key(|(rank, key)| {
        let env = key.split_once('.').map_or("", |(_, env)| env);
        let place = environments.iter().position(|known| *known == env).unwrap_or(environments.len());
        (*rank, place, key.clone())
    });
    keys
}

fn panel(key: &str, rank: usize, rows: &[Vec<Derived>], runs: &[RunFolder], level: f64) -> Panel {
    let (family, env) = key.split_once('.').unwrap_or((key, ""));
    let series: Vec<Series> = rows
        .iter()
        .enumerate()
        .filter_map(|(run, rows)| {
            let points: Vec<Point> = rows.iter().filter_map(|row| point(row, key, family, env, level)).collect();
            let numbers = Numbers::of(&points)?;
            let window = smooth::window(points.len());
            Some(Series { run, run_name: runs[run].name.clone(), points, window, numbers })
        })
        .collect();
    let (title, unit) = KNOWN.get(rank).map_or((key, ""), |(_, _, title, unit)| (*title, *unit));
    let band = episodes(rows, env).filter(|_| series.iter().any(Series::has_band));
    let band = band.map(|n| format!("band: {} Beta interval, n = {n}", words::percent(level)));
    let note =
        [(!unit.is_empty()).then(|| unit.to_string()), band].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let title = if rank < KNOWN.len() && !env.is_empty() { format!("{title}, {env}") } else { title.to_string() };
    Panel { key: key.to_string(), title, note, also: Vec::new(), series }
}

/// Of how many episodes an environment's numbers of an iteration are: `64`, `60 to 64`.
fn episodes(rows: &[Vec<Derived>], env: &str) -> Option<String> {
    let key = format!("episodes_by_env.{env}");
    let counts = || rows.iter().flatten().filter_map(|row| row.values.get(&key).map(|n| *n as u64));
    let (least, most) = (counts().min()?, counts().max()?);
    let range = if least == most { String::new() } else { format!("{} to ", words::thousands(least)) };
    Some(format!("{range}{}", words::thousands(most)))
}

/// A share of episodes, or a mean of scores on 0..1, has the interval of every other score of affine.
fn point(row: &Derived, key: &str, family: &str, env: &str, level: f64) -> Option<Point> {
    let value = *row.values.get(key)?;
    let has_interval = matches!(family, "success_mean" | "score_mean") && (0.0..=1.0).contains(&value);
    let episodes = row.values.get(&format!("episodes_by_env.{env}")).filter(|n| has_interval && **n >= 1.0);
    let band = episodes.map(|n| interval(value * n, *n as u64, level));
    Some(Point { place: row.place, value, band })
}

/// What is the same of an environment that gives 1 for a success and 0 for all else: the first one says it all.
const ALIKE: [(&str, &str); 3] =
    [("success_mean", "success rate"), ("score_mean", "mean score"), ("reward_mean", "mean reward")];

fn merge_alike(panels: &mut Vec<(usize, Panel)>) {
    let mut merged: Vec<(usize, Panel)> = Vec::new();
    for (rank, panel) in panels.drain(..) {
        let first = merged.iter_mut().find(|(_, first)| first.is_alike(&panel));
        match (first, panel.alike()) {
            (Some((_, first)), Some((_, name))) => first.also.push(name),
            _ => merged.push((rank, panel)),
        }
    }
    *panels = merged;
    for (_, panel) in panels.iter_mut().filter(|(_, panel)| !panel.also.is_empty()) {
        let ending = if panel.note.is_empty() { String::new() } else { format!("; {}", panel.note) };
        panel.note = format!("also the {}{ending}", words::list(&panel.also));
    }
}

impl Panel {
    /// Its family among those that may be alike.
    fn alike(&self) -> Option<(&'static str, &'static str)> {
        ALIKE.into_iter().find(|(family, _)| self.key.split('.').next() == Some(family))
    }

    fn is_alike(&self, other: &Panel) -> bool {
        let env = |panel: &Panel| panel.key.split_once('.').map(|(_, env)| env.to_string());
        let values = |panel: &Panel| -> Vec<f64> { panel.series.iter().flat_map(Series::values).collect() };
        let both = self.alike().is_some() && other.alike().is_some() && env(self).is_some();
        both && env(self) == env(other) && values(self) == values(other)
    }

    /// The value of a line that never moves, the same in all runs.
    fn constant(&self) -> Option<f64> {
        let first = self.series.first().map_or(f64::NAN, |series| series.numbers.first);
        let numbers = || self.series.iter().map(|series| &series.numbers);
        let is_flat = numbers().all(|of| of.least == of.most && of.first == first);
        (is_flat && numbers().any(|of| of.n > 1)).then_some(first)
    }
}

impl Series {
    fn has_band(&self) -> bool {
        self.points.iter().any(|point| point.band.is_some())
    }

    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.value)
    }
}

impl Numbers {
    /// `None` where no point is a number.
    fn of(points: &[Point]) -> Option<Self> {
        let finite: Vec<f64> = points.iter().map(|point| point.value).filter(|value| value.is_finite()).collect();
        Some(Numbers {
            n: finite.len(),
            first: *finite.first()?,
            last: *finite.last()?,
            least: finite.iter().copied().reduce(f64::min)?,
            most: finite.iter().copied().reduce(f64::max)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stage_of(rows: &[Value]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.path().join("metrics.jsonl"), text).unwrap();
        stages(&[RunFolder::read(folder.path()).unwrap()], 0.8).remove(0)
    }

    fn iteration(number: u64, score: f64) -> Value {
        json!({
            "stage": "rl", "iteration": number, "score_mean": { "sat": score }, "success_mean": { "sat": score },
            "reward_mean": { "sat": 10.0 * score }, "episodes_by_env": { "sat": 60 + number }, "tokens_mean": { "sat": 10 },
            "tokens": 100, "seconds": 3.0, "rollout_seconds": 1.0 + number as f64 / 10.0, "own": number, "failed": 0,
        })
    }

    #[test]
    fn shares_of_episodes_have_their_intervals_and_the_same_numbers_are_shown_once() {
        let stage = stage_of(&[iteration(1, 0.25), iteration(2, 0.5)]);
        let panels: Vec<&Panel> = stage.groups.iter().flat_map(|group| &group.panels).collect();
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles[..2], ["Success rate, sat", "Mean reward, sat"]);
        assert_eq!(panels[0].note, "also the mean score; band: 80 % Beta interval, n = 61 to 62");
        assert_eq!(panels[0].series[0].points[1].band, Some(interval(31.0, 62, 0.8)));
        assert_eq!(panels[1].series[0].points[1].band, None);
        assert_eq!(stage.groups.last().map(|group| (group.title, group.panels.len())), Some((FURTHER, 1)));
        assert_eq!(stage.constant, ["Failed episodes 0", "Tokens, sat 10"]);
    }

    #[test]
    fn speed_is_that_of_playing_and_of_training() {
        let stage = stage_of(&[iteration(1, 0.25), iteration(2, 0.5)]);
        let first = |key: &str| {
            let mut panels = stage.groups.iter().flat_map(|group| &group.panels);
            panels.find(|panel| panel.key == key).unwrap().series[0].numbers.first
        };
        assert!((first("tokens_per_second") - 100.0 / 1.9).abs() < 1e-9);
        assert!((first("playing_tokens_per_second") - 610.0 / 1.1).abs() < 1e-9);
    }

    #[test]
    fn a_sparse_line_has_a_window_of_its_own() {
        let row = |step: u64| {
            let mut row = json!({ "stage": "own", "iteration": step, "loss": 1.0 / step as f64 });
            if step.is_multiple_of(100) {
                row["eval_loss"] = json!(1.0 / step as f64);
            }
            row
        };
        let rows: Vec<Value> =
            (1..=1000).map(row).chain([json!({ "stage": "own", "iteration": 1000, "x": 1 })]).collect();
        let stage = stage_of(&rows);
        let panels: Vec<&Panel> = stage.groups.iter().flat_map(|group| &group.panels).collect();
        let windows: Vec<_> = panels
            .iter()
            .map(|panel| (panel.key.as_str(), panel.series[0].numbers.n, panel.series[0].window))
            .collect();
        assert_eq!(windows, [("loss", 1000, Some(41)), ("eval_loss", 10, None), ("x", 1, None)]);
        assert_eq!((stage.axis, stage.steps, stage.smoothed), ("iteration", 1000, true));
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let rows: Vec<Value> = [json!(1.0), Value::Null, json!(3.0)]
            .into_iter()
            .enumerate()
            .map(|(step, loss)| json!({ "stage": "sft", "step": step, "loss": loss }))
            .collect();
        let stage = stage_of(&rows);
        let series = &stage.groups[0].panels[0].series[0];
        assert!(series.points[1].value.is_nan());
        assert_eq!((series.numbers.n, series.numbers.last), (2, 3.0));
    }
}
