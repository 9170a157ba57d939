// A linear map with a low-rank adapter as one differentiable operation, and oneDNN for float32 products on the CPU.

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>

#include "call.h"

namespace affine {
namespace {

using at::Tensor;

// Below so many multiplications a call costs more than it computes.
constexpr int64_t SMALL = 1 << 18;

bool takes_onednn(const Tensor &x, const Tensor &weight, bool onednn) {
  return onednn && x.device().is_cpu() && x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
         x.numel() * weight.size(0) >= SMALL;
}

using Product = Tensor(const Tensor &, const Tensor &, const std::optional<Tensor> &, std::string_view,
                       c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
using Sum = Tensor(const Tensor &, const Tensor &, const Tensor &, const std::optional<Tensor> &, std::string_view);

Tensor onednn_product(const Tensor &x, const Tensor &weight) {
  static const auto operation =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Product>();
  return operation.call(x, weight, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

Tensor onednn_sum(const Tensor &base, const Tensor &x, const Tensor &weight) {
  static const auto operation =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "binary").typed<Sum>();
  return operation.call(x, base, weight, std::nullopt, "add");
}

// x Wᵀ: [N, in] and [out, in] to [N, out].
Tensor product(const Tensor &x, const Tensor &weight, bool onednn) {
  return takes_onednn(x, weight, onednn) ? onednn_product(x, weight) : at::linear(x, weight);
}

// base + x Wᵀ, in one pass over [N, out].
Tensor sum(const Tensor &base, const Tensor &x, const Tensor &weight, bool onednn) {
  return takes_onednn(x, weight, onednn) ? onednn_sum(base, x, weight) : at::addmm(base, x, weight.t());
}

// y = x Wᵀ + s · (x Aᵀ) Bᵀ. The adapter's factors are float32 and multiplied in the base's dtype, as under autocast.
// Kept for the backward pass beside the parameters: x, and x Aᵀ of the adapter's rank.
struct AdaptedLinear : public torch::autograd::Function<AdaptedLinear> {
  static Tensor forward(torch::autograd::AutogradContext *context, const Tensor &x, const Tensor &weight,
                        const std::optional<Tensor> &a, const std::optional<Tensor> &b, double scale,
                        bool onednn) {
    const auto kind = x.scalar_type();
    const Tensor rows = x.reshape({-1, x.size(-1)});
    Tensor y = product(rows, weight, onednn);
    Tensor low, narrow_a, narrow_b;
    if (a) {
      narrow_a = a->to(kind);
      narrow_b = b->to(kind);
      low = product(rows, narrow_a, onednn).mul_(scale);
      y = sum(y, low, narrow_b, onednn);
    }
    context->save_for_backward({rows, weight, narrow_a, narrow_b, low});
    context->saved_data["scale"] = scale;
    context->saved_data["onednn"] = onednn;
    context->saved_data["shape"] = x.sizes();
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.view(shape);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &rows = saved[0], &weight = saved[1], &a = saved[2], &b = saved[3], &low = saved[4];
    const double scale = context->saved_data["scale"].toDouble();
    const bool onednn = context->saved_data["onednn"].toBool();
    const Tensor g = gradients[0].reshape({-1, weight.size(0)}).contiguous();
    Tensor x_gradient, weight_gradient, a_gradient, b_gradient, low_gradient;
    if (a.defined()) {
      low_gradient = product(g, b.t(), onednn).mul_(scale);
      a_gradient = at::mm(low_gradient.t(), rows).to(at::kFloat);
      // As (lowᵀ g)ᵀ: MKL is six times slower at gᵀ low.
      b_gradient = at::mm(low.t(), g).t().to(at::kFloat, false, false, at::MemoryFormat::Contiguous);
    }
    if (context->needs_input_grad(0)) {
      x_gradient = product(g, weight.t(), onednn);
      if (a.defined()) {
        x_gradient = sum(x_gradient, low_gradient, a.t(), onednn);
      }
      x_gradient = x_gradient.view(context->saved_data["shape"].toIntVector());
    }
    if (context->needs_input_grad(1)) {
      weight_gradient = product(g.t().contiguous(), rows.t(), onednn);
    }
    return {x_gradient, weight_gradient, a_gradient, b_gradient, Tensor(), Tensor()};
  }
};

}  // namespace
}  // namespace affine

extern "C" {

// A weight in the order in which oneDNN reads it: an opaque tensor, good for affine_packed_linear alone.
at::Tensor *affine_pack(const at::Tensor *weight, char **refusal) {
  static const auto operation = c10::Dispatcher::singleton()
                                    .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                                    .typed<at::Tensor(const at::Tensor &, std::optional<int64_t>)>();
  return affine::guarded(refusal, [&] { return operation.call(weight->detach(), std::nullopt); });
}

bool affine_records_gradients() { return at::GradMode::is_enabled(); }

// How often a tensor was written to.
int64_t affine_version(const at::Tensor *tensor) { return static_cast<int64_t>(tensor->_version()); }

// As affine_linear, over a packed weight and without a gradient.
at::Tensor *affine_packed_linear(const at::Tensor *x, const at::Tensor *packed, const at::Tensor *a, const at::Tensor *b,
                                 double scale, char **refusal) {
  return affine::guarded(refusal, [&] {
    const at::NoGradGuard no_grad;
    const at::Tensor rows = x->reshape({-1, x->size(-1)});
    at::Tensor y = affine::onednn_product(rows, *packed);
    if (a != nullptr) {
      const auto kind = x->scalar_type();
      y = at::addmm(y, at::linear(rows, a->to(kind)).mul_(scale), b->to(kind).t());
    }
    auto shape = x->sizes().vec();
    shape.back() = y.size(-1);
    return y.view(shape);
  });
}

// `a` and `b` are null without an adapter. `onednn`: whether oneDNN multiplies float32 matrices on the CPU.
at::Tensor *affine_linear(const at::Tensor *x, const at::Tensor *weight, const at::Tensor *a, const at::Tensor *b,
                          double scale, bool onednn, char **refusal) {
  const auto factor = [](const at::Tensor *given) { return given != nullptr ? std::optional(*given) : std::nullopt; };
  return affine::guarded(
      refusal, [&] { return affine::AdaptedLinear::apply(*x, *weight, factor(a), factor(b), scale, onednn); });
}
}
