//! The page: one context, rendered as HTML with its style and script inside, and as Markdown.

mod drawings;
mod template;

use base64::Engine as _;
use serde::Serialize;
use sha2::{Digest, Sha256};

use self::drawings::Drawings;
use self::template::render;
use super::curves::{self, Stage};
use super::paired::{Contest, Pairing};
use super::runs::RunFolder;
use super::scores::{Matrix, Scores};
use super::settings::{self, Table};
use super::summary::Sampling;
use super::transcripts::{LeftOut, Transcripts};
use super::verdict::{self, KeptApart};
use super::words;
use crate::engine::Result;
use crate::engine::eval::compare::CompareOptions;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// Room for the sentence that says what was left out, in bytes.
const SENTENCE: usize = 400;

/// Everything that is said, in numbers; the templates say how.
#[derive(Debug, Serialize)]
pub struct Context {
    affine: &'static str,
    made: String,
    /// `80 %`, of the intervals made here.
    level: String,
    runs: Vec<RunHead>,
    judged: Vec<Judged>,
    scores: Option<Scores>,
    pairings: Vec<Pairing>,
    /// Why somebody is not compared task by task.
    unpaired: Vec<String>,
    matrices: Vec<Matrix>,
    stages: Vec<Stage>,
    settings: Option<Table>,
    versions: Option<Table>,
}

#[derive(Debug, Serialize)]
struct RunHead {
    name: String,
    unfinished: bool,
    judged: bool,
    episodes: usize,
    remarks: Vec<String>,
}

/// What an evaluation was and said.
#[derive(Debug, Serialize)]
struct Judged {
    run_name: String,
    environments: String,
    sampling: Sampling,
    /// The protocols' hashes by environment, of the sampled scores.
    protocols: Vec<(String, String)>,
    verdict: String,
    paired: Option<String>,
    /// A sentence an environment.
    as_served: Vec<String>,
    /// A line for each model and environment.
    metrics: Vec<String>,
    false_alarms: Option<String>,
    kept_apart: KeptApart,
}

impl Context {
    pub fn of(runs: &[RunFolder], contest: &Contest, level: f64) -> Result<Self> {
        let compare = CompareOptions { level, ..CompareOptions::default() };
        let pairings = contest.comparisons(&compare)?;
        // The pairings of a run begin with its last model against the one before it.
        let first = |run: usize| pairings.iter().find(|pairing| pairing.run == run);
        let judged = runs.iter().enumerate().filter_map(|(i, run)| Judged::of(run, first(i), level)).collect();
        Ok(Context {
            affine: env!("CARGO_PKG_VERSION"),
            made: chrono::Local::now().format("%Y-%m-%d %H:%M").to_string(),
            level: words::percent(level),
            runs: runs.iter().map(RunHead::of).collect(),
            judged,
            scores: Scores::of(runs),
            pairings,
            unpaired: contest.remarks.clone(),
            matrices: runs.iter().filter_map(Matrix::of).collect(),
            stages: curves::stages(runs, level),
            settings: settings::table(runs, |run| run.config.as_ref()),
            versions: settings::table(runs, |run| run.versions.as_ref()),
        })
    }
}

impl RunHead {
    fn of(run: &RunFolder) -> Self {
        RunHead {
            name: run.name.clone(),
            unfinished: run.unfinished,
            judged: run.summary.is_some(),
            episodes: run.episodes.rows.len(),
            remarks: run.remarks.clone(),
        }
    }
}

impl Judged {
    fn of(run: &RunFolder, paired: Option<&Pairing>, level: f64) -> Option<Self> {
        let summary = run.summary.as_ref()?;
        let last = summary.order.last()?;
        let protocol = |env: &String| {
            let hash = summary.models.get(last)?.get(env)?.protocol.as_ref()?;
            Some((env.clone(), hash.chars().take(12).collect()))
        };
        Some(Judged {
            run_name: run.name.clone(),
            environments: words::list(&summary.environments),
            sampling: summary.sampling.clone(),
            protocols: summary.environments.iter().filter_map(protocol).collect(),
            verdict: verdict::sentence(summary),
            paired: paired.and_then(|pairing| verdict::paired_sentence(pairing, level)),
            as_served: verdict::as_served(summary),
            metrics: verdict::metrics(summary),
            false_alarms: verdict::false_alarms(summary),
            kept_apart: verdict::kept_apart(summary),
        })
    }
}

/// The HTML in at most `max_bytes`, as far as leaving out transcripts and the numbers at the points of curves helps.
pub fn html(context: &Context, transcripts: &Transcripts, max_bytes: usize) -> Result<String> {
    let drawn = |marked| Drawings::of(context.scores.as_ref(), &context.pairings, &context.stages, marked);
    // Episodes are worth more than numbers that the curves show anyway.
    let marked = Some(drawn(true)).filter(|figures| figures.bytes() <= max_bytes / 2);
    let page = marked.map(|figures| rendered(context, transcripts, figures, max_bytes)).transpose()?;
    let page = match page.filter(|page| page.len() <= max_bytes) {
        Some(page) => page,
        None => rendered(context, transcripts, drawn(false), max_bytes)?,
    };
    if page.len() > max_bytes {
        let (bytes, most) = (words::thousands(page.len() as u64), words::thousands(max_bytes as u64));
        tracing::warn!("the report has {bytes} bytes, more than {most}: nothing more can be left out");
    }
    Ok(page)
}

fn rendered(context: &Context, transcripts: &Transcripts, figures: Drawings, max_bytes: usize) -> Result<String> {
    let mut page = Page {
        context,
        figures,
        data: String::new(),
        left_out: LeftOut::default(),
        max_bytes: max_bytes as u64,
        style: STYLE,
        script: SCRIPT,
        style_hash: hash(STYLE),
        script_hash: hash(SCRIPT),
    };
    if !transcripts.is_empty() {
        // The page as it will be, but for the transcripts themselves.
        page.data = "{}".to_string();
        let frame = render("report.html", &page)?.len() + SENTENCE;
        let fitted = transcripts.within(max_bytes.saturating_sub(frame))?;
        (page.data, page.left_out) = (fitted.json, fitted.left_out);
    }
    render("report.html", &page)
}

pub fn markdown(context: &Context) -> Result<String> {
    Ok(format!("{}\n", render("report.md", context)?.trim_end()))
}

/// What the HTML has beside the numbers.
#[derive(Debug, Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    context: &'a Context,
    figures: Drawings,
    /// The transcripts, as JSON for the script; empty where there are none.
    data: String,
    left_out: LeftOut,
    max_bytes: u64,
    style: &'a str,
    script: &'a str,
    style_hash: String,
    script_hash: String,
}

/// What a policy of content security knows an inline text by.
fn hash(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()))
}
