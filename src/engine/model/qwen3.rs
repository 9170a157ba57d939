//! Qwen3, top to bottom: norm, attention, MLP, layer, model. Equal to transformers' `modeling_qwen3.py`.
//!
//! Shapes: B rows, T positions, H heads, K key/value heads, D head_dim, C hidden_size, V vocab_size.

use std::cell::Cell;

use tch::{Device, Kind, Tensor};

use super::attention;
use super::cache::{Cache, Span};
use super::compute::{AttentionChoice, Compute, KernelChoice, Pass};
use super::config::ModelConfig;
use super::linear::Linear;
use super::rope::{Rope, Rotation};
use super::weight::{Plain, Weight, snapshot};
use super::weights::Weights;
use crate::engine::Result;
use crate::engine::native::blocks;
use crate::engine::native::linear as native;
use crate::engine::system::machine;
use crate::engine::tensor::random::seeded;

/// Whether a forward pass drops inputs of adapters, and from which random stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    Inference,
    /// `seed` decides the dropout of this pass; a layer that is computed twice draws the same.
    Training {
        seed: i64,
    },
}

/// What a pass over whole sequences may have beside their ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout<'a> {
    /// The lengths of sequences that lie end to end in one row, which together are its length: positions begin anew with
    /// each, and none attends to another. `None`: a row per sequence.
    pub packed: Option<&'a [i64]>,
    /// Added to the embeddings, `[B, T, C]`.
    pub noise: Option<&'a Tensor>,
}

impl Layout<'_> {
    pub(super) fn attend(&self) -> Attend<'_> {
        self.packed.map_or(Attend::Causal, Attend::Packed)
    }
}

/// What the queries of a pass attend to.
pub(super) enum Attend<'a> {
    /// Whole sequences from position 0, each position to itself and those before it. Padding belongs at the end.
    Causal,
    /// One row of sequences of these lengths, end to end: each position to itself and those before it in its sequence.
    Packed(&'a [i64]),
    /// The rows' cache, extended by this pass.
    Cached(&'a mut Cache, Span),
}

/// Root-mean-square norm. The result is cast to the input's dtype before the weight multiplies it, as transformers
/// does.
#[derive(Debug)]
pub struct RmsNorm {
    pub weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    pub(super) fn forward(&self, x: &Tensor, kernels: KernelChoice) -> Tensor {
        if kernels.take(x) {
            return blocks::rms_norm(x, &self.weight, self.eps);
        }
        let wide = x.to_kind(Kind::Float);
        let mean_square = wide.square().mean_dim(-1, true, Kind::Float);
        (wide * (mean_square + self.eps).rsqrt()).to_kind(x.kind()) * &self.weight
    }
}

/// Grouped-query attention with a norm per head on queries and keys, before the rotary embedding.
#[derive(Debug)]
pub struct Attention {
    pub q_proj: Linear,
    pub k_proj: Linear,
    pub v_proj: Linear,
    pub o_proj: Linear,
    pub q_norm: RmsNorm,
    pub k_norm: RmsNorm,
    head_dim: i64,
}

impl Attention {
    /// `x`: `[B, T, C]` → `[B, T, C]`
    fn forward(&self, x: &Tensor, rotation: &Rotation, attend: &mut Attend, layer: usize, pass: Pass) -> Tensor {
        let Pass { compute, .. } = pass;
        let (rows, length, _) = x.size3().expect("hidden states have three dimensions");
        let heads = |projected: Tensor| projected.view([rows, length, -1, self.head_dim]);
        let turned = |projected: Tensor, norm: &RmsNorm| {
            let normed = norm.forward(&heads(projected), compute.kernels);
            rotation.apply(&normed, compute.kernels).transpose(1, 2)
        };
        let q = turned(self.q_proj.forward(x, pass), &self.q_norm);
        let k = turned(self.k_proj.forward(x, pass), &self.k_norm);
        let v = heads(self.v_proj.forward(x, pass)).transpose(1, 2);

        let attended = match attend {
            Attend::Causal => attention::causal(compute, &q, &k, &v),
            Attend::Packed(lengths) => {
                // A sequence at a time: no mask of T × T, and no work on pairs that never attend.
                let mut start = 0;
                let sequence = |&length: &i64| {
                    let [q, k, v] = [&q, &k, &v].map(|heads| heads.narrow(2, start, length));
                    start += length;
                    attention::causal(compute, &q, &k, &v)
                };
                Tensor::cat(&lengths.iter().map(sequence).collect::<Vec<_>>(), 2)
            }
            Attend::Cached(cache, span) if length == 1 && attention::decodes(compute, &q) => {
                cache.decode(layer, &q, &k, &v, span)
            }
            Attend::Cached(cache, span) => {
                let (k, v) = cache.extend(layer, &k, &v, span);
                attention::masked(compute, &q, &k, &v, &span.mask)
            }
        };
        self.o_proj.forward(&attended.transpose(1, 2).reshape([rows, length, -1]), pass)
    }
}

/// SwiGLU.
#[derive(Debug)]
pub struct Mlp {
    pub gate_proj: Linear,
    pub up_proj: Linear,
    pub down_proj: Linear,
}

impl Mlp {
    fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let (gate, up) = (self.gate_proj.forward(x, pass), self.up_proj.forward(x, pass));
        let gated = if pass.compute.kernels.take(&gate) { blocks::swiglu(&gate, &up) } else { gate.silu() * up };
        self.down_proj.forward(&gated, pass)
    }
}

#[derive(Debug)]
pub struct Layer {
    pub input_norm: RmsNorm,
    pub attention: Attention,
    pub post_norm: RmsNorm,
    pub mlp: Mlp,
}

impl Layer {
    pub(super) fn forward(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        attend: &mut Attend,
        index: usize,
        mode: Mode,
        compute: Compute,
    ) -> Tensor {
        let pass = Pass { compute, training: mode != Mode::Inference };
        let mut forward = || {
            let normed = |norm: &RmsNorm, x: &Tensor| norm.forward(x, compute.kernels);
            let x = x + self.attention.forward(&normed(&self.input_norm, x), rotation, attend, index, pass);
            &x + self.mlp.forward(&normed(&self.post_norm, &x), pass)
        };
        match mode {
            Mode::Training { seed } if self.drops() => seeded(seed.wrapping_add(index as i64), forward),
            _ => forward(),
        }
    }

    fn drops(&self) -> bool {
        self.linears().iter().any(|(_, linear)| linear.adapter.as_ref().is_some_and(|adapter| adapter.dropout > 0.0))
    }

    /// The seven projections by the names that adapters use.
    pub fn linears(&self) -> [(&'static str, &Linear); 7] {
        let (attention, mlp) = (&self.attention, &self.mlp);
        [
            ("self_attn.q_proj", &attention.q_proj),
            ("self_attn.k_proj", &attention.k_proj),
            ("self_attn.v_proj", &attention.v_proj),
            ("self_attn.o_proj", &attention.o_proj),
            ("mlp.gate_proj", &mlp.gate_proj),
            ("mlp.up_proj", &mlp.up_proj),
            ("mlp.down_proj", &mlp.down_proj),
        ]
    }

    pub fn linears_mut(&mut self) -> [(&'static str, &mut Linear); 7] {
        let (attention, mlp) = (&mut self.attention, &mut self.mlp);
        [
            ("self_attn.q_proj", &mut attention.q_proj),
            ("self_attn.k_proj", &mut attention.k_proj),
            ("self_attn.v_proj", &mut attention.v_proj),
            ("self_attn.o_proj", &mut attention.o_proj),
            ("mlp.gate_proj", &mut mlp.gate_proj),
            ("mlp.up_proj", &mut mlp.up_proj),
            ("mlp.down_proj", &mut mlp.down_proj),
        ]
    }

    fn norms(&self) -> [(&'static str, &RmsNorm); 4] {
        [
            ("input_layernorm", &self.input_norm),
            ("self_attn.q_norm", &self.attention.q_norm),
            ("self_attn.k_norm", &self.attention.k_norm),
            ("post_attention_layernorm", &self.post_norm),
        ]
    }
}

#[derive(Debug)]
pub struct Qwen3 {
    pub config: ModelConfig,
    /// `[V, C]`
    pub embedding: Plain,
    pub layers: Vec<Layer>,
    pub norm: RmsNorm,
    /// `[V, C]`; `None` when the embedding is the head.
    pub head: Option<Plain>,
    rope: Rope,
    /// What it computes with. Whoever takes up a run sets it, as weights are set, whoever else holds the network.
    compute: Cell<Compute>,
}

impl Qwen3 {
    /// Takes every tensor that `config` asks for out of `weights`, by transformers' names.
    pub fn build(config: ModelConfig, weights: &mut dyn Weights) -> Result<Self> {
        let c = &config;
        let (hidden, eps) = (c.hidden_size, c.rms_norm_eps);
        let (q_size, kv_size) = (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);

        let embedding = weights.take("model.embed_tokens.weight", &[c.vocab_size, hidden])?;
        let mut layers = Vec::new();
        for i in 0..c.num_hidden_layers {
            let mut linear = |name: &str, out: i64, input: i64| {
                weights.linear(&format!("model.layers.{i}.{name}.weight"), &[out, input])
            };
            let [q_proj, k_proj, v_proj, o_proj] = [
                linear("self_attn.q_proj", q_size, hidden)?,
                linear("self_attn.k_proj", kv_size, hidden)?,
                linear("self_attn.v_proj", kv_size, hidden)?,
                linear("self_attn.o_proj", hidden, q_size)?,
            ];
            let mlp = Mlp {
                gate_proj: linear("mlp.gate_proj", c.intermediate_size, hidden)?,
                up_proj: linear("mlp.up_proj", c.intermediate_size, hidden)?,
                down_proj: linear("mlp.down_proj", hidden, c.intermediate_size)?,
            };
            let mut norm = |name: &str, size: i64| -> Result<RmsNorm> {
                Ok(RmsNorm { weight: weights.take(&format!("model.layers.{i}.{name}.weight"), &[size])?, eps })
            };
            layers.push(Layer {
                input_norm: norm("input_layernorm", hidden)?,
                attention: Attention {
                    q_proj,
                    k_proj,
                    v_proj,
                    o_proj,
                    q_norm: norm("self_attn.q_norm", c.head_dim)?,
                    k_norm: norm("self_attn.k_norm", c.head_dim)?,
                    head_dim: c.head_dim,
                },
                post_norm: norm("post_attention_layernorm", hidden)?,
                mlp,
            });
        }
        let norm = RmsNorm { weight: weights.take("model.norm.weight", &[hidden])?, eps };
        let head = match c.tie_word_embeddings {
            true => None,
            false => Some(weights.take("lm_head.weight", &[c.vocab_size, hidden])?.into()),
        };
        let rope = Rope::new(c.max_position_embeddings, c.head_dim, c.rope_theta, embedding.kind(), embedding.device());
        Ok(Qwen3 { config, embedding: embedding.into(), layers, norm, head, rope, compute: Cell::default() })
    }

    pub fn device(&self) -> Device {
        self.embedding.tensor.device()
    }

    pub fn kind(&self) -> Kind {
        self.embedding.tensor.kind()
    }

    pub fn compute(&self) -> Compute {
        self.compute.get()
    }

    /// Computes with this from here on.
    pub fn set_compute(&self, compute: Compute) {
        self.compute.set(compute);
    }

    /// Attention as asked; an error where this device, dtype or shape has no such kernel.
    pub fn choose_attention(&self, asked: Option<bool>) -> Result<AttentionChoice> {
        attention::choose(asked, self.heads(), &self.embedding.tensor)
    }

    /// Which kind of kernel computes the attention of whole sequences here: `flash`, `efficient` or `math`.
    pub fn attention_kernel(&self) -> &'static str {
        attention::kernel(self.compute().attention, self.heads(), &self.embedding.tensor)
    }

    fn heads(&self) -> attention::Heads {
        let c = &self.config;
        (c.num_attention_heads, c.num_key_value_heads, c.head_dim)
    }

    /// Every weight of the base by transformers' name, a quantised one in parts; adapters are not among them.
    pub fn weights(&self) -> Vec<(String, &Tensor)> {
        let mut all = vec![("model.embed_tokens.weight".to_string(), &self.embedding.tensor)];
        for (i, layer) in self.layers.iter().enumerate() {
            let mut push = |name: &str, tensor| all.push((format!("model.layers.{i}.{name}"), tensor));
            for (name, linear) in layer.linears() {
                linear.weight.tensors().iter().for_each(|(part, tensor)| push(&format!("{name}.weight{part}"), tensor));
            }
            layer.norms().iter().for_each(|(name, norm)| push(&format!("{name}.weight"), &norm.weight));
        }
        all.push(("model.norm.weight".to_string(), &self.norm.weight));
        if let Some(head) = &self.head {
            all.push(("lm_head.weight".to_string(), &head.tensor));
        }
        all
    }

    /// Final hidden states of whole sequences. `ids`: `[B, T]` int64, padded at the end → `[B, T, C]`.
    pub fn hidden(&self, ids: &Tensor, mode: Mode) -> Tensor {
        self.hidden_of(ids, Layout::default(), mode)
    }

    /// As [`Qwen3::hidden`], for sequences that are laid out otherwise.
    pub fn hidden_of(&self, ids: &Tensor, layout: Layout, mode: Mode) -> Tensor {
        let rotation = self.rotation(ids, &layout);
        let mut x = self.embed_with(ids, &layout);
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &rotation, &mut layout.attend(), i, mode, self.compute());
        }
        self.norm.forward(&x, self.compute().kernels)
    }

    pub(super) fn rotation(&self, ids: &Tensor, layout: &Layout) -> Rotation {
        match layout.packed {
            None => self.rope.from_start(ids.size()[1]),
            Some(lengths) => {
                let positions: Vec<i64> = lengths.iter().flat_map(|&length| 0..length).collect();
                self.rope.at(&Tensor::from_slice(&positions).to_device(ids.device()).unsqueeze(0))
            }
        }
    }

    pub(super) fn embed_with(&self, ids: &Tensor, layout: &Layout) -> Tensor {
        match layout.noise {
            None => self.embed(ids),
            Some(noise) => self.embed(ids) + noise,
        }
    }

    /// Final hidden states of the next tokens of rows whose past is in `cache`. `ids`, `positions`: `[B, T]` int64;
    /// `length`: one more than the largest position.
    pub fn hidden_cached(&self, ids: &Tensor, positions: &Tensor, length: i64, cache: &mut Cache) -> Tensor {
        cache.reserve(length);
        let rotation = self.rope.at(positions);
        let mut attend = Attend::Cached(cache, Span::new(positions, length));
        let mut x = self.embed(ids);
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(&x, &rotation, &mut attend, i, Mode::Inference, self.compute());
        }
        self.norm.forward(&x, self.compute().kernels)
    }

    /// `[.., C]` → `[.., V]` in the model's dtype. Give it two dimensions: libtorch is slow on a sliced batch.
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        native::linear(hidden, &self.head_weight().tensor, None, self.compute().kernels.use_onednn())
    }

    /// The logits of decoded tokens, `[B, 1, C]` → `[B, V]`.
    pub fn next_logits(&self, hidden: &Tensor) -> Tensor {
        match self.head_weight().decode(hidden, None, self.compute().kernels) {
            Some(logits) => logits.squeeze_dim(1),
            None => self.logits(&hidden.squeeze_dim(1)),
        }
    }

    fn head_weight(&self) -> &Plain {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Packs the weights that gain from it for decoding, which takes their memory once more. Does nothing where they are
    /// packed, or where memory is short.
    pub fn prepack(&self) {
        let kernels = self.compute().kernels;
        let linears = self.layers.iter().flat_map(Layer::linears);
        let plain = linears.filter_map(|(_, linear)| match &linear.weight {
            Weight::Plain(weight) => Some(weight),
            Weight::Quantized(_) => None,
        });
        let all = plain.chain([self.head_weight()]);
        let wanting: Vec<&Plain> = all.filter(|weight| weight.wants_prepacking(kernels)).collect();
        let bytes = |weight: &Plain| (weight.tensor.numel() * weight.tensor.kind().elt_size_in_bytes()) as u64;
        let needed: u64 = wanting.iter().map(|weight| bytes(weight)).sum();
        // Half of what is free stays free.
        if machine::memory().is_none_or(|memory| needed <= memory.available / 2) {
            wanting.iter().for_each(|weight| weight.prepack());
        }
    }

    pub fn empty_cache(&self, rows: i64, capacity: i64) -> Cache {
        let c = &self.config;
        Cache::new(c.num_hidden_layers, rows, c.num_key_value_heads, c.head_dim, capacity, self.kind(), self.device())
    }

    /// The model as it is now: what is frozen is shared, what is being trained is copied.
    pub fn snapshot(&self) -> Self {
        let norm = |norm: &RmsNorm| RmsNorm { weight: snapshot(&norm.weight), eps: norm.eps };
        let layer = |layer: &Layer| Layer {
            input_norm: norm(&layer.input_norm),
            attention: Attention {
                q_proj: layer.attention.q_proj.snapshot(),
                k_proj: layer.attention.k_proj.snapshot(),
                v_proj: layer.attention.v_proj.snapshot(),
                o_proj: layer.attention.o_proj.snapshot(),
                q_norm: norm(&layer.attention.q_norm),
                k_norm: norm(&layer.attention.k_norm),
                head_dim: layer.attention.head_dim,
            },
            post_norm: norm(&layer.post_norm),
            mlp: Mlp {
                gate_proj: layer.mlp.gate_proj.snapshot(),
                up_proj: layer.mlp.up_proj.snapshot(),
                down_proj: layer.mlp.down_proj.snapshot(),
            },
        };
        let c = &self.config;
        Qwen3 {
            config: c.clone(),
            embedding: self.embedding.snapshot(),
            layers: self.layers.iter().map(layer).collect(),
            norm: norm(&self.norm),
            head: self.head.as_ref().map(Plain::snapshot),
            rope: Rope::new(c.max_position_embeddings, c.head_dim, c.rope_theta, self.kind(), self.device()),
            compute: self.compute.clone(),
        }
    }

    fn embed(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding.tensor, ids, -1, false, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{LoraOptions, Model, ModelShape, lora};

    /// The hidden states of a pass with dropout.
    fn dropped(seed: i64) -> Vec<f32> {
        let shape = ModelShape { num_hidden_layers: 2, ..ModelShape::preset("tiny").unwrap() };
        let config = ModelConfig::from_document(ModelConfig::new_document(&shape, 64)).unwrap();
        let mut model = Model::random(config, None, 1, Kind::Float, Device::Cpu).unwrap();
        model.add_lora(&LoraOptions { lora_dropout: 0.5, ..LoraOptions::default() }).unwrap();
        let _no_grad = tch::no_grad_guard();
        lora::parameters(&model.net).iter_mut().for_each(|(_, factor)| drop(factor.fill_(0.1)));
        let ids = Tensor::arange(32, (Kind::Int64, Device::Cpu)).unsqueeze(0);
        Vec::try_from(model.net.hidden(&ids, Mode::Training { seed }).flatten(0, -1)).unwrap()
    }

    #[test]
    fn threads_that_drop_at_once_drop_what_their_seeds_say() {
        let alone: Vec<_> = (0..3).map(dropped).collect();
        assert_ne!(alone[0], alone[1]);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|seed| scope.spawn(move || [0; 8].map(|_| dropped(seed)))).collect();
            for (thread, wanted) in threads.into_iter().zip(&alone) {
                assert!(thread.join().unwrap().iter().all(|got| got == wanted));
            }
        });
    }
}
