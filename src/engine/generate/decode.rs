//! The decode step: one token of every row in, the logits of the next one out. On a GPU it is captured as a CUDA graph where
//! that pays; what goes wrong with that is told once, and the step is taken as usual.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Kind, Tensor};

use crate::engine::Error;
use crate::engine::model::cache::Cache;
use crate::engine::model::{CudaGraph, Model, Qwen3};
use crate::engine::native::graph::Graph;

/// A capture takes the time of two or three ordinary steps and the memory of one, so the first steps after the cache moved
/// are ordinary ones: a reply that ends among them loses nothing.
const ORDINARY_STEPS: usize = 8;

/// A capture or replay failed in this process: none is tried again.
static GAVE_UP: AtomicBool = AtomicBool::new(false);

/// Takes the decode steps of one session. Whatever a graph reads stays where it is: the session borrows the model, and when
/// the cache moves the graph is dropped.
pub(super) struct Decoder<'m> {
    model: &'m Model,
    fixed: Option<Fixed>,
    /// Steps since the cache moved, and when that was.
    steps: usize,
    moves: u64,
}

/// A step of fixed shape on fixed tensors.
struct Fixed {
    graph: Option<Graph>,
    /// `[2, B, 1]`, see [`inputs`].
    inputs: Tensor,
}

impl<'m> Decoder<'m> {
    pub fn new(model: &'m Model) -> Self {
        Decoder { model, fixed: None, steps: 0, moves: 0 }
    }

    /// The logits, `[B, V]`, that follow `ids` at `positions`, one of each per row; `length` is one more than the largest
    /// position. They may be overwritten by the next step.
    pub fn step(&mut self, ids: &[i64], positions: &[i64], length: i64, cache: &mut Cache) -> Tensor {
        cache.reserve(length);
        if self.moves != cache.moves() {
            (self.fixed, self.steps, self.moves) = (None, 0, cache.moves());
        }
        let net = &self.model.net;
        let inputs = inputs(ids, positions);
        self.steps += 1;
        match self.wants_graph().then(|| self.fixed_step(&inputs, cache)) {
            Some(Ok(logits)) => logits,
            Some(Err(error)) => {
                self.give_up(&error);
                logits(net, &inputs.to_device(net.device()), length, cache)
            }
            None => logits(net, &inputs.to_device(net.device()), length, cache),
        }
    }

    fn wants_graph(&self) -> bool {
        match self.model.net.compute().graphs {
            CudaGraph::Never => false,
            CudaGraph::Rehearsed => true,
            CudaGraph::Always => !GAVE_UP.load(Ordering::Relaxed),
            CudaGraph::WhereItPays => {
                self.model.net.device().is_cuda() && self.steps > ORDINARY_STEPS && !GAVE_UP.load(Ordering::Relaxed)
            }
        }
    }

    /// A step over all of the cache's room, whatever of it is in use: its shapes are the same until the cache moves.
    fn fixed_step(&mut self, inputs: &Tensor, cache: &mut Cache) -> Result<Tensor, Error> {
        let (net, capacity) = (&self.model.net, cache.capacity());
        if let Some(fixed) = &mut self.fixed {
            fixed.inputs.copy_(inputs);
        } else {
            let inputs = inputs.to_device(net.device()).copy();
            let graph = match self.model.net.compute().graphs {
                CudaGraph::Rehearsed => None,
                // The run that is recorded writes what the one before it wrote, at the same slots.
                _ => Some(Graph::capture(net.device(), || logits(net, &inputs, capacity, cache))?),
            };
            if graph.is_some() {
                tell(inputs.size()[1], capacity);
            }
            self.fixed = Some(Fixed { graph, inputs });
        }
        match &self.fixed {
            Some(Fixed { graph: Some(graph), .. }) => graph.replay().map(Tensor::shallow_clone),
            Some(Fixed { graph: None, inputs }) => Ok(logits(net, inputs, capacity, cache)),
            None => unreachable!("made above"),
        }
    }

    fn give_up(&mut self, error: &Error) {
        self.fixed = None;
        if !GAVE_UP.swap(true, Ordering::Relaxed) {
            tracing::warn!("decoding goes on without CUDA graphs: {error}");
        }
    }
}

fn tell(rows: i64, capacity: i64) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| tracing::info!("decode step captured as a CUDA graph: {rows} rows, capacity {capacity}"));
}

/// Ids and positions as one tensor, `[2, B, 1]`, which reaches a device in one copy.
fn inputs(ids: &[i64], positions: &[i64]) -> Tensor {
    Tensor::from_slice(&[ids, positions].concat()).view([2, ids.len() as i64, 1])
}

/// The step itself, over the first `length` slots of the cache.
fn logits(net: &Qwen3, inputs: &Tensor, length: i64, cache: &mut Cache) -> Tensor {
    debug_assert_eq!(inputs.kind(), Kind::Int64);
    net.next_logits(&net.hidden_cached(&inputs.get(0), &inputs.get(1), length, cache))
}
