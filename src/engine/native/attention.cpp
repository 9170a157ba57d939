// Attention on the CPU.
//
// Causal attention in bfloat16 on CPUs without AMX, where libtorch's own kernel multiplies as slowly as in float32: here a
// block of queries at a time goes through batched bfloat16 products. Memory is that of one block of scores. Scores are
// rounded to bfloat16 before the softmax, as in transformers' eager attention; the softmax is float32.
//
// Attention of one new token per row to what its cache holds: a pass over the keys and one over the values, in float32
// inside.

#include <ATen/native/CPUBlas.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "call.h"
#include "rows.h"

namespace affine {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Scores that exist at once, and queries per block where they allow it.
constexpr int64_t SCORES = 1 << 22, QUERIES = 128, FEWEST_QUERIES = 16;

// A row of scores becomes probabilities; keys from `keys` on are hidden. Returns log Σ e^score.
VECTORISED float softmax_row(Bf16 *row, int64_t keys, int64_t size, float scale) {
  float most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
  for (int64_t i = 0; i < keys; i++) {
    const float score = wide(row[i]) * scale;
    most = score > most ? score : most;
  }
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < keys; i++) {
    sum += exp_of(wide(row[i]) * scale - most);
  }
  const float log_sum = most + std::log(sum);
#pragma omp simd
  for (int64_t i = 0; i < keys; i++) {
    row[i] = narrow<Bf16>(exp_of(wide(row[i]) * scale - log_sum));
  }
  std::memset(row + keys, 0, (size - keys) * sizeof(Bf16));
  return log_sum;
}

// Scores become probabilities p, and their gradients `d` those of the scores before the scale: p (d − along) · scale.
VECTORISED void softmax_row_back(Bf16 *row, Bf16 *d, int64_t keys, int64_t size, float scale, float log_sum, float along) {
#pragma omp simd
  for (int64_t i = 0; i < keys; i++) {
    const float p = exp_of(wide(row[i]) * scale - log_sum);
    row[i] = narrow<Bf16>(p);
    d[i] = narrow<Bf16>(p * (wide(d[i]) - along) * scale);
  }
  std::memset(row + keys, 0, (size - keys) * sizeof(Bf16));
  std::memset(d + keys, 0, (size - keys) * sizeof(Bf16));
}

template <typename T>
VECTORISED float dot(const T *a, const T *b, int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) {
    sum += wide(a[i]) * wide(b[i]);
  }
  return sum;
}

// B rows, T positions, K key/value heads, G query heads for each, D numbers per head. A group of query heads shares its
// keys, so its queries are one matrix: [B·K, G·queries, D].
struct Shape {
  int64_t b, t, k, g, d;
  float scale;

  int64_t block() const { return std::clamp(SCORES / (b * k * g * t), FEWEST_QUERIES, QUERIES); }

  // [B, T, K·G, D] at some positions.
  Tensor queries(const Tensor &x, int64_t first, int64_t count) const {
    return x.view({b, t, k, g, d}).narrow(1, first, count).permute({0, 2, 3, 1, 4}).reshape({b * k, g * count, d});
  }

  void set_queries(const Tensor &x, int64_t first, int64_t count, const Tensor &values) const {
    x.view({b, t, k, g, d}).narrow(1, first, count).permute({0, 2, 3, 1, 4}).copy_(values.view({b, k, g, count, d}));
  }

  // [B, K, T, D] → [B·K, T, D]
  Tensor keys(const Tensor &x) const { return x.contiguous().view({b * k, t, d}); }
};

// Calls work(row, position, place) for each row of a block's matrix, `place` in [B·K·G, T].
template <typename Work>
void over_queries(const Shape &shape, int64_t first, int64_t count, int64_t cost, const Work &work) {
  over_rows(shape.b * shape.k * shape.g * count, cost, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++) {
      const int64_t position = first + row % count;
      work(row, position, row / count * shape.t + position);
    }
  });
}

// q: [B, K·G, T, D]; k, v: [B, K, T, D] → [B, K·G, T, D], laid out as [B, T, K·G, D].
struct CausalAttention : public torch::autograd::Function<CausalAttention> {
  static Tensor forward(AutogradContext *context, const Tensor &q, const Tensor &k, const Tensor &v) {
    const Shape shape{q.size(0), q.size(2), k.size(1), q.size(1) / k.size(1), q.size(3),
                      1.0f / std::sqrt(static_cast<float>(q.size(3)))};
    const Tensor queries = q.transpose(1, 2).contiguous(), keys = shape.keys(k), values = shape.keys(v);
    Tensor attended = at::empty_like(queries);
    Tensor log_sums = at::empty({shape.b * shape.k * shape.g, shape.t}, q.options().dtype(at::kFloat));
    float *log_sum = data<float>(log_sums);
    for (int64_t first = 0; first < shape.t; first += shape.block()) {
      const int64_t count = std::min(shape.block(), shape.t - first), size = first + count;
      const Tensor scores = at::bmm(shape.queries(queries, first, count), keys.narrow(1, 0, size).transpose(1, 2));
      Bf16 *score = data<Bf16>(scores);
      over_queries(shape, first, count, 30 * size, [&](int64_t row, int64_t position, int64_t place) {
        log_sum[place] = softmax_row(score + row * size, position + 1, size, shape.scale);
      });
      shape.set_queries(attended, first, count, at::bmm(scores, values.narrow(1, 0, size)));
    }
    context->save_for_backward({queries, keys, values, attended, log_sums});
    return attended.transpose(1, 2);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &queries = saved[0], &keys = saved[1], &values = saved[2], &attended = saved[3];
    const float *log_sum = data<float>(saved[4]);
    const Tensor g = gradients[0].transpose(1, 2).contiguous();
    const int64_t groups = keys.size(0) / queries.size(0);
    const Shape shape{queries.size(0), queries.size(1), groups, queries.size(2) / groups, queries.size(3),
                      1.0f / std::sqrt(static_cast<float>(queries.size(3)))};
    const int64_t heads = shape.k * shape.g;
    Tensor dq = at::empty_like(queries);
    Tensor dk = at::zeros(keys.sizes(), keys.options().dtype(at::kFloat)), dv = at::zeros_like(dk);
    for (int64_t first = 0; first < shape.t; first += shape.block()) {
      const int64_t count = std::min(shape.block(), shape.t - first), size = first + count;
      const Tensor q = shape.queries(queries, first, count), pull = shape.queries(g, first, count);
      const Tensor k = keys.narrow(1, 0, size), v = values.narrow(1, 0, size);
      const Tensor scores = at::bmm(q, k.transpose(1, 2)), dscores = at::bmm(pull, v.transpose(1, 2));
      Bf16 *score = data<Bf16>(scores), *dscore = data<Bf16>(dscores);
      over_queries(shape, first, count, 30 * size, [&](int64_t row, int64_t position, int64_t place) {
        const int64_t head = place / shape.t % heads, batch = place / shape.t / heads;
        const int64_t at = ((batch * shape.t + position) * heads + head) * shape.d;
        const float along = dot<Bf16>(data<Bf16>(g) + at, data<Bf16>(attended) + at, shape.d);
        softmax_row_back(score + row * size, dscore + row * size, position + 1, size, shape.scale, log_sum[place], along);
      });
      dv.narrow(1, 0, size).add_(at::bmm(scores.transpose(1, 2), pull));
      dk.narrow(1, 0, size).add_(at::bmm(dscores.transpose(1, 2), q));
      shape.set_queries(dq, first, count, at::bmm(dscores, k));
    }
    const auto in_heads = [&](const Tensor &x) { return x.to(keys.scalar_type()).view({shape.b, shape.k, shape.t, shape.d}); };
    return {dq.transpose(1, 2), in_heads(dk), in_heads(dv)};
  }
};

// One query over `count` keys and values of D numbers each. `scores` holds `count` numbers, `sum` D.
template <typename T>
VECTORISED void attend(const T *q, const T *keys, const T *values, int64_t count, int64_t d, float *scores, float *sum,
                       T *out) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float most = -INFINITY, total = 0;
  for (int64_t i = 0; i < count; i++) {
    float score = 0;
    const T *key = keys + i * d;
#pragma omp simd reduction(+ : score)
    for (int64_t j = 0; j < d; j++) {
      score += wide(q[j]) * wide(key[j]);
    }
    scores[i] = score * scale;
    most = scores[i] > most ? scores[i] : most;
  }
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; i++) {
    scores[i] = exp_of(scores[i] - most);
    total += scores[i];
  }
  std::fill(sum, sum + d, 0.0f);
  for (int64_t i = 0; i < count; i++) {
    const float p = scores[i] / total;
    const T *value = values + i * d;
#pragma omp simd
    for (int64_t j = 0; j < d; j++) {
      sum[j] += p * wide(value[j]);
    }
  }
#pragma omp simd
  for (int64_t j = 0; j < d; j++) {
    out[j] = narrow<T>(sum[j]);
  }
}

// q: [B, K·G, 1, D]; k, v: [B, K, 1, D], written to `keys` and `values`, [B, K, capacity, D], at each row's position.
Tensor decode(const Tensor &given_q, const Tensor &given_k, const Tensor &given_v, const Tensor &keys, const Tensor &values,
              const Tensor &positions) {
  const Tensor q = given_q.contiguous(), k = given_k.contiguous(), v = given_v.contiguous();
  const int64_t rows = q.size(0), heads = q.size(1), groups = k.size(1), d = q.size(3), capacity = keys.size(2);
  const Tensor at_positions = positions.contiguous();
  const int64_t *position = at_positions.const_data_ptr<int64_t>();
  const int64_t longest = at_positions.max().item<int64_t>() + 1;
  TORCH_CHECK_INDEX(longest <= capacity && at_positions.min().item<int64_t>() >= 0, "a position outside the cache");
  Tensor out = at::empty_like(q);
  with_type(q.scalar_type(), [&](auto *type) {
    using T = std::remove_pointer_t<decltype(type)>;
    over_rows(rows * groups, 4 * longest * d * heads / groups, [&](int64_t first, int64_t last) {
      std::vector<float> scratch(longest + d);
      for (int64_t pair = first; pair < last; pair++) {
        const int64_t slot = position[pair / groups], held = pair * capacity * d;
        std::copy_n(data<T>(k) + pair * d, d, data<T>(keys) + held + slot * d);
        std::copy_n(data<T>(v) + pair * d, d, data<T>(values) + held + slot * d);
        for (int64_t head = pair * heads / groups; head < (pair + 1) * heads / groups; head++) {
          attend<T>(data<T>(q) + head * d, data<T>(keys) + held, data<T>(values) + held, slot + 1, d, scratch.data(),
                    scratch.data() + longest, data<T>(out) + head * d);
        }
      }
    });
  });
  return out;
}

}  // namespace
}  // namespace affine

extern "C" {

at::Tensor *affine_decode_attention(const at::Tensor *q, const at::Tensor *k, const at::Tensor *v, const at::Tensor *keys,
                                    const at::Tensor *values, const at::Tensor *positions, char **refusal) {
  return affine::guarded(refusal, [&] { return affine::decode(*q, *k, *v, *keys, *values, *positions); });
}

// Whether libtorch's own attention has fast bfloat16 products here.
bool affine_has_amx() { return at::native::cpublas::could_pack(at::kBFloat16); }

at::Tensor *affine_causal_attention(const at::Tensor *q, const at::Tensor *k, const at::Tensor *v, char **refusal) {
  return affine::guarded(refusal, [&] { return affine::CausalAttention::apply(*q, *k, *v); });
}
}
