//! Rows in a Parquet file, read row by row without Arrow.

use std::fs::File;
use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row as Record};

use crate::engine::env::programs::row::Row;
use crate::engine::env::python::Value;
use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

/// All rows; what goes wrong inside the file after its footer was read breaks the rows from there on, not those before.
pub fn read(path: &Path) -> Result<Vec<Result<Row, String>>> {
    let wrong =
        |error: ::parquet::errors::ParquetError| Error::file(path, format!("no Parquet file, or cut short: {error}"));
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let reader = SerializedFileReader::new(file).map_err(wrong)?;
    let count = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
    let mut rows = Vec::new();
    let mut problem = "the file ends before this row".to_string();
    for record in reader.get_row_iter(None).map_err(wrong)? {
        match record {
            Ok(record) => rows.push(Row::from_object(&object(&record))),
            Err(error) => {
                problem = error.to_string();
                break;
            }
        }
    }
    rows.resize_with(count.max(rows.len()), || Err(format!("missing: {problem}")));
    Ok(rows)
}

fn object(record: &Record) -> Value {
    Value::Dict(record.get_column_iter().map(|(name, field)| (Value::text(name), value(field))).collect())
}

fn value(field: &Field) -> Value {
    let int = |number: &dyn ToString| Value::Int(number.to_string());
    match field {
        Field::Null => Value::None,
        Field::Bool(truth) => Value::Bool(*truth),
        Field::Byte(n) => int(n),
        Field::Short(n) => int(n),
        Field::Int(n) => int(n),
        Field::Long(n) => int(n),
        Field::UByte(n) => int(n),
        Field::UShort(n) => int(n),
        Field::UInt(n) => int(n),
        Field::ULong(n) => int(n),
        Field::Float(number) => Value::Float(f64::from(*number)),
        Field::Double(number) => Value::Float(*number),
        Field::Str(text) => Value::text(text.as_str()),
        Field::Bytes(bytes) => Value::Bytes(bytes.data().to_vec()),
        Field::Group(record) => object(record),
        Field::ListInternal(list) => Value::List(list.elements().iter().map(value).collect()),
        Field::MapInternal(map) => Value::Dict(map.entries().iter().map(|(k, v)| (value(k), value(v))).collect()),
        // Dates, times and decimals have no place in a row; as text they are named when they are found there.
        other => Value::text(other.to_string()),
    }
}
