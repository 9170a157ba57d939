//! Reading and writing safetensors files: memory-mapped in, written to a temporary name and renamed out.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, MmapOptions};
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorInfo};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::engine::file::Staged;
use crate::engine::pairs::Pairs;
use crate::engine::{Error, Result, file, refusal};

/// How a pointer begins that Git LFS leaves in place of a file that it was not asked to fetch.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// A safetensors file. Tensors are mapped and copied out one at a time, so that neither the file nor the pages of its
/// mapping ever lie in memory beside the tensors: at most one tensor does.
pub struct File {
    path: PathBuf,
    file: std::fs::File,
    header: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl File {
    /// Reads and checks the header alone.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = std::fs::File::open(&path).map_err(|e| file::unreadable(&path, &e))?;
        // SAFETY: the file is read only; changing it under a running program is the user's own doing.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::file(&path, e))?;
        let read = || SafeTensors::read_metadata(&map).map_err(|e| broken(&path, &map, &e));
        let (length, header) = refusal::reading(&path, read)?;
        let start = 8 + length;
        if let Some(name) = repeated(&map[8..start]) {
            return Err(Error::file(&path, format!("tensor {name} is in the header twice")));
        }
        Ok(File { path, file, header, start: start as u64 })
    }

    /// The tensors' names in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Bytes of all tensors together.
    pub fn bytes(&self) -> u64 {
        self.header.data_len() as u64
    }

    pub fn shape(&self, name: &str) -> Result<Vec<i64>> {
        Ok(shape(self.info(name)?))
    }

    pub fn kind(&self, name: &str) -> Result<Kind> {
        let dtype = self.info(name)?.dtype;
        kind(dtype).ok_or_else(|| {
            Error::file(&self.path, format!("tensor {name} has the dtype {dtype:?}, which is not supported"))
        })
    }

    /// The tensor called `name` in its own dtype, copied to `device`.
    pub fn tensor(&self, name: &str, device: Device) -> Result<Tensor> {
        let (info, kind) = (self.info(name)?, self.kind(name)?);
        Ok(Tensor::f_from_data_size(&self.map(info)?, &shape(info), kind)?.to_device(device))
    }

    /// Whether two tensors, the second perhaps of another file, are of one dtype and shape and equal to the last bit.
    pub fn same(&self, name: &str, other: &File, other_name: &str) -> Result<bool> {
        let (a, b) = (self.info(name)?, other.info(other_name)?);
        Ok(a.dtype == b.dtype && a.shape == b.shape && self.map(a)?[..] == other.map(b)?[..])
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.header.info(name).ok_or_else(|| Error::file(&self.path, format!("tensor {name} is missing")))
    }

    /// The pages of one tensor.
    fn map(&self, info: &TensorInfo) -> Result<Mmap> {
        let (start, end) = info.data_offsets;
        // SAFETY: as in `open`.
        let map = unsafe { MmapOptions::new().offset(self.start + start as u64).len(end - start).map(&self.file) };
        let map = map.map_err(|e| file::unreadable(&self.path, &e))?;
        // Read ahead in large pieces; a system that does not know the advice is only slower.
        let _ = map.advise(Advice::WillNeed);
        Ok(map)
    }
}

fn shape(info: &TensorInfo) -> Vec<i64> {
    info.shape.iter().map(|&n| n as i64).collect()
}

/// A tensor that the header names more than once.
fn repeated(header: &[u8]) -> Option<String> {
    let entries: Pairs<IgnoredAny> = serde_json::from_slice(header).ok()?;
    entries.repeated().map(str::to_string)
}

/// Why a file's header cannot be used.
fn broken(path: &Path, content: &[u8], error: &SafeTensorError) -> Error {
    if content.starts_with(LFS_POINTER) {
        return Error::file(path, "a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`");
    }
    let length = content.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes) as usize);
    if let Some(name) = content.get(8..length.saturating_add(8)).and_then(repeated) {
        return Error::file(path, format!("tensor {name} is in the header twice"));
    }
    Error::file(
        path,
        format!("not a whole safetensors file of {} bytes (truncated, or of another format): {error}", content.len()),
    )
}

/// Every tensor of a file by name, on the CPU.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let file = File::open(path)?;
    let mut names = file.names();
    names.sort();
    names.into_iter().map(|name| file.tensor(&name, Device::Cpu).map(|tensor| (name, tensor))).collect()
}

/// Writes `tensors` with the metadata `{"format": "pt"}`, without which Hugging Face's loaders refuse a file.
pub fn write<N: AsRef<str>>(path: impl AsRef<Path>, tensors: &[(N, Tensor)]) -> Result<()> {
    stage(path, tensors)?.commit()
}

/// As [`write`], but the file gets its name only with [`Staged::commit`].
///
/// The crate's own writer goes through a file of mode 0600 that it does not flush to the disk, so only its layout is
/// kept here: the header's length and the header, padded to 8 bytes, then the tensors, wide dtypes first so that each
/// is aligned.
pub fn stage<N: AsRef<str>>(path: impl AsRef<Path>, tensors: &[(N, Tensor)]) -> Result<Staged> {
    let mut all = tensors
        .iter()
        .map(|(name, tensor)| HostTensor::new(tensor).map(|host| (name.as_ref(), host)))
        .collect::<Result<Vec<_>>>()?;
    all.sort_by(|(a_name, a), (b_name, b)| b.dtype.cmp(&a.dtype).then(a_name.cmp(b_name)));
    let mut header = Map::from_iter([("__metadata__".to_string(), json!({ "format": "pt" }))]);
    let mut offset = 0;
    for (name, host) in &all {
        let end = offset + host.bytes();
        let info = json!({ "dtype": host.dtype, "shape": host.tensor.size(), "data_offsets": [offset, end] });
        header.insert(name.to_string(), info);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Staged::write(path, |temporary| {
        let mut out = BufWriter::with_capacity(1 << 20, temporary);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        all.iter().try_for_each(|(_, host)| out.write_all(&host.data()))?;
        out.flush()
    })
}

/// A tensor on its way into a file.
struct HostTensor {
    tensor: Tensor,
    dtype: Dtype,
}

impl HostTensor {
    fn new(tensor: &Tensor) -> Result<Self> {
        let kind = tensor.f_kind()?;
        let dtype = dtype(kind).ok_or_else(|| Error::message(format!("tensors of dtype {kind:?} cannot be saved")))?;
        Ok(HostTensor { tensor: tensor.detach().contiguous(), dtype })
    }

    fn bytes(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }

    fn data(&self) -> Vec<u8> {
        bytes_of(&self.tensor)
    }
}

/// A tensor's numbers as a file would hold them, row after row.
pub fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().contiguous();
    let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.to_device(Device::Cpu).copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

fn kind(dtype: Dtype) -> Option<Kind> {
    DTYPES.iter().find(|(d, _)| *d == dtype).map(|(_, kind)| *kind)
}

fn dtype(kind: Kind) -> Option<Dtype> {
    DTYPES.iter().find(|(_, k)| *k == kind).map(|(dtype, _)| *dtype)
}

#[rustfmt::skip]
const DTYPES: [(Dtype, Kind); 10] = [
    (Dtype::F32,  Kind::Float),    (Dtype::BF16, Kind::BFloat16), (Dtype::F16, Kind::Half),  (Dtype::F64, Kind::Double),
    (Dtype::I64,  Kind::Int64),    (Dtype::I32,  Kind::Int),      (Dtype::I16, Kind::Int16), (Dtype::I8,  Kind::Int8),
    (Dtype::U8,   Kind::Uint8),    (Dtype::BOOL, Kind::Bool),
];
