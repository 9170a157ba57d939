// Log-probs of given tokens, and entropies, straight from the logits on the CPU: no float32 copy of the logits, no
// distribution in memory, and a backward pass that writes the logits' gradient once.

#include <torch/csrc/autograd/custom_function.h>

#include "call.h"
#include "rows.h"

namespace affine {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Of one row of logits z = x / temperature: log Σ eᶻ, and Σ p z, which the entropy is less than that by.
template <typename T>
VECTORISED void normalise(const T *x, int64_t size, float scale, float *log_sum, float *mean) {
  float most = -INFINITY;
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < size; i++) {
    const float z = wide(x[i]) * scale;
    most = z > most ? z : most;
  }
  float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
  for (int64_t i = 0; i < size; i++) {
    const float z = wide(x[i]) * scale - most;
    const float e = exp_of(z);
    sum += e;
    // A logit of −∞ has no share in the mean.
    weighted += e > 0.0f ? e * z : 0.0f;
  }
  *log_sum = most + std::log(sum);
  *mean = most + weighted / sum;
}

// dx = (g₀ (1[target] − p) − g₁ p (z − Σ p z)) / temperature; the target's own part is added by the caller.
template <typename T>
VECTORISED void spread(const T *x, T *dx, int64_t size, float scale, float log_sum, float mean, float by_logprob,
                       float by_entropy) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) {
    const float z = wide(x[i]) * scale;
    const float p = exp_of(z - log_sum);
    dx[i] = narrow<T>(p > 0.0f ? -scale * p * (by_logprob + by_entropy * (z - mean)) : 0.0f);
  }
}

// logits [N, V], targets [N] to [2, N] float32: log-probs, then entropies in nats.
struct Scores : public torch::autograd::Function<Scores> {
  static Tensor forward(AutogradContext *context, const Tensor &given, const Tensor &targets, double temperature) {
    const Tensor logits = given.contiguous(), at_tokens = targets.contiguous();
    const int64_t rows = logits.size(0), size = logits.size(1);
    TORCH_CHECK_INDEX(rows == 0 || (at_tokens.min().item<int64_t>() >= 0 && at_tokens.max().item<int64_t>() < size),
                      "a target is no index of the ", size, " logits");
    const float scale = static_cast<float>(1.0 / temperature);
    Tensor scores = at::empty({2, rows}, logits.options().dtype(at::kFloat)), sums = at::empty_like(scores);
    float *logprob = data<float>(scores), *entropy = logprob + rows;
    float *log_sum = data<float>(sums), *mean = log_sum + rows;
    const int64_t *token = at_tokens.const_data_ptr<int64_t>();
    with_type(logits.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(rows, 20 * size, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; row++) {
          const T *x = data<T>(logits) + row * size;
          normalise<T>(x, size, scale, log_sum + row, mean + row);
          logprob[row] = wide(x[token[row]]) * scale - log_sum[row];
          entropy[row] = log_sum[row] - mean[row];
        }
      });
    });
    context->save_for_backward({logits, at_tokens, sums});
    context->saved_data["scale"] = static_cast<double>(scale);
    return scores;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &logits = saved[0], &targets = saved[1], &sums = saved[2];
    const int64_t rows = logits.size(0), size = logits.size(1);
    const float scale = static_cast<float>(context->saved_data["scale"].toDouble());
    const Tensor g = gradients[0].contiguous();
    const float *by_logprob = data<float>(g), *by_entropy = by_logprob + rows;
    const float *log_sum = data<float>(sums), *mean = log_sum + rows;
    const int64_t *token = targets.const_data_ptr<int64_t>();
    Tensor dlogits = at::empty_like(logits);
    with_type(logits.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(rows, 20 * size, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; row++) {
          const T *x = data<T>(logits) + row * size;
          T *dx = data<T>(dlogits) + row * size;
          spread<T>(x, dx, size, scale, log_sum[row], mean[row], by_logprob[row], by_entropy[row]);
          // The target's gradient as one number, so that it is rounded once.
          const float z = wide(x[token[row]]) * scale, p = exp_of(z - log_sum[row]);
          const float own = by_logprob[row] * (1.0f - p) - by_entropy[row] * p * (z - mean[row]);
          dx[token[row]] = narrow<T>(scale * own);
        }
      });
    });
    return {dlogits, Tensor(), Tensor()};
  }
};

}  // namespace
}  // namespace affine

extern "C" at::Tensor *affine_scores(const at::Tensor *logits, const at::Tensor *targets, double temperature,
                                     char **refusal) {
  return affine::guarded(refusal, [&] { return affine::Scores::apply(*logits, *targets, temperature); });
}
