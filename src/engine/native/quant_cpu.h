// The kernels of quant.cpp on a CPU. A number is `table[code] * scale`, rounded to the dtype that is computed in.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rows.h"

namespace affine::cpu {

// Numbers that share a scale.
constexpr int64_t BLOCK = 64;

// How codes become numbers before their scale. `table`: the two numbers of each byte.
struct Nf4 {
  static constexpr int64_t BYTES = BLOCK / 2;
  static INLINE void block(const uint8_t *codes, const float *table, float *out) {
    // Both numbers of a byte with one load; left to itself the compiler gathers them one by one.
    for (int64_t i = 0; i < BYTES; i++) {
      std::memcpy(out + 2 * i, table + 2 * codes[i], 2 * sizeof(float));
    }
  }
};

struct Int8 {
  static constexpr int64_t BYTES = BLOCK;
  static INLINE void block(const uint8_t *codes, const float *, float *out) {
    for (int64_t i = 0; i < BLOCK; i++) {
      out[i] = static_cast<float>(static_cast<int8_t>(codes[i]));
    }
  }
};

// A weight's parts: `scales` one a block.
struct Parts {
  const uint8_t *codes;
  const float *table, *scales;
};

// Blocks `first` to `first + blocks` of `w` without their scales. These follow when all are written: a wide load of what
// narrow stores have only just written waits for them.
template <typename Scheme>
INLINE void unscaled(const Parts &w, int64_t first, int64_t blocks, float *out) {
  for (int64_t i = 0; i < blocks; i++) {
    Scheme::block(w.codes + (first + i) * Scheme::BYTES, w.table, out + i * BLOCK);
  }
}

// Blocks `first` to `last` of `w`, of which no more than `numbers` count.
template <typename Scheme, typename Number>
INLINE void dequantize(const Parts &w, int64_t first, int64_t last, int64_t numbers, Number *out) {
  constexpr int64_t TOGETHER = 16;
  float made[TOGETHER * BLOCK];
  for (int64_t start = first; start < last; start += TOGETHER) {
    const int64_t blocks = std::min(TOGETHER, last - start);
    unscaled<Scheme>(w, start, blocks, made);
    for (int64_t i = 0; i < blocks; i++) {
      const float scale = w.scales[start + i];
      const int64_t at = (start + i) * BLOCK, count = std::min(BLOCK, numbers - at);
      for (int64_t j = 0; j < count; j++) {
        out[at + j] = narrow<Number>(made[i * BLOCK + j] * scale);
      }
    }
  }
}

// The sum of BLOCK numbers, by halves: one after the other, each addition would wait for the one before it.
INLINE float sum(float *numbers) {
  for (int64_t width = BLOCK / 2; width > 0; width /= 2) {
    for (int64_t j = 0; j < width; j++) {
      numbers[j] += numbers[j + width];
    }
  }
  return numbers[0];
}

// Columns `first` to `last` of `y = x Wᵀ`: each row of W is made once, in the nearest cache, for all `rows` of x.
// `in` is a multiple of BLOCK.
template <typename Scheme, typename Number>
INLINE void multiply(const Parts &w, int64_t first, int64_t last, int64_t in, int64_t out, int64_t rows, const float *x,
                     float *row, Number *y) {
  const int64_t blocks = in / BLOCK;
  for (int64_t o = first; o < last; o++) {
    unscaled<Scheme>(w, o * blocks, blocks, row);
    for (int64_t i = 0; i < blocks; i++) {
      const float scale = w.scales[o * blocks + i];
      for (int64_t j = i * BLOCK; j < (i + 1) * BLOCK; j++) {
        row[j] = wide(narrow<Number>(row[j] * scale));
      }
    }
    for (int64_t r = 0; r < rows; r++) {
      const float *x_row = x + r * in;
      float sums[BLOCK] = {};
      for (int64_t i = 0; i < in; i += BLOCK) {
        for (int64_t j = 0; j < BLOCK; j++) {
          sums[j] += row[i + j] * x_row[i + j];
        }
      }
      y[r * out + o] = narrow<Number>(sum(sums));
    }
  }
}

// A compiler clones functions, not templates.
#define AFFINE_KERNELS(NAME, SCHEME, NUMBER)                                                                           \
  VECTORISED static void dequantize_##NAME(const Parts &w, int64_t first, int64_t last, int64_t numbers, NUMBER *out) {\
    dequantize<SCHEME, NUMBER>(w, first, last, numbers, out);                                                          \
  }                                                                                                                    \
  VECTORISED static void multiply_##NAME(const Parts &w, int64_t first, int64_t last, int64_t in, int64_t out,         \
                                         int64_t rows, const float *x, float *row, NUMBER *y) {                        \
    multiply<SCHEME, NUMBER>(w, first, last, in, out, rows, x, row, y);                                                \
  }
AFFINE_KERNELS(nf4_float, Nf4, float)
AFFINE_KERNELS(nf4_bfloat16, Nf4, Bf16)
AFFINE_KERNELS(int8_float, Int8, float)
AFFINE_KERNELS(int8_bfloat16, Int8, Bf16)
#undef AFFINE_KERNELS

inline auto dequantizer(bool nf4, float *) { return nf4 ? dequantize_nf4_float : dequantize_int8_float; }
inline auto dequantizer(bool nf4, Bf16 *) { return nf4 ? dequantize_nf4_bfloat16 : dequantize_int8_bfloat16; }
inline auto multiplier(bool nf4, float *) { return nf4 ? multiply_nf4_float : multiply_int8_float; }
inline auto multiplier(bool nf4, Bf16 *) { return nf4 ? multiply_nf4_bfloat16 : multiply_int8_bfloat16; }

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

} // namespace affine::cpu
