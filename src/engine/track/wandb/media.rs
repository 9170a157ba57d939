//! Tables, histograms and files as `wandb.Table`, `wandb.Histogram` and `wandb.save` make them.

use std::path::Path;

use super::fragment::Fragment;
use crate::engine::file::{create_folder, reason, sha256, write_atomic};
use crate::engine::track::metric::{Metric, Metrics};
use crate::engine::{Error, Result};

/// What W&B writes itself among a run's files.
const RESERVED: [&str; 5] =
    ["output.log", "config.yaml", "wandb-summary.json", "wandb-metadata.json", "requirements.txt"];

/// Writes a table's file: its path below the fragment's files, and what is logged of it.
pub fn table(
    fragment: &Fragment,
    name: &str,
    row: u64,
    columns: &[&str],
    rows: &[Vec<Metric>],
) -> Result<(String, Metric)> {
    if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != columns.len()) {
        return Err(Error::message(format!(
            "table {name:?}, row {}: expected {} values, one per column, got {}",
            index + 1,
            columns.len(),
            row.len()
        )));
    }
    let list = |items: &[Metric]| Metric::List(items.to_vec());
    let columns: Vec<Metric> = columns.iter().map(|column| Metric::Text(column.to_string())).collect();
    let content = Metric::Nested(vec![
        ("columns".to_string(), list(&columns)),
        ("data".to_string(), Metric::List(rows.iter().map(|row| list(row)).collect())),
    ]);
    let json = content.to_json();
    let hash = sha256(json.as_bytes());
    let path = format!("media/table/{}_{row}_{}.table.json", file_name(name), &hash[..20]);
    let file = fragment.files().join(&path);
    create_folder(file.parent().unwrap_or(&file))?;
    write_atomic(&file, json.as_bytes())?;
    let int = |value: usize| Metric::Int(value as i64);
    let logged = [
        ("_type", Metric::Text("table-file".to_string())),
        ("sha256", Metric::Text(hash)),
        ("size", int(json.len())),
        ("path", Metric::Text(path.clone())),
        ("ncols", int(columns.len())),
        ("nrows", int(rows.len())),
        ("log_mode", Metric::Text("IMMUTABLE".to_string())),
    ];
    Ok((path, Metric::Nested(logged.map(|(key, value)| (key.to_string(), value)).into())))
}

/// A name as a path below the media folder, whose folders may only be its own.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_./ ".contains(c) { c } else { '_' };
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.map(|part| part.chars().map(safe).collect()).collect::<Vec<String>>().join("/")
}

/// Copies a file to the run's files; its path below them.
pub fn keep(fragment: &Fragment, path: &Path) -> Result<String> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(Error::file(path, "is no file that W&B could keep: its name is not UTF-8"));
    };
    if RESERVED.contains(&name) {
        return Err(Error::file(path, "has a name that W&B keeps for a file of its own: it needs another one"));
    }
    let copied = std::fs::copy(path, fragment.files().join(name));
    copied.map_err(|e| Error::file(path, format!("cannot be copied to the W&B run: {}", reason(&e))))?;
    Ok(name.to_string())
}

/// `wandb.Histogram`: 64 bins of one width, as NumPy counts them. Nothing where no value is finite.
pub fn histogram(values: &[f64]) -> Option<Metric> {
    const BINS: usize = 64;
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
    let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
    let width = (high - low) / BINS as f64;
    let mut edges: Vec<f64> = (0..=BINS).map(|index| index as f64 * width + low).collect();
    edges[BINS] = high;
    let mut counts = [0i64; BINS];
    for value in finite() {
        let index = ((value - low) / (high - low) * BINS as f64) as usize;
        let mut index = index.min(BINS - 1);
        // What rounding put beside its bin.
        if value < edges[index] {
            index -= 1;
        } else if index + 1 < BINS && value >= edges[index + 1] {
            index += 1;
        }
        counts[index] += 1;
    }
    let logged: Metrics = vec![
        ("_type".to_string(), Metric::Text("histogram".to_string())),
        ("values".to_string(), Metric::List(counts.map(Metric::Int).into())),
        ("bins".to_string(), Metric::List(edges.into_iter().map(Metric::Float).collect())),
    ];
    Some(Metric::Nested(logged))
}
