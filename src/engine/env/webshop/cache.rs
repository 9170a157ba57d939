//! Product files become a store once: it is kept on disk beside them and mapped at the next start.
//!
//! A kept store belongs to its files by a fingerprint: their names, sizes, times of change and samples of their
//! content, and how many products were wanted. Any difference, or another version of the format, makes it anew.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::load::ProductFiles;
use super::name::NAME;
use super::store::{BuildError, Store, StoreBuilder};
use crate::engine::{Error, Result, cancel, file};

/// How much of a file its fingerprint reads: this many pieces of this many bytes, spread evenly.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 1 << 14;

/// The store of a folder's product files. `folder` is where it is kept; `None` keeps it in memory alone.
pub fn open(files: &ProductFiles, num_products: Option<usize>, folder: Option<&Path>) -> Result<Store> {
    let fingerprint = fingerprint(files, num_products).map_err(|(path, e)| file::unreadable(path, &e))?;
    let Some(folder) = folder else {
        return in_memory(files, num_products, &fingerprint);
    };
    let path = folder.join(name(files, num_products));
    if let Some(store) = Store::map(&path)?.filter(|store| store.fingerprint() == fingerprint) {
        return Ok(store);
    }
    tracing::info!("reading {} and indexing its products, once", files.products.display());
    match write(files, num_products, &fingerprint, &path) {
        Ok(()) => {}
        Err(BuildError::Products(error)) => return Err(error),
        Err(BuildError::Writing(error)) => {
            let reason = file::reason(&error);
            tracing::warn!("{}: {reason}; the catalogue is kept in memory and made anew next time", path.display());
            return in_memory(files, num_products, &fingerprint);
        }
    }
    Store::map(&path)?.ok_or_else(|| Error::file(&path, "was written and cannot be read back"))
}

/// One name for a list of files, whatever is in them, so that a new store takes the place of the old one.
fn name(files: &ProductFiles, num_products: Option<usize>) -> String {
    let products = std::path::absolute(&files.products).unwrap_or_else(|_| files.products.clone());
    let hash = file::sha256(format!("{} {num_products:?}", products.display()).as_bytes());
    format!("affine-webshop-{}.store", &hash[..16])
}

fn in_memory(files: &ProductFiles, num_products: Option<usize>, fingerprint: &str) -> Result<Store> {
    match build(files, num_products, fingerprint, Vec::new()) {
        Ok(bytes) => Store::in_memory(bytes),
        Err(BuildError::Products(error)) => Err(error),
        Err(BuildError::Writing(error)) => Err(Error::environment(NAME, error)),
    }
}

fn build<W: io::Write>(
    files: &ProductFiles,
    num_products: Option<usize>,
    fingerprint: &str,
    out: W,
) -> Result<W, BuildError> {
    let mut builder = StoreBuilder::new(out);
    files.read(num_products, |product| -> Result<(), BuildError> {
        cancel::check()?;
        Ok(builder.add(&product)?)
    })?;
    Ok(builder.finish(fingerprint)?)
}

/// Writes the store at `path`, whole or not at all.
fn write(files: &ProductFiles, num_products: Option<usize>, fingerprint: &str, path: &Path) -> Result<(), BuildError> {
    let mut failure = None;
    let result = file::replace(path, |out| {
        build(files, num_products, fingerprint, BufWriter::with_capacity(1 << 20, out)).map(drop).map_err(|error| {
            let message = io::Error::other("the products could not be written");
            failure = Some(error);
            message
        })
    });
    match (failure, result) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(BuildError::Writing(io::Error::other(error.to_string()))),
        (None, Ok(())) => Ok(()),
    }
}

fn fingerprint(files: &ProductFiles, num_products: Option<usize>) -> Result<String, (PathBuf, io::Error)> {
    let mut text = format!("{num_products:?}\n").into_bytes();
    for path in files.all() {
        describe(path, &mut text).map_err(|e| (path.clone(), e))?;
    }
    Ok(file::sha256(&text))
}

fn describe(path: &Path, text: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    text.extend(format!("{name} {} {changed}\n", about.len()).as_bytes());
    for sample in 0..SAMPLES {
        let start = about.len().saturating_sub(SAMPLE_BYTES) / (SAMPLES - 1) * sample;
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(SAMPLE_BYTES).read_to_end(text)?;
    }
    Ok(())
}
