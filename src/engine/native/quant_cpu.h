// The kernels of quant.cpp on a CPU, compiled for three generations of x86-64 of which the machine's is chosen at run
// time. A number is `table[code] * scale`, rounded to the dtype that is computed in.

#pragma once

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rows.h"

namespace affine::cpu {

// Numbers that share a scale.
constexpr int64_t BLOCK = 64;

#define AFFINE_INLINE inline __attribute__((always_inline))
#define AFFINE_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))

// How codes become numbers. `table`: the two numbers of each byte.
struct Nf4 {
  static constexpr int64_t BYTES = BLOCK / 2;
  static AFFINE_INLINE void block(const uint8_t *codes, const float *table, float scale, float *out) {
    for (int64_t i = 0; i < BYTES; i++) {
      const float *pair = table + 2 * codes[i];
      out[2 * i] = pair[0] * scale;
      out[2 * i + 1] = pair[1] * scale;
    }
  }
};

struct Int8 {
  static constexpr int64_t BYTES = BLOCK;
  static AFFINE_INLINE void block(const uint8_t *codes, const float *, float scale, float *out) {
    for (int64_t i = 0; i < BLOCK; i++) {
      out[i] = static_cast<float>(static_cast<int8_t>(codes[i])) * scale;
    }
  }
};

// A weight's parts: `scales` one a block.
struct Parts {
  const uint8_t *codes;
  const float *table, *scales;
};

// Blocks `first` to `last` of `w`, of which no more than `numbers` count.
template <typename Scheme, typename Number>
AFFINE_INLINE void dequantize(const Parts &w, int64_t first, int64_t last, int64_t numbers, Number *out) {
  float wide[BLOCK];
  for (int64_t i = first; i < last; i++) {
    Scheme::block(w.codes + i * Scheme::BYTES, w.table, w.scales[i], wide);
    const int64_t count = std::min(BLOCK, numbers - i * BLOCK);
    for (int64_t j = 0; j < count; j++) {
      out[i * BLOCK + j] = static_cast<Number>(wide[j]);
    }
  }
}

// Columns `first` to `last` of `y = x Wᵀ`: each row of W is made once, in the nearest cache, for all `rows` of x.
// `in` is a multiple of BLOCK.
template <typename Scheme, typename Number>
AFFINE_INLINE void multiply(const Parts &w, int64_t first, int64_t last, int64_t in, int64_t out, int64_t rows,
                            const float *x, float *row, Number *y) {
  const int64_t blocks = in / BLOCK;
  for (int64_t o = first; o < last; o++) {
    for (int64_t i = 0; i < blocks; i++) {
      const int64_t at = o * blocks + i;
      Scheme::block(w.codes + at * Scheme::BYTES, w.table, w.scales[at], row + i * BLOCK);
    }
    for (int64_t i = 0; i < in; i++) {
      row[i] = static_cast<float>(static_cast<Number>(row[i]));
    }
    for (int64_t r = 0; r < rows; r++) {
      const float *x_row = x + r * in;
      float sums[BLOCK] = {};
      for (int64_t i = 0; i < in; i += BLOCK) {
        for (int64_t j = 0; j < BLOCK; j++) {
          sums[j] += row[i + j] * x_row[i + j];
        }
      }
      float sum = 0;
      for (const float part : sums) {
        sum += part;
      }
      y[r * out + o] = static_cast<Number>(sum);
    }
  }
}

// A compiler clones functions, not templates.
#define AFFINE_KERNELS(NAME, SCHEME, NUMBER)                                                                           \
  AFFINE_CLONES static void dequantize_##NAME(const Parts &w, int64_t first, int64_t last, int64_t numbers,            \
                                              NUMBER *out) {                                                           \
    dequantize<SCHEME, NUMBER>(w, first, last, numbers, out);                                                          \
  }                                                                                                                    \
  AFFINE_CLONES static void multiply_##NAME(const Parts &w, int64_t first, int64_t last, int64_t in, int64_t out,      \
                                            int64_t rows, const float *x, float *row, NUMBER *y) {                     \
    multiply<SCHEME, NUMBER>(w, first, last, in, out, rows, x, row, y);                                                \
  }
AFFINE_KERNELS(nf4_float, Nf4, float)
AFFINE_KERNELS(nf4_bfloat16, Nf4, c10::BFloat16)
AFFINE_KERNELS(int8_float, Int8, float)
AFFINE_KERNELS(int8_bfloat16, Int8, c10::BFloat16)
#undef AFFINE_KERNELS

inline auto dequantizer(bool nf4, float *) { return nf4 ? dequantize_nf4_float : dequantize_int8_float; }
inline auto dequantizer(bool nf4, c10::BFloat16 *) { return nf4 ? dequantize_nf4_bfloat16 : dequantize_int8_bfloat16; }
inline auto multiplier(bool nf4, float *) { return nf4 ? multiply_nf4_float : multiply_int8_float; }
inline auto multiplier(bool nf4, c10::BFloat16 *) { return nf4 ? multiply_nf4_bfloat16 : multiply_int8_bfloat16; }

// All `numbers` of `w`.
template <typename Number> void dequantize_all(const Parts &w, int64_t numbers, Number *out) {
  const auto kernel = dequantizer(w.table != nullptr, out);
  over_rows((numbers + BLOCK - 1) / BLOCK, 4 * BLOCK,
            [&](int64_t first, int64_t last) { kernel(w, first, last, numbers, out); });
}

// `y = x Wᵀ` for a few rows of x, `[rows, in]` in float32.
template <typename Number>
void multiply_all(const Parts &w, int64_t in, int64_t out, int64_t rows, const float *x, Number *y) {
  const auto kernel = multiplier(w.table != nullptr, y);
  over_rows(out, (2 + rows) * in, [&](int64_t first, int64_t last) {
    std::vector<float> row(in);
    kernel(w, first, last, in, out, rows, x, row.data(), y);
  });
}

#undef AFFINE_CLONES
#undef AFFINE_INLINE

} // namespace affine::cpu
