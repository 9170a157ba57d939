//! Layers and losses over several tensors, each checked before libtorch sees it: what does not fit is named with both
//! shapes, and no index out of range reaches a kernel (on a GPU that would end the process's use of it).
//!
//! Names, layouts and defaults are those of `torch.nn.functional`.

use tch::{Kind, Reduction, Tensor};

use super::dtype::{require, require_float, same};
use super::shape::{broadcast, check_index, misfit, stretches_to};
use super::{dtype, shape};
use crate::engine::error::Context;
use crate::engine::{Error, Result};

/// The rows of `weight` [n, d] that `index` tells.
pub fn embedding(weight: &Tensor, index: &Tensor) -> Result<Tensor> {
    let &[rows, _] = weight.size().as_slice() else {
        return Err(Error::option("weight", "the shape [rows, size]", format!("{:?}", weight.size())));
    };
    dtype::same_device(weight, index)?;
    check_index("index", index, rows)?;
    Ok(Tensor::f_embedding(weight, index, -1, false, false)?)
}

/// `x` [.., in] by the transpose of `weight` [out, in], plus `bias` [out].
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x_shape, w_shape) = (x.size(), weight.size());
    let &[out, inner] = w_shape.as_slice() else {
        return Err(Error::option("weight", "the shape [out, in]", format!("{w_shape:?}")));
    };
    if x_shape.last() != Some(&inner) {
        return Err(misfit(&x_shape, &w_shape));
    }
    same(x, weight)?;
    if let Some(bias) = bias {
        shape::same(&[out], &bias.size()).and_then(|()| same(weight, bias)).context("bias")?;
    }
    Ok(x.f_linear(weight, bias)?)
}

/// The last dimensions of `x`, as many as the weight has (the last one where there is none), brought to mean 0 and
/// variance 1, times `weight`, plus `bias`.
pub fn layer_norm(x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let normed = normed_shape(x, weight.or(bias))?;
    fits_norm("weight", weight, x, &normed)?;
    fits_norm("bias", bias, x, &normed)?;
    Ok(x.f_layer_norm(normed, weight, bias, eps, true)?)
}

/// The last dimensions of `x`, as many as the weight has (the last one where there is none), over the root of their
/// mean square plus `eps` (the smallest step of the dtype at 1 where it is not given), times `weight`.
pub fn rms_norm(x: &Tensor, weight: Option<&Tensor>, eps: Option<f64>) -> Result<Tensor> {
    let normed = normed_shape(x, weight)?;
    fits_norm("weight", weight, x, &normed)?;
    Ok(x.f_rms_norm(normed, weight, eps)?)
}

fn normed_shape(x: &Tensor, like: Option<&Tensor>) -> Result<Vec<i64>> {
    require_float("x", x)?;
    match (like, x.size().last()) {
        (Some(like), _) => Ok(like.size()),
        (None, Some(&last)) => Ok(vec![last]),
        (None, None) => Err(Error::message("a single number has no dimension to normalise")),
    }
}

fn fits_norm(name: &str, parameter: Option<&Tensor>, x: &Tensor, normed: &[i64]) -> Result<()> {
    let Some(parameter) = parameter else { return Ok(()) };
    let (shape, size) = (x.size(), parameter.size());
    match !size.is_empty() && size == normed && shape.ends_with(normed) {
        true => same(x, parameter).context(name),
        false => Err(misfit(&shape, &size)).context(name),
    }
}

/// What a loss makes of the losses of its elements.
pub fn reduction(name: &str) -> Result<Reduction> {
    match name {
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        "none" => Ok(Reduction::None),
        _ => Err(Error::option("reduction", "\"mean\", \"sum\" or \"none\"", format!("\"{name}\""))),
    }
}

/// How a loss over labels treats them.
#[derive(Debug, Clone, Copy)]
pub struct Labels {
    /// Labels of this value count for nothing.
    pub ignore_index: i64,
    pub reduction: Reduction,
    /// The share of every label that is spread over all classes, in 0..=1.
    pub label_smoothing: f64,
}

/// The cross entropy of `logits` [classes], [n, classes] or [n, classes, ..] with `labels`: classes as int64 in the
/// logits' shape without the classes, or probabilities in the logits' shape.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, options: Labels) -> Result<Tensor> {
    require_float("logits", logits)?;
    let Labels { ignore_index, reduction, label_smoothing } = options;
    if !(0.0..=1.0).contains(&label_smoothing) {
        return Err(Error::option("label_smoothing", "0 to 1", label_smoothing));
    }
    if labels.f_is_floating_point()? {
        shape::same(&logits.size(), &labels.size())?;
        same(logits, labels)?;
    } else {
        check_labels(logits, labels, ignore_index)?;
    }
    Ok(logits.f_cross_entropy_loss::<Tensor>(labels, None, reduction, ignore_index, label_smoothing)?)
}

/// The negative log-likelihood of `labels` under log-probabilities, laid out as for [`cross_entropy`].
pub fn nll_loss(logprobs: &Tensor, labels: &Tensor, options: Labels) -> Result<Tensor> {
    require_float("logprobs", logprobs)?;
    check_labels(logprobs, labels, options.ignore_index)?;
    Ok(logprobs.f_nll_loss_nd::<Tensor>(labels, None, options.reduction, options.ignore_index)?)
}

fn check_labels(logits: &Tensor, labels: &Tensor, ignore_index: i64) -> Result<()> {
    let (shape, found) = (logits.size(), labels.size());
    let classes_at = shape.len().min(2).checked_sub(1);
    let Some((dim, &classes)) = classes_at.and_then(|dim| Some((dim, shape.get(dim)?))) else {
        return Err(misfit(&shape, &found));
    };
    let mut wanted = shape.clone();
    wanted.remove(dim);
    if found != wanted {
        let error = misfit(&shape, &found).to_string();
        return Err(Error::hinted(
            error,
            format!("the classes are dimension {}: labels of the shape {wanted:?}", dim + 1),
        ));
    }
    dtype::same_device(logits, labels)?;
    require("labels", labels, Kind::Int64)?;
    check_index("labels", &labels.f_masked_select(&labels.f_ne(ignore_index)?)?, classes)
}

/// Refuses two inputs of a loss that differ in shape: they would broadcast, and the mean be one over every pair.
fn pair(a: &Tensor, b: &Tensor) -> Result<()> {
    require_float("input", a)?;
    shape::same(&a.size(), &b.size())?;
    same(a, b)
}

/// The squared differences.
pub fn mse_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    pair(input, target)?;
    Ok(input.f_mse_loss(target, reduction)?)
}

/// The absolute differences.
pub fn l1_loss(input: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    pair(input, target)?;
    Ok(input.f_l1_loss(target, reduction)?)
}

/// The squared differences halved and over `beta` where they are below it, the absolute ones less `beta` / 2 beyond.
pub fn smooth_l1_loss(input: &Tensor, target: &Tensor, reduction: Reduction, beta: f64) -> Result<Tensor> {
    pair(input, target)?;
    if beta < 0.0 {
        return Err(Error::option("beta", "at least 0", beta));
    }
    Ok(input.f_smooth_l1_loss(target, reduction, beta)?)
}

/// The cross entropy of probabilities in 0..=1 under the sigmoid of logits.
pub fn binary_cross_entropy_with_logits(logits: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
    pair(logits, target)?;
    Ok(logits.f_binary_cross_entropy_with_logits::<Tensor>(target, None, None, reduction)?)
}

/// KL(target ‖ input) by element; `input` holds log-probabilities, so does `target` where `log_target`. `batchmean`
/// is the sum over the size of the first dimension, the one that the definition means.
pub fn kl_div(input: &Tensor, target: &Tensor, reduction_name: &str, log_target: bool) -> Result<Tensor> {
    pair(input, target)?;
    if reduction_name != "batchmean" {
        return Ok(input.f_kl_div(target, reduction(reduction_name)?, log_target)?);
    }
    match input.size().first() {
        Some(&rows) => Ok(input.f_kl_div(target, Reduction::Sum, log_target)?.f_div_scalar(rows)?),
        None => Err(Error::message("batchmean: a single number has no first dimension")),
    }
}

/// softmax(query · keyᵀ · scale) · value over [.., l, e], [.., s, e] and [.., s, v]. `causal` lets row i see keys up to
/// i; `mask`, broadcast to [.., l, s], lets pass what is true, or is added to the scores.
pub fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
    causal: bool,
    scale: Option<f64>,
) -> Result<Tensor> {
    require_float("query", query)?;
    same(query, key).context("key")?;
    same(query, value).context("value")?;
    let (q, k, v) = (query.size(), key.size(), value.size());
    let ([q_batch @ .., rows, e], [k_batch @ .., keys, e_key]) = (q.as_slice(), k.as_slice()) else {
        return Err(misfit(&q, &k)).context("query and key");
    };
    let batch = match broadcast(q_batch, k_batch) {
        Ok(batch) if e == e_key => batch,
        _ => return Err(misfit(&q, &k)).context("query and key"),
    };
    let batch = match v.as_slice() {
        [v_batch @ .., values, _] if values == keys => broadcast(&batch, v_batch).ok(),
        _ => None,
    };
    let Some(batch) = batch else {
        return Err(misfit(&k, &v)).context("key and value");
    };
    if let Some(mask) = mask {
        if causal {
            return Err(Error::message("mask: not together with causal = true"));
        }
        let scores = [batch, vec![*rows, *keys]].concat();
        stretches_to(&mask.size(), &scores).context("mask")?;
        match mask.f_kind()? {
            Kind::Bool => dtype::same_device(query, mask).context("mask")?,
            _ => same(query, mask).context("mask")?,
        }
    }
    Ok(Tensor::f_scaled_dot_product_attention(query, key, value, mask, 0.0, causal, scale, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn zeros(shape: &[i64]) -> Tensor {
        Tensor::zeros(shape, (Kind::Float, Device::Cpu))
    }

    fn complaint(result: Result<Tensor>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_shapes() {
        assert_eq!(complaint(linear(&zeros(&[2, 3]), &zeros(&[4, 5]), None)), "shapes [2, 3] and [4, 5] do not fit");
        assert_eq!(
            complaint(linear(&zeros(&[2, 3]), &zeros(&[4, 3]), Some(&zeros(&[3])))),
            "bias: shapes [4] and [3] do not fit"
        );
        assert_eq!(
            complaint(layer_norm(&zeros(&[2, 3]), Some(&zeros(&[2])), None, 1e-5)),
            "weight: shapes [2, 3] and [2] do not fit"
        );
        assert_eq!(
            complaint(mse_loss(&zeros(&[3, 1]), &zeros(&[3]), Reduction::Mean)),
            "shapes [3, 1] and [3] do not fit"
        );
        let attend =
            |k: &[i64], v: &[i64]| complaint(attention(&zeros(&[2, 5, 4]), &zeros(k), &zeros(v), None, false, None));
        assert_eq!(attend(&[2, 6, 3], &[2, 6, 4]), "query and key: shapes [2, 5, 4] and [2, 6, 3] do not fit");
        assert_eq!(attend(&[2, 6, 4], &[2, 5, 4]), "key and value: shapes [2, 6, 4] and [2, 5, 4] do not fit");
    }

    #[test]
    fn labels_are_checked_but_for_the_ignored() {
        let options = Labels { ignore_index: -100, reduction: Reduction::Mean, label_smoothing: 0.0 };
        let loss = |labels: &[i64]| cross_entropy(&zeros(&[2, 3]), &Tensor::from_slice(labels), options);
        assert!(loss(&[2, -100]).is_ok());
        assert_eq!(
            complaint(loss(&[0, 3])),
            "labels: expected values from 0 to 2 (values inside tensors count from 0), got 3"
        );
        assert_eq!(complaint(loss(&[0])), "shapes [2, 3] and [1] do not fit");
        assert!(complaint(cross_entropy(&zeros(&[]), &Tensor::from(0i64), options)).contains("shapes [] and []"));
    }
}
