//! Rows in a Parquet file, read row by row without Arrow.

use std::fs::File;
use std::path::Path;

use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};

use super::{Broken, Cell};
use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

/// All rows; what goes wrong inside the file after its footer was read breaks the rows from there on, not those before.
pub fn read<C: Cell>(path: &Path) -> Result<Vec<Result<C, Broken>>> {
    let wrong = |error: ParquetError| Error::file(path, format!("no Parquet file, or cut short: {error}"));
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let reader = SerializedFileReader::new(file).map_err(wrong)?;
    known_codec(path, &reader)?;
    let count = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or_default();
    let mut rows = Vec::new();
    let mut problem = "the file ends before this row".to_string();
    for row in reader.get_row_iter(None).map_err(wrong)? {
        match row {
            Ok(row) => rows.push(Ok(object(&row))),
            Err(error) => {
                problem = error.to_string();
                break;
            }
        }
    }
    rows.resize_with(count.max(rows.len()), || Err(Broken::Because(format!("missing: {problem}"))));
    Ok(rows)
}

/// LZO is the one codec of the format that no permissive library reads; pyarrow writes it neither.
fn known_codec(path: &Path, reader: &SerializedFileReader<File>) -> Result<()> {
    let mut columns = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    match columns.find(|column| column.compression() == Compression::LZO) {
        Some(column) => Err(Error::file(
            path,
            format!(
                "its column `{}` is compressed with LZO, which affine does not read: expected none, Snappy, gzip, Brotli, LZ4 \
                 or Zstandard",
                column.column_path().string()
            ),
        )),
        None => Ok(()),
    }
}

fn object<C: Cell>(row: &Row) -> C {
    C::object(row.get_column_iter().map(|(name, field)| (C::text(name.clone()), value(field))).collect())
}

fn value<C: Cell>(field: &Field) -> C {
    match field {
        Field::Null => C::null(),
        Field::Bool(truth) => C::boolean(*truth),
        Field::Byte(n) => C::integer((*n).into()),
        Field::Short(n) => C::integer((*n).into()),
        Field::Int(n) => C::integer((*n).into()),
        Field::Long(n) => C::integer((*n).into()),
        Field::UByte(n) => C::integer((*n).into()),
        Field::UShort(n) => C::integer((*n).into()),
        Field::UInt(n) => C::integer((*n).into()),
        Field::ULong(n) => C::integer((*n).into()),
        Field::Float(number) => C::float(f64::from(*number)),
        Field::Double(number) => C::float(*number),
        Field::Str(text) => C::text(text.clone()),
        Field::Bytes(bytes) => C::bytes(bytes.data()),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => C::list(list.elements().iter().map(value).collect()),
        Field::MapInternal(map) => C::object(map.entries().iter().map(|(k, v)| (value(k), value(v))).collect()),
        // Dates, times and decimals have no place in a row; as text they are named when they are found there.
        other => C::text(other.to_string()),
    }
}
