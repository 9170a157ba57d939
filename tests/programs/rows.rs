//! Rows from files, folders, indices and addresses.

use std::path::Path;

use affine::engine::env::Environment;
use affine::engine::env::programs::row::Row;
use affine::engine::env::programs::rows::Rows;
use serde_json::{Value, json};

use super::abd;
use crate::setup::serve;

fn row(n: usize) -> Value {
    json!({ "program": format!("print({n})"), "inputs": "", "output": n.to_string() })
}

fn open(path: &Path) -> Rows {
    Rows::open(&path.display().to_string()).unwrap()
}

fn programs(rows: &Rows) -> Vec<String> {
    let name = |id| {
        rows.row(id).map_or_else(|e| e.to_string(), |row| row.program.as_ref().unwrap().as_text().unwrap().to_string())
    };
    (0..rows.len() as u64).map(name).collect()
}

#[test]
fn broken_lines_keep_their_number_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let mut bytes = format!("{}\n{{\"program\": \n\n", row(0)).into_bytes();
    bytes.extend(b"{\"program\": \"\xff\"}\n[1]\n{\"question\": 1}\n");
    bytes.extend(format!("{}\n", row(6)).into_bytes());
    std::fs::write(&path, bytes).unwrap();
    let rows = open(&path);
    assert_eq!(rows.len(), 7);
    let name = path.display();
    let report = rows.report(Row::abd_problem).to_string();
    for expected in [
        format!("{name}: 5 of 7 rows cannot be played: {name}: line 2: not JSON: "),
        format!("{name}: line 3: a blank line; {name}: line 4: not UTF-8 from byte 14; "),
        format!("{name}: line 5: expected an object, got a list; {name}: line 6: none of the fields program, "),
    ] {
        assert!(report.contains(&expected), "{expected} is not in {report}");
    }
    assert_eq!(rows.row(6).unwrap().output.as_ref().unwrap().as_text(), Some("6"));
    let error = rows.row(2).unwrap_err().to_string();
    assert_eq!(error, format!("{name}: line 3: a blank line"));
}

#[test]
fn a_file_in_which_nothing_is_a_row_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"question\": 1}\n{\"question\": 2}\n").unwrap();
    let error = Rows::open(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("none of its 2 rows can be read; ") && error.contains("line 1: none of the fields"),
        "{error}"
    );
    std::fs::write(&path, "").unwrap();
    assert!(Rows::open(path.to_str().unwrap()).unwrap_err().to_string().ends_with(": it holds no rows"));
    let error = Rows::open("/nowhere/rows.jsonl").unwrap_err().to_string();
    assert_eq!(error, "/nowhere/rows.jsonl: cannot be read: no such file");
    let text = folder.path().join("rows.txt");
    std::fs::write(&text, "x").unwrap();
    assert!(
        Rows::open(text.to_str().unwrap()).unwrap_err().to_string().contains("expected a file that ends in .jsonl")
    );
}

#[test]
fn json_lists_and_folders_are_read_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.json"), json!([row(2)]).to_string()).unwrap();
    std::fs::write(folder.path().join("a.json"), json!([row(0), row(1)]).to_string()).unwrap();
    assert_eq!(programs(&open(folder.path())), ["print(0)", "print(1)", "print(2)"]);
}

/// The file was made by pyarrow 26.0.1 (`pq.write_table(table, "rows.parquet", compression="snappy", row_group_size=2)`)
/// from the rows `[row(0), row(1), {…, "output": None}]`; `…_zstd` the same with zstd.
#[test]
fn parquet_files_are_read_row_by_row() {
    for name in ["rows_snappy.parquet", "rows_zstd.parquet"] {
        let path = crate::golden::path("affine").join(name);
        let rows = open(&path);
        assert_eq!(programs(&rows), ["print(0)", "print(1)", "print(2)"], "{name}");
        assert_eq!(rows.row(2).unwrap().abd_problem(), None);
    }
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.parquet");
    let whole = std::fs::read(crate::golden::path("affine/rows_snappy.parquet")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let error = Rows::open(cut.to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("cut.parquet: no Parquet file, or cut short"), "{error}");
}

fn index() -> Value {
    json!({ "total_rows": 5, "files": [
        { "key": "affine/datasets/rl/part-1.json", "row_count": 2 },
        { "filename": "affine/datasets/rl/part-0.json", "row_count": 3 },
    ] })
}

#[test]
fn the_rows_of_a_shard_that_is_half_there_keep_the_numbers_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let whole = json!([row(0), row(1), row(2)]).to_string();
    write("index.json", &index().to_string());
    write("part-0.json", &whole[..whole.len() - 20]);
    write("part-1.json", &json!([row(3), row(4)]).to_string());
    let rows = open(folder.path());
    let programs = programs(&rows);
    assert_eq!((programs.len(), programs[0].as_str(), programs[4].as_str()), (5, "print(0)", "print(4)"));
    assert!(programs[2].contains("part-0.json: row 2: missing: "), "{}", programs[2]);
    std::fs::remove_file(folder.path().join("part-1.json")).unwrap();
    let report = open(folder.path()).report(Row::abd_problem);
    assert_eq!(report.broken, 3);
}

#[test]
fn an_index_behind_an_address_is_read_with_its_shards() {
    let server = serve(vec![
        ("/affine/datasets/rl/index.json", index().to_string().into_bytes()),
        ("/affine/datasets/rl/part-0.json", json!([row(0), row(1), row(2)]).to_string().into_bytes()),
        ("/affine/datasets/rl/part-1.json", json!([row(3), row(4)]).to_string().into_bytes()),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let script = format!(
        "local e = require('affine.env').make('abd', {{ data = '{server}/affine/datasets/rl/index.json' }})
         print(e:describe().num_tasks) print(e:reset(3))"
    );
    let output = crate::cli::affine().args(["-e", &script]).env("XDG_CACHE_HOME", cache.path()).output().unwrap();
    let text = crate::cli::stdout(&output);
    assert!(text.starts_with("5\n") && text.contains("print(3)"), "{text}{}", crate::cli::stderr(&output));
}

#[test]
fn rows_that_cannot_be_played_are_told_at_once() {
    let mut env = abd(&[row(0), json!({ "program": null, "output": "1" })]);
    assert_eq!(env.describe().num_tasks, Some(2));
    let error = env.reset(1).unwrap_err().to_string();
    assert_eq!(error, "environment abd: task 1 cannot be played: its program is None, not a text");
}
