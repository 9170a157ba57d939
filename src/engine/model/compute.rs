//! What a model computes with: a value that the model carries, the operations of a pass are given, and a run records. A fast
//! path and the plain one give the same numbers but for rounding.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::engine::native::attention;
use crate::engine::system::machine::cpu_maker;
use crate::engine::{Error, Result, device};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compute {
    pub kernels: KernelChoice,
    pub attention: AttentionChoice,
    pub graphs: CudaGraph,
}

/// What the operations of one forward pass are given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pass {
    pub compute: Compute,
    /// Whether adapters drop inputs.
    pub training: bool,
}

/// Which operations compute on the CPU: our own kernels beside libtorch's, oneDNN beside MKL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelChoice {
    /// Our own, and for float32 products the library that is faster on this processor.
    #[default]
    Auto,
    /// Our own, and oneDNN for float32 products.
    OneDnn,
    /// Our own, and what libtorch uses (MKL) for float32 products.
    Mkl,
    /// libtorch's operations alone.
    Libtorch,
}

impl KernelChoice {
    /// What [`KernelChoice::Auto`] comes to on this machine: what a resumed run must be told to compute the same.
    pub fn resolved(self) -> Self {
        match self {
            KernelChoice::Auto if onednn_is_faster() => KernelChoice::OneDnn,
            KernelChoice::Auto => KernelChoice::Mkl,
            named => named,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            KernelChoice::Auto => "auto",
            KernelChoice::OneDnn => "onednn",
            KernelChoice::Mkl => "mkl",
            KernelChoice::Libtorch => "libtorch",
        }
    }

    /// Whether our own kernels are used at all.
    pub fn are_own(self) -> bool {
        self != KernelChoice::Libtorch
    }

    /// Whether our own kernels take tensors like this one.
    pub fn take(self, x: &Tensor) -> bool {
        self.are_own() && x.device() == Device::Cpu && matches!(x.kind(), Kind::Float | Kind::BFloat16)
    }

    /// Whether our own attention takes queries like these: in float32 and where there is AMX, libtorch's is as fast.
    pub fn take_attention(self, q: &Tensor) -> bool {
        self.take(q) && q.kind() == Kind::BFloat16 && !attention::has_amx()
    }

    /// Whether float32 products on the CPU go through oneDNN.
    pub fn use_onednn(self) -> bool {
        self.resolved() == KernelChoice::OneDnn
    }
}

/// MKL computes at less than half of oneDNN's rate on processors that are not Intel's. The processor's maker decides and no
/// measurement: the libraries differ in rounding, and other work on the machine must not change a run's numbers.
fn onednn_is_faster() -> bool {
    static FASTER: LazyLock<bool> = LazyLock::new(|| cpu_maker().is_some_and(|maker| maker != "GenuineIntel"));
    *FASTER
}

/// How attention is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttentionChoice {
    /// By the fastest kernel that the device, dtype and shape allow, libtorch's or our own.
    #[default]
    Fastest,
    /// Two matrix products and a softmax between them: exact on every device, memory quadratic in the length.
    Math,
}

/// Whether decoding on a GPU is captured as a CUDA graph, which spares the launch of every single operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CudaGraph {
    /// On a GPU, for replies that are long enough.
    #[default]
    WhereItPays,
    /// At the first step.
    Always,
    Never,
    /// Takes the step that would be captured, each time anew: what a test on a machine without a GPU compares.
    Rehearsed,
}

impl CudaGraph {
    /// `asked`: `Some(true)` wants graphs from the first step on, which is an error on a CPU; `Some(false)` does without.
    pub fn choose(asked: Option<bool>, on: Device) -> Result<Self> {
        match asked {
            None => Ok(CudaGraph::WhereItPays),
            Some(false) => Ok(CudaGraph::Never),
            Some(true) if on.is_cuda() => Ok(CudaGraph::Always),
            Some(true) => Err(Error::hinted(
                format!("use_cuda_graph: the model is on {}, and only a CUDA device has CUDA graphs", device::name(on)),
                "leave it out to have them on a GPU and go without elsewhere",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_written_by_their_names() {
        for kernels in [KernelChoice::Auto, KernelChoice::OneDnn, KernelChoice::Mkl, KernelChoice::Libtorch] {
            assert_eq!(serde_json::to_value(kernels).unwrap(), kernels.name());
        }
    }
}
