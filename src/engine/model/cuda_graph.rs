//! Whether decoding on a GPU is captured as a CUDA graph, which spares the launch of every single operation.

use tch::Device;

use crate::engine::{Error, Result, device};

/// When a session captures its decode step. The numbers agree but for rounding.
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
