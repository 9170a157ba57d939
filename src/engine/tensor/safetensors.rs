//! Reading and writing safetensors files: memory-mapped in, written to a temporary name and renamed out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, View};
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
        let file = std::fs::File::open(&path).map_err(|e| Error::file(&path, e))?;
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
                format!("not a whole safetensors file of {} bytes (truncated, or of another format): {e}", self.map.len()),
            )
        })
    }

    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.header()?.names().into_iter().map(str::to_string).collect())
    }

    /// The tensor called `name` in its own dtype, copied to `device`.
    pub fn tensor(&self, name: &str, device: Device) -> Result<Tensor> {
        let header = self.header()?;
        let view = header
            .tensor(name)
            .map_err(|_| Error::file(&self.path, format!("tensor {name} is missing")))?;
        let kind = kind(view.dtype())
            .ok_or_else(|| Error::file(&self.path, format!("tensor {name} has the dtype {:?}, which is not supported", view.dtype())))?;
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
pub fn write<N: AsRef<str>>(path: impl AsRef<Path>, tensors: &[(N, Tensor)]) -> Result<()> {
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let views = tensors
        .iter()
        .map(|(name, tensor)| HostTensor::new(tensor).map(|view| (name.as_ref().to_string(), view)))
        .collect::<Result<Vec<_>>>()?;
    file::replace(path, |temporary| {
        ::safetensors::serialize_to_file(views, Some(metadata), temporary.path()).map_err(std::io::Error::other)
    })
}

/// A tensor on its way into a file.
struct HostTensor {
    tensor: Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl HostTensor {
    fn new(tensor: &Tensor) -> Result<Self> {
        let kind = tensor.f_kind()?;
        let dtype = dtype(kind).ok_or_else(|| Error::message(format!("tensors of dtype {kind:?} cannot be saved")))?;
        Ok(HostTensor {
            tensor: tensor.detach().contiguous(),
            dtype,
            shape: tensor.size().iter().map(|&n| n as usize).collect(),
        })
    }
}

impl View for HostTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0u8; self.data_len()];
        self.tensor.to_device(Device::Cpu).copy_data_u8(&mut bytes, self.tensor.numel());
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
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
