// The pieces of a transformer block between its matrix products, each as one pass over memory on the CPU with a backward
// pass of its own: RMS norm, rotary embedding, SwiGLU. float32 and bfloat16; float32 inside.

#include <torch/csrc/autograd/custom_function.h>

#include "call.h"
#include "rows.h"

namespace affine {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// y = x / √(mean(x²) + ε), rounded to the dtype as transformers does, times the weight.
template <typename T>
VECTORISED void norm_rows(const T *x, const T *weight, T *y, float *inverse, int64_t rows, int64_t size, float eps) {
  for (int64_t row = 0; row < rows; row++, x += size, y += size) {
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < size; i++) {
      squares += wide(x[i]) * wide(x[i]);
    }
    const float by = 1.0f / std::sqrt(squares / static_cast<float>(size) + eps);
    inverse[row] = by;
#pragma omp simd
    for (int64_t i = 0; i < size; i++) {
      y[i] = narrow<T>(wide(narrow<T>(wide(x[i]) * by)) * wide(weight[i]));
    }
  }
}

// dx = r (g w − x̂ mean(g w x̂)) with x̂ = r x.
template <typename T>
VECTORISED void norm_rows_back(const T *x, const T *weight, const float *inverse, const T *g, T *dx, int64_t rows,
                               int64_t size) {
  for (int64_t row = 0; row < rows; row++, x += size, g += size, dx += size) {
    const float by = inverse[row];
    float along = 0;
#pragma omp simd reduction(+ : along)
    for (int64_t i = 0; i < size; i++) {
      along += wide(g[i]) * wide(weight[i]) * wide(x[i]);
    }
    const float pull = along * by * by / static_cast<float>(size);
#pragma omp simd
    for (int64_t i = 0; i < size; i++) {
      dx[i] = narrow<T>(by * (wide(g[i]) * wide(weight[i]) - wide(x[i]) * pull));
    }
  }
}

struct RmsNorm : public torch::autograd::Function<RmsNorm> {
  static Tensor forward(AutogradContext *context, const Tensor &given, const Tensor &weight, double eps) {
    const Tensor x = given.contiguous();
    const int64_t size = x.size(-1), rows = x.numel() / size;
    Tensor y = at::empty_like(x), inverse = at::empty({rows}, x.options().dtype(at::kFloat));
    with_type(x.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(rows, 4 * size, [&](int64_t first, int64_t last) {
        norm_rows<T>(data<T>(x) + first * size, data<T>(weight), data<T>(y) + first * size,
                     data<float>(inverse) + first, last - first, size, static_cast<float>(eps));
      });
    });
    context->save_for_backward({x, weight, inverse});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2];
    const int64_t size = x.size(-1), rows = x.numel() / size;
    const Tensor g = gradients[0].contiguous();
    Tensor dx = at::empty_like(x), dweight;
    with_type(x.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(rows, 6 * size, [&](int64_t first, int64_t last) {
        norm_rows_back<T>(data<T>(x) + first * size, data<T>(weight), data<float>(inverse) + first,
                          data<T>(g) + first * size, data<T>(dx) + first * size, last - first, size);
      });
    });
    if (context->needs_input_grad(1)) {
      const Tensor normed = x.view({rows, size}).to(at::kFloat) * inverse.unsqueeze(1);
      dweight = (g.view({rows, size}).to(at::kFloat) * normed).sum(0).to(weight.scalar_type());
    }
    return {dx, dweight, Tensor()};
  }
};

// Turns every head of a position by that position's angles; with `sign` −1, back. x: [rows of heads × size].
template <typename T>
VECTORISED void rotate(const T *x, const T *cos, const T *sin, T *y, int64_t heads, int64_t size, float sign) {
  const int64_t half = size / 2;
  for (int64_t head = 0; head < heads; head++, x += size, y += size) {
    if (sign > 0) {
#pragma omp simd
      for (int64_t i = 0; i < half; i++) {
        const float a = wide(x[i]), b = wide(x[i + half]);
        y[i] = narrow<T>(a * wide(cos[i]) - b * wide(sin[i]));
        y[i + half] = narrow<T>(b * wide(cos[i + half]) + a * wide(sin[i + half]));
      }
    } else {
#pragma omp simd
      for (int64_t i = 0; i < half; i++) {
        const float a = wide(x[i]), b = wide(x[i + half]);
        y[i] = narrow<T>(a * wide(cos[i]) + b * wide(sin[i + half]));
        y[i + half] = narrow<T>(b * wide(cos[i + half]) - a * wide(sin[i]));
      }
    }
  }
}

// x: [B, T, H, D]; cos, sin: [B or 1, T, D].
Tensor rotated(const Tensor &given, const Tensor &cos, const Tensor &sin, float sign) {
  const Tensor x = given.contiguous();
  const int64_t positions = x.size(0) * x.size(1), heads = x.size(2), size = x.size(3);
  const int64_t angles = cos.size(0) * cos.size(1);
  Tensor y = at::empty_like(x);
  with_type(x.scalar_type(), [&](auto *type) {
    using T = std::remove_pointer_t<decltype(type)>;
    over_rows(positions, 4 * heads * size, [&](int64_t first, int64_t last) {
      for (int64_t at = first; at < last; at++) {
        const int64_t angle = (at % angles) * size, place = at * heads * size;
        rotate<T>(data<T>(x) + place, data<T>(cos) + angle, data<T>(sin) + angle, data<T>(y) + place, heads, size, sign);
      }
    });
  });
  return y;
}

struct Rotary : public torch::autograd::Function<Rotary> {
  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &cos, const Tensor &sin) {
    context->save_for_backward({cos, sin});
    return rotated(x, cos, sin, 1.0f);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {rotated(gradients[0], saved[0], saved[1], -1.0f), Tensor(), Tensor()};
  }
};

template <typename T>
VECTORISED void gate_rows(const T *gate, const T *up, T *y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    const float x = wide(gate[i]);
    y[i] = narrow<T>(x / (1.0f + exp_of(-x)) * wide(up[i]));
  }
}

template <typename T>
VECTORISED void gate_rows_back(const T *gate, const T *up, const T *g, T *dgate, T *dup, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; i++) {
    const float x = wide(gate[i]), pull = wide(g[i]);
    const float sigmoid = 1.0f / (1.0f + exp_of(-x));
    dgate[i] = narrow<T>(pull * wide(up[i]) * sigmoid * (1.0f + x * (1.0f - sigmoid)));
    dup[i] = narrow<T>(pull * x * sigmoid);
  }
}

// silu(gate) · up
struct SwiGlu : public torch::autograd::Function<SwiGlu> {
  static Tensor forward(AutogradContext *context, const Tensor &given_gate, const Tensor &given_up) {
    const Tensor gate = given_gate.contiguous(), up = given_up.contiguous();
    Tensor y = at::empty_like(gate);
    with_type(gate.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(gate.numel(), 20, [&](int64_t first, int64_t last) {
        gate_rows<T>(data<T>(gate) + first, data<T>(up) + first, data<T>(y) + first, last - first);
      });
    });
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1];
    const Tensor g = gradients[0].contiguous();
    Tensor dgate = at::empty_like(gate), dup = at::empty_like(up);
    with_type(gate.scalar_type(), [&](auto *type) {
      using T = std::remove_pointer_t<decltype(type)>;
      over_rows(gate.numel(), 30, [&](int64_t first, int64_t last) {
        gate_rows_back<T>(data<T>(gate) + first, data<T>(up) + first, data<T>(g) + first, data<T>(dgate) + first,
                          data<T>(dup) + first, last - first);
      });
    });
    return {dgate, dup};
  }
};

}  // namespace
}  // namespace affine

extern "C" {

at::Tensor *affine_rms_norm(const at::Tensor *x, const at::Tensor *weight, double eps, char **refusal) {
  return affine::guarded(refusal, [&] { return affine::RmsNorm::apply(*x, *weight, eps); });
}

at::Tensor *affine_rotary(const at::Tensor *x, const at::Tensor *cos, const at::Tensor *sin, char **refusal) {
  return affine::guarded(refusal, [&] { return affine::Rotary::apply(*x, *cos, *sin); });
}

at::Tensor *affine_swiglu(const at::Tensor *gate, const at::Tensor *up, char **refusal) {
  return affine::guarded(refusal, [&] { return affine::SwiGlu::apply(*gate, *up); });
}
}
