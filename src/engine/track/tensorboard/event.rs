//! The messages of an event file that trackers write, with the field numbers of TensorBoard's `event.proto` and
//! `summary.proto`.

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    Session(Session),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Session {
    /// 1: the run starts, and what is there of this step and later ones is void.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
    #[prost(oneof = "Datum", tags = "2, 5, 8")]
    pub datum: Option<Datum>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Datum {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "5")]
    Histogram(Histogram),
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(double, tag = "1")]
    pub min: f64,
    #[prost(double, tag = "2")]
    pub max: f64,
    #[prost(double, tag = "3")]
    pub num: f64,
    #[prost(double, tag = "4")]
    pub sum: f64,
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub strings: Vec<Vec<u8>>,
}

/// Without dimensions: of one value.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Shape {}

#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin: Option<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Plugin {
    #[prost(string, tag = "1")]
    pub name: String,
}

pub fn scalar(tag: String, value: f64) -> Value {
    Value { tag, metadata: None, datum: Some(Datum::Scalar(value as f32)) }
}

pub fn text(tag: String, text: &str) -> Value {
    const STRING: i32 = 7;
    let tensor = Tensor { dtype: STRING, shape: Some(Shape {}), strings: vec![text.as_bytes().to_vec()] };
    let metadata = Metadata { plugin: Some(Plugin { name: "text".to_string() }) };
    Value { tag, metadata: Some(metadata), datum: Some(Datum::Tensor(tensor)) }
}

pub fn histogram(tag: String, histogram: Histogram) -> Value {
    Value { tag, metadata: None, datum: Some(Datum::Histogram(histogram)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_tensorboard_writes() {
        // >>> from tensorboard.plugins.text import summary_v2
        // >>> summary_v2.text_pb("t", "hé").SerializeToString()
        let summary = Summary { values: vec![text("t".to_string(), "hé")] };
        let golden = b"\n\x18\n\x01tB\t\x08\x07\x12\x00B\x03h\xc3\xa9J\x08\n\x06\n\x04text";
        assert_eq!(summary.encode_to_vec(), golden);
    }
}
