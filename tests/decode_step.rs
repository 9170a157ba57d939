//! The decode step that a GPU captures as a CUDA graph, taken on the CPU anew each time: on the same tensors, over all of the
//! cache's room, as a replay would. What it says must be what the ordinary step says.

use affine::engine::generate::{GenerateOptions, Generation, Session, generate};
use affine::engine::model::{Compute, CudaGraph, KernelChoice, Model};
use affine::engine::native::graph::Graph;
use affine::engine::random;
use tch::{Device, Kind, Tensor};

use super::toys::{model_with, with_lora};

/// Rows of very unequal length, the longest beyond the room that a session begins with.
fn prompts() -> Vec<Vec<i64>> {
    [3, 90, 41].iter().map(|&length| (0..length).map(|i| (7 * i + length) % 250).collect()).collect()
}

fn replies(model: &Model, graphs: CudaGraph, temperature: f64) -> Vec<Generation> {
    model.net.set_compute(Compute { graphs, ..model.net.compute() });
    // Beyond 256 positions the cache grows under the reply.
    let options = GenerateOptions { max_new_tokens: 360, temperature, seed: 5, ..GenerateOptions::default() };
    generate(model, &prompts(), &options).unwrap()
}

fn assert_same(a: &[Generation], b: &[Generation]) {
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.tokens, b.tokens);
        for (a, b) in a.logprobs.iter().zip(&b.logprobs) {
            assert!((a - b).abs() < 1e-4, "{a} and {b}");
        }
    }
}

#[test]
fn a_step_of_fixed_shape_says_what_the_ordinary_one_says() {
    let mut grew = false;
    for kernels in [KernelChoice::Auto, KernelChoice::Libtorch] {
        for model in [model_with(1, 512), with_lora(model_with(2, 512))] {
            model.net.set_compute(Compute { kernels, ..Compute::default() });
            for temperature in [0.0, 1.0] {
                let ordinary = replies(&model, CudaGraph::Never, temperature);
                grew |= ordinary[1].tokens.len() > 180;
                assert_same(&replies(&model, CudaGraph::Rehearsed, temperature), &ordinary);
            }
        }
    }
    assert!(grew, "no reply was long enough for the cache to grow under it");
}

#[test]
fn rows_that_wait_leave_and_are_fed_again_find_their_place() {
    let talk = |graphs: CudaGraph| {
        let model = model_with(3, 512);
        model.net.set_compute(Compute { graphs, ..Compute::default() });
        let mut session = Session::new(&model, 3);
        let mut streams: Vec<_> = (0..3).map(|row| random::stream(1, "talk", row)).collect();
        let sampling = GenerateOptions::default().sampling();
        let mut said = Vec::new();
        prompts().iter().enumerate().for_each(|(row, prompt)| session.feed(row, prompt));
        // Rows end at different tokens, so some wait.
        said.extend(session.reply(&mut streams, &sampling, 40, &["e".to_string()]).unwrap());
        session.select(&[2, 0]);
        let mut streams: Vec<_> = [2usize, 0].map(|row| streams[row].clone()).into();
        session.feed(0, &[9, 8, 7]);
        session.feed(1, &[1]);
        said.extend(session.reply(&mut streams, &sampling, 200, &[]).unwrap());
        said.into_iter().map(|reply| reply.tokens).collect::<Vec<_>>()
    };
    let ordinary = talk(CudaGraph::Never);
    let lengths: Vec<usize> = ordinary.iter().map(Vec::len).collect();
    assert!(lengths[..3].iter().any(|&length| length != lengths[0]), "no row waits: {lengths:?}");
    assert_eq!(talk(CudaGraph::Rehearsed), ordinary);
}

#[test]
fn where_no_graph_can_be_captured_the_ordinary_step_is_taken() {
    let model = model_with(1, 512);
    let ordinary = replies(&model, CudaGraph::Never, 1.0);
    // No GPU: every capture fails.
    assert_same(&replies(&model, CudaGraph::Always, 1.0), &ordinary);
    let refusal = |device| match Graph::capture(device, || Tensor::zeros([1], (Kind::Float, Device::Cpu))) {
        Ok(_) => panic!("captured on {device:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(refusal(Device::Cpu), "Cpu has no CUDA graphs");
    if !tch::Cuda::is_available() {
        let why = refusal(Device::Cuda(0));
        assert!(why.contains("no CUDA device") || why.contains("CUDA's headers"), "{why}");
    }
}

#[test]
fn a_graph_is_asked_for_on_a_gpu_alone() {
    assert_eq!(CudaGraph::choose(None, Device::Cpu).unwrap(), CudaGraph::WhereItPays);
    assert_eq!(CudaGraph::choose(Some(false), Device::Cpu).unwrap(), CudaGraph::Never);
    assert_eq!(CudaGraph::choose(Some(true), Device::Cuda(0)).unwrap(), CudaGraph::Always);
    let refusal = CudaGraph::choose(Some(true), Device::Cpu).unwrap_err().to_string();
    assert_eq!(refusal, "use_cuda_graph: the model is on cpu, and only a CUDA device has CUDA graphs");
}
