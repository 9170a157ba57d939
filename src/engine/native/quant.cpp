// A linear map whose frozen weight is stored in few bits. tch has no custom autograd function, and `linear` would keep
// the dequantised weight until the backward pass; here it is computed again there and never kept.

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/ATen.h>

#include <cstdint>

#include "call.h"
#include "quant_cpu.h"

namespace {

// The tensors of engine/model/quant.rs `Quantized`. Undefined: `table` for int8, `book`, `nested` and `offset` where
// the scales are floats themselves.
struct Stored {
  at::Tensor codes, scales, table, book, nested, offset;
  int64_t out, in;
};

constexpr int64_t BLOCK = affine::cpu::BLOCK;
constexpr int64_t NESTED_BLOCK = 256;
// Up to so many rows of x a CPU multiplies as it decodes; from then on libtorch's product over the whole weight is faster.
constexpr int64_t FEW_ROWS = 8;

// The float32 scale of every block.
at::Tensor scales(const Stored &w) {
  if (!w.book.defined()) {
    return w.scales;
  }
  const auto blocks = w.scales.numel();
  const auto each = w.nested.repeat_interleave(NESTED_BLOCK).narrow(0, 0, blocks);
  return w.book.index_select(0, w.scales.to(at::kInt)).mul_(each).add_(w.offset);
}

affine::cpu::Parts parts(const Stored &w, const at::Tensor &scales) {
  const float *table = w.table.defined() ? w.table.const_data_ptr<float>() : nullptr;
  return {static_cast<const uint8_t *>(w.codes.const_data_ptr()), table, scales.const_data_ptr<float>()};
}

bool has_kernels(const Stored &w, at::ScalarType kind) {
  return w.codes.is_cpu() && (kind == at::kFloat || kind == at::kBFloat16);
}

// `[out, in]`; computed in float32, then rounded to `kind`, as bitsandbytes does.
at::Tensor dequantized(const Stored &w, at::ScalarType kind) {
  const at::NoGradGuard no_grad;
  if (has_kernels(w, kind)) {
    const auto wide = scales(w).contiguous();
    const auto result = at::empty({w.out, w.in}, w.codes.options().dtype(kind));
    if (kind == at::kFloat) {
      affine::cpu::dequantize_all(parts(w, wide), w.out * w.in, result.data_ptr<float>());
    } else {
      affine::cpu::dequantize_all(parts(w, wide), w.out * w.in, affine::data<affine::Bf16>(result));
    }
    return result;
  }
  // Two numbers a byte: a table of all 256 pairs reads both at once.
  auto wide = w.table.defined() ? w.table.index_select(0, w.codes.to(at::kInt)) : w.codes.to(at::kFloat);
  wide = wide.view({-1, BLOCK}).mul_(scales(w).unsqueeze(-1));
  return wide.view({-1}).narrow(0, 0, w.out * w.in).view({w.out, w.in}).to(kind);
}

// `x Wᵀ`. For a few rows, as in decoding, the weight is never written to memory.
at::Tensor product(const at::Tensor &x, const Stored &w) {
  const auto kind = x.scalar_type();
  const auto rows = x.numel() / w.in;
  if (!has_kernels(w, kind) || rows > FEW_ROWS || w.in % BLOCK != 0 || x.size(-1) != w.in) {
    return at::linear(x, dequantized(w, kind));
  }
  auto shape = x.sizes().vec();
  shape.back() = w.out;
  const auto y = at::empty(shape, x.options());
  const auto wide = scales(w).contiguous();
  const auto x_wide = x.to(at::kFloat).contiguous();
  const auto *numbers = x_wide.const_data_ptr<float>();
  if (kind == at::kFloat) {
    affine::cpu::multiply_all(parts(w, wide), w.in, w.out, rows, numbers, y.data_ptr<float>());
  } else {
    affine::cpu::multiply_all(parts(w, wide), w.in, w.out, rows, numbers, affine::data<affine::Bf16>(y));
  }
  return y;
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(torch::autograd::AutogradContext *ctx, const at::Tensor &x, const Stored &w) {
    ctx->save_for_backward({w.codes, w.scales, w.table, w.book, w.nested, w.offset});
    ctx->saved_data["out"] = w.out;
    ctx->saved_data["in"] = w.in;
    return product(x, w);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *ctx,
                                                 torch::autograd::variable_list gradients) {
    const auto s = ctx->get_saved_variables();
    const Stored w{s[0], s[1], s[2], s[3], s[4], s[5], ctx->saved_data["out"].toInt(), ctx->saved_data["in"].toInt()};
    const auto &gradient = gradients[0];
    return {gradient.matmul(dequantized(w, gradient.scalar_type())), at::Tensor()};
  }
};

Stored stored(const at::Tensor *const *parts, int64_t out, int64_t in) {
  const auto part = [&](int i) { return parts[i] ? *parts[i] : at::Tensor(); };
  return {part(0), part(1), part(2), part(3), part(4), part(5), out, in};
}

} // namespace

extern "C" {

// `x Wᵀ`, differentiable in x.
at::Tensor *affine_quantized_linear(const at::Tensor *x, const at::Tensor *const *parts, int64_t out, int64_t in,
                                    char **refusal) {
  return affine::guarded(refusal, [&] { return Linear::apply(*x, stored(parts, out, in)); });
}

// The weight in the dtype of `like`.
at::Tensor *affine_dequantized(const at::Tensor *like, const at::Tensor *const *parts, int64_t out, int64_t in,
                               char **refusal) {
  return affine::guarded(refusal, [&] { return dequantized(stored(parts, out, in), like->scalar_type()); });
}
}
