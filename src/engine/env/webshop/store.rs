//! All products and the index over them in one run of bytes, held in memory or mapped from a file.
//!
//! A store is written front to back, one product at a time, so that a million products need no memory of their own
//! while it is made: the products, then the tables, then a description of where everything lies, its length, and a
//! mark at the very end that only a whole file has.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use super::index::{Hit, Index, IndexBuilder, IndexStatistics};
use super::name::NAME;
use super::product::Product;
use crate::engine::{Error, Result, file};

/// Ends a whole file. The number is the format's: another one is another layout of the bytes or another analysis.
const MARK: &[u8; 16] = b"affine webshop 1";

/// A failure while a store is written.
pub enum BuildError {
    /// The products themselves are bad: writing elsewhere would not help.
    Products(Error),
    Writing(io::Error),
}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        BuildError::Products(error)
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        BuildError::Writing(error)
    }
}

/// Writes a store.
pub struct StoreBuilder<W: Write> {
    out: W,
    position: u64,
    index: IndexBuilder,
    /// Where each product ends.
    ends: Vec<u8>,
    asins: Vec<Box<str>>,
    buffer: Vec<u8>,
}

/// Where everything lies in the bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Layout {
    /// What the store was made from.
    fingerprint: String,
    num_products: usize,
    statistics: IndexStatistics,
    products: Range<u64>,
    ends: Range<u64>,
    /// Products in the order of their ids, and each product's place in that order.
    by_asin: Range<u64>,
    ranks: Range<u64>,
    norms: Range<u64>,
    texts: Range<u64>,
    table: Range<u64>,
    postings: Range<u64>,
}

impl<W: Write> StoreBuilder<W> {
    pub fn new(out: W) -> Self {
        StoreBuilder {
            out,
            position: 0,
            index: IndexBuilder::default(),
            ends: Vec::new(),
            asins: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Adds the next product; its id is new.
    pub fn add(&mut self, product: &Product) -> io::Result<()> {
        self.index.add(&product.contents());
        self.asins.push(product.asin.as_str().into());
        self.buffer.clear();
        product.encode(&mut self.buffer);
        self.out.write_all(&self.buffer)?;
        self.position += self.buffer.len() as u64;
        self.ends.extend(self.position.to_le_bytes());
        Ok(())
    }

    /// Writes the rest.
    pub fn finish(mut self, fingerprint: &str) -> io::Result<W> {
        let num_products = self.asins.len();
        let mut by_asin: Vec<u32> = (0..num_products as u32).collect();
        by_asin.sort_by(|&a, &b| self.asins[a as usize].cmp(&self.asins[b as usize]));
        let mut ranks = vec![0u32; num_products];
        for (rank, &product) in by_asin.iter().enumerate() {
            ranks[product as usize] = rank as u32;
        }
        let products = 0..self.position;
        let parts = std::mem::take(&mut self.index).finish();
        let layout = Layout {
            fingerprint: fingerprint.to_string(),
            num_products,
            statistics: parts.statistics,
            products,
            ends: {
                let ends = std::mem::take(&mut self.ends);
                self.section(&ends)?
            },
            by_asin: self.section(&numbers(&by_asin))?,
            ranks: self.section(&numbers(&ranks))?,
            norms: self.section(&parts.norms)?,
            texts: self.section(&parts.texts)?,
            table: self.section(&parts.table)?,
            postings: self.section(&parts.postings)?,
        };
        let layout = serde_json::to_vec(&layout)?;
        self.out.write_all(&layout)?;
        self.out.write_all(&(layout.len() as u64).to_le_bytes())?;
        self.out.write_all(MARK)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn section(&mut self, bytes: &[u8]) -> io::Result<Range<u64>> {
        self.out.write_all(bytes)?;
        let start = self.position;
        self.position += bytes.len() as u64;
        Ok(start..self.position)
    }
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A finished store.
pub struct Store {
    bytes: Bytes,
    layout: Layout,
}

enum Bytes {
    Memory(Vec<u8>),
    Mapped(Mmap),
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Bytes::Memory(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

impl Store {
    /// The store in bytes that a [`StoreBuilder`] wrote.
    pub fn in_memory(bytes: Vec<u8>) -> Result<Self> {
        Self::open(Bytes::Memory(bytes)).ok_or_else(damaged)
    }

    /// The store in a file, mapped: its pages are read when they are needed and shared between processes. `None`
    /// where the file is no whole store of this version.
    pub fn map(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(file::unreadable(path, &e)),
        };
        // SAFETY: stores are replaced by renaming, never rewritten in place, so the mapped bytes stay as they are.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| file::unreadable(path, &e))?;
        Ok(Self::open(Bytes::Mapped(map)))
    }

    fn open(bytes: Bytes) -> Option<Self> {
        let all = bytes.all();
        let rest = all.strip_suffix(MARK)?;
        let (rest, length) = rest.split_last_chunk::<8>()?;
        let start = rest.len().checked_sub(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let layout: Layout = serde_json::from_slice(rest.get(start..)?).ok()?;
        let store = Store { bytes, layout };
        store.is_consistent().then_some(store)
    }

    fn is_consistent(&self) -> bool {
        let Layout { num_products, ends, by_asin, ranks, norms, .. } = &self.layout;
        [(ends, 8), (by_asin, 4), (ranks, 4), (norms, 1)]
            .into_iter()
            .all(|(range, size)| self.section(range).len() == num_products * size)
    }

    /// What the store was made from.
    pub fn fingerprint(&self) -> &str {
        &self.layout.fingerprint
    }

    pub fn len(&self) -> usize {
        self.layout.num_products
    }

    /// Bytes in memory or in the mapped file.
    pub fn num_bytes(&self) -> usize {
        self.bytes.all().len()
    }

    /// The product at a place in the files' order.
    pub fn product(&self, place: usize) -> Result<Product> {
        Product::decode(self.encoded(place).ok_or_else(damaged)?)
    }

    fn encoded(&self, place: usize) -> Option<&[u8]> {
        let ends = self.section(&self.layout.ends);
        let end = |place: usize| -> Option<usize> {
            usize::try_from(u64::from_le_bytes(ends.get(place * 8..place * 8 + 8)?.try_into().ok()?)).ok()
        };
        let start = if place == 0 { 0 } else { end(place - 1)? };
        self.section(&self.layout.products).get(start..end(place)?)
    }

    /// The place of the product with this id.
    pub fn find(&self, asin: &str) -> Result<Option<usize>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let place = self.number(&self.layout.by_asin, middle) as usize;
            match self.product(place)?.asin.as_str().cmp(asin) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(place)),
            }
        }
        Ok(None)
    }

    /// The best products for a query, the best first, at most `limit`.
    pub fn search(&self, query: &str, limit: usize) -> Vec<Hit> {
        let layout = &self.layout;
        let index = Index {
            statistics: &layout.statistics,
            norms: self.section(&layout.norms),
            texts: self.section(&layout.texts),
            table: self.section(&layout.table),
            postings: self.section(&layout.postings),
        };
        let rank = |product: u32| self.number(&layout.ranks, product as usize);
        index.search(query, limit, |a, b| rank(a).cmp(&rank(b)))
    }

    /// The number at a place of a table; out of its range 0.
    fn number(&self, table: &Range<u64>, place: usize) -> u32 {
        let bytes = self.section(table).get(place * 4..place * 4 + 4);
        bytes.map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn section(&self, range: &Range<u64>) -> &[u8] {
        // Ranges beyond the bytes come only from a damaged file.
        self.bytes.all().get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

fn damaged() -> Error {
    Error::environment(NAME, "the cached catalogue is damaged; delete it to have it made anew")
}
