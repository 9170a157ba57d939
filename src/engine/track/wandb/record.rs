//! The messages of a `.wandb` file that trackers write, with the field numbers of `wandb/proto/wandb_internal.proto`.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct Record {
    #[prost(int64, tag = "1")]
    pub num: i64,
    #[prost(message, optional, tag = "16")]
    pub control: Option<Control>,
    #[prost(oneof = "Kind", tags = "2, 3, 6, 12, 13, 17, 18, 21")]
    pub kind: Option<Kind>,
}

impl Record {
    pub fn new(num: i64, kind: Kind) -> Record {
        // As the SDK does: without it, an upload by wandb 0.28 never ends.
        let is_answered = matches!(kind, Kind::Run(_) | Kind::Exit(_));
        let control = is_answered.then(|| Control { mailbox_slot: format!("affine-{num}") });
        Record { num, control, kind: Some(kind) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct Control {
    /// Where an answer goes.
    #[prost(string, tag = "4")]
    pub mailbox_slot: String,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    #[prost(message, tag = "2")]
    History(History),
    #[prost(message, tag = "3")]
    Summary(Summary),
    #[prost(message, tag = "6")]
    Files(Files),
    #[prost(message, tag = "12")]
    Metric(MetricDefinition),
    #[prost(message, tag = "13")]
    Output(Output),
    #[prost(message, boxed, tag = "17")]
    Run(Box<Run>),
    #[prost(message, tag = "18")]
    Exit(Exit),
    #[prost(message, tag = "21")]
    Header(Header),
}

#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(message, optional, tag = "1")]
    pub version: Option<Version>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Version {
    #[prost(string, tag = "1")]
    pub producer: String,
    #[prost(string, tag = "2")]
    pub min_consumer: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Run {
    #[prost(string, tag = "1")]
    pub run_id: String,
    #[prost(string, tag = "2")]
    pub entity: String,
    #[prost(string, tag = "3")]
    pub project: String,
    #[prost(message, optional, tag = "4")]
    pub config: Option<Config>,
    #[prost(string, tag = "6")]
    pub group: String,
    #[prost(string, tag = "7")]
    pub job_type: String,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(string, tag = "9")]
    pub notes: String,
    #[prost(string, repeated, tag = "10")]
    pub tags: Vec<String>,
    #[prost(string, tag = "13")]
    pub host: String,
    #[prost(message, optional, tag = "17")]
    pub start_time: Option<Timestamp>,
    #[prost(bool, tag = "18")]
    pub resumed: bool,
}

/// A value under the names that lead to it, as JSON. In configurations and results of the whole run it has a `key`.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, repeated, tag = "2")]
    pub path: Vec<String>,
    #[prost(string, tag = "16")]
    pub json: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Config {
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
pub struct History {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    pub step: Option<HistoryStep>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct HistoryStep {
    #[prost(int64, tag = "1")]
    pub num: i64,
}

/// Along which other metric a metric is drawn.
#[derive(Clone, PartialEq, Message)]
pub struct MetricDefinition {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub step_metric: String,
    #[prost(message, optional, tag = "6")]
    pub options: Option<MetricOptions>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct MetricOptions {
    #[prost(bool, tag = "1")]
    pub step_sync: bool,
    /// That somebody defined it, as against what W&B guesses.
    #[prost(bool, tag = "3")]
    pub defined: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Files {
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FilesItem>,
}

/// The path is below the fragment's `files/`. Without a policy the file is uploaded at once.
#[derive(Clone, PartialEq, Message)]
pub struct FilesItem {
    #[prost(string, tag = "1")]
    pub path: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Output {
    /// 0 for the error output, 1 for the standard output.
    #[prost(int32, tag = "1")]
    pub stream: i32,
    #[prost(message, optional, tag = "2")]
    pub time: Option<Timestamp>,
    #[prost(string, tag = "3")]
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Exit {
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    /// In seconds.
    #[prost(int32, tag = "2")]
    pub runtime: i32,
}

#[derive(Clone, Copy, PartialEq, PartialOrd, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<f64> for Timestamp {
    /// Of seconds since 1970, to the microsecond: more a float does not hold.
    fn from(time: f64) -> Self {
        let micros = (time * 1e6).round() as i64;
        Timestamp { seconds: micros.div_euclid(1_000_000), nanos: micros.rem_euclid(1_000_000) as i32 * 1000 }
    }
}

impl From<Timestamp> for f64 {
    fn from(time: Timestamp) -> f64 {
        time.seconds as f64 + f64::from(time.nanos) / 1e9
    }
}
