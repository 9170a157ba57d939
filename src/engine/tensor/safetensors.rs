//! Reading and writing safetensors files: memory-mapped in, written to a temporary name and renamed out.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::engine::{Error, Result, file};

/// A memory-mapped safetensors file. Tensors are copied out one at a time, so that a model's file never lies in
/// memory twice.
pub struct File {
    path: PathBuf,
    map: Mmap,
}

impl File {
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = std::fs::File::open(&path).map_err(|e| file::unreadable(&path, &e))?;
        // SAFETY: the file is read only; changing it under a running program is the user's own doing.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::file(&path, e))?;
        let opened = File { path, map };
        opened.header()?;
        Ok(opened)
    }

    fn header(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(|e| {
            Error::file(
                &self.path,
                format!(
                    "not a whole safetensors file of {} bytes (truncated, or of another format): {e}",
                    self.map.len()
                ),
            )
        })
    }

    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.header()?.names().into_iter().map(str::to_string).collect())
    }

    /// The tensor called `name` in its own dtype, copied to `device`.
    pub fn tensor(&self, name: &str, device: Device) -> Result<Tensor> {
        let header = self.header()?;
        let view = header.tensor(name).map_err(|_| Error::file(&self.path, format!("tensor {name} is missing")))?;
        let kind = kind(view.dtype()).ok_or_else(|| {
            Error::file(&self.path, format!("tensor {name} has the dtype {:?}, which is not supported", view.dtype()))
        })?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?.to_device(device))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Every tensor of a file by name, on the CPU.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    let file = File::open(path)?;
    let mut names = file.names()?;
    names.sort();
    names.into_iter().map(|name| file.tensor(&name, Device::Cpu).map(|tensor| (name, tensor))).collect()
}

/// Writes `tensors` with the metadata `{"format": "pt"}`, without which Hugging Face's loaders refuse a file.
///
/// The crate's own writer goes through a file of mode 0600 that it does not flush to the disk, so only its layout is
/// kept here: the header's length and the header, padded to 8 bytes, then the tensors, wide dtypes first so that each
/// is aligned.
pub fn write<N: AsRef<str>>(path: impl AsRef<Path>, tensors: &[(N, Tensor)]) -> Result<()> {
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
    file::replace(path, |temporary| {
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
        let mut bytes = vec![0u8; self.bytes()];
        self.tensor.to_device(Device::Cpu).copy_data_u8(&mut bytes, self.tensor.numel());
        bytes
    }
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
