//! An index of shards: `{"total_rows": n, "files": [{"key" or "filename": …, "row_count": n}, …]}`, each shard a JSON list
//! of rows. A task id counts through the shards in the order of their keys.

use crate::engine::env::programs::row::Row;
use crate::engine::env::python::{Value, json};
use crate::engine::utf8;

pub struct Index {
    pub shards: Vec<Shard>,
}

pub struct Shard {
    pub key: String,
    row_count: usize,
}

impl Index {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = utf8::text(bytes).map_err(|problem| format!("the index is {problem}"))?;
        let index = json::parse(text).map_err(|problem| format!("the index is no JSON: {problem}"))?;
        let Some(Value::List(files)) = index.get("files") else {
            return Err("the index has no list \"files\"".to_string());
        };
        let mut shards = files.iter().enumerate().map(shard).collect::<Result<Vec<_>, _>>()?;
        shards.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Index { shards })
    }
}

fn shard((at, file): (usize, &Value)) -> Result<Shard, String> {
    let key = file.get("key").or(file.get("filename")).and_then(Value::as_text);
    let key = key.ok_or_else(|| format!("files[{at}] of the index has neither key nor filename"))?;
    let count = match file.get("row_count") {
        Some(Value::Int(digits)) => digits.parse().ok(),
        _ => None,
    };
    // Beyond ten million a count is damage, and would be taken as memory.
    let row_count = count.filter(|&count| count <= 10_000_000);
    let row_count = row_count.ok_or_else(|| format!("files[{at}] of the index has no row_count from 0 to 10000000"))?;
    Ok(Shard { key: key.to_string(), row_count })
}

impl Shard {
    /// The shard's rows, as many as the index says: those of a missing shard, or of one that is cut short, are broken, so
    /// that the rows of later shards keep their numbers.
    pub fn rows(&self, bytes: Result<Vec<u8>, String>) -> Vec<Result<Row, String>> {
        let (mut rows, problem) = match bytes {
            Err(problem) => (Vec::new(), Some(problem)),
            Ok(bytes) => rows_of_list(&bytes),
        };
        let found = rows.len();
        let problem = match problem {
            Some(problem) => problem,
            None => format!("the shard has {found} rows where the index says {}", self.row_count),
        };
        rows.truncate(self.row_count);
        rows.resize_with(self.row_count, || Err(format!("missing: {problem}")));
        rows
    }
}

/// The rows of a JSON list, as far as it goes, and what is wrong with the rest.
pub fn rows_of_list(bytes: &[u8]) -> (Vec<Result<Row, String>>, Option<String>) {
    let bytes = utf8::without_mark(bytes);
    // A download that broke off may end inside a character.
    let (text, whole) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), false),
    };
    let (items, problem) = json::parse_list_prefix(text);
    let problem = match problem {
        Some(_) if !whole => Some(format!("after {} bytes the file is no UTF-8", text.len())),
        other => other,
    };
    (items.iter().map(Row::from_object).collect(), problem)
}

/// The address of a shard: beside the index where its key names the index's folder, else from the host's root.
pub fn shard_address(index: &str, key: &str) -> String {
    let folder = index.rsplit_once('/').map_or(index, |(folder, _)| folder);
    match key.rsplit_once('/') {
        None => format!("{folder}/{key}"),
        Some((parent, name)) if folder.ends_with(parent) => format!("{folder}/{name}"),
        Some(_) => {
            let host_end = folder.find("://").map_or(0, |at| at + 3);
            let root = folder[host_end..].find('/').map_or(folder, |at| &folder[..host_end + at]);
            format!("{root}/{key}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_lie_beside_their_index_or_under_the_root() {
        let index = "http://host/affine/datasets/a/b/index.json";
        assert_eq!(shard_address(index, "affine/datasets/a/b/p-0.json"), "http://host/affine/datasets/a/b/p-0.json");
        assert_eq!(shard_address(index, "p-0.json"), "http://host/affine/datasets/a/b/p-0.json");
        assert_eq!(shard_address(index, "other/p-0.json"), "http://host/other/p-0.json");
    }

    #[test]
    fn an_index_of_another_form_is_refused_by_name() {
        let problem = |text: &str| Index::parse(text.as_bytes()).err().unwrap();
        assert_eq!(problem("[]"), "the index has no list \"files\"");
        assert_eq!(
            problem("{\"files\": [{\"key\": \"a\"}]}"),
            "files[0] of the index has no row_count from 0 to 10000000"
        );
        assert!(problem("{\"files\": [").starts_with("the index is no JSON"));
    }
}
