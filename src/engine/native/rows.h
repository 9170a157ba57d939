// What the CPU kernels share: numbers of a row as float32 whatever their dtype, and rows shared out over the threads.
//
// Loops are written for the compiler to vectorise; VECTORISED compiles a function for AVX-512, AVX2 and the oldest x86-64,
// and the loader picks.

#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORISED
#endif
#define INLINE inline __attribute__((always_inline))

// The OpenMP that libtorch brought along; libtorch built without it has none, and then there is one thread.
extern "C" {
void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned) __attribute__((weak));
int omp_get_thread_num() __attribute__((weak));
int omp_get_num_threads() __attribute__((weak));
int omp_get_max_threads() __attribute__((weak));
}

namespace affine {

INLINE float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE uint32_t float_to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// bfloat16 is the upper half of a float32; its own type keeps the loops free of c10's branches.
struct Bf16 {
  uint16_t bits;
};

INLINE float wide(float value) { return value; }
INLINE float wide(Bf16 value) { return bits_to_float(static_cast<uint32_t>(value.bits) << 16); }

template <typename T>
INLINE T narrow(float value);
template <>
INLINE float narrow<float>(float value) {
  return value;
}
// To the nearest, ties to even; not a number stays one.
template <>
INLINE Bf16 narrow<Bf16>(float value) {
  const uint32_t bits = float_to_bits(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return Bf16{static_cast<uint16_t>(value != value ? 0x7fc0 : rounded)};
}

// eˣ within 2 units in the last place (the polynomial of Cephes' expf); 0 below −87 and the largest float above 88.
INLINE float exp_of(float x) {
  const float held = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  const float n = std::nearbyint(held * 1.44269504f);
  const float r = held - n * 0.693359375f + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  const float scaled = y * bits_to_float(static_cast<uint32_t>((static_cast<int32_t>(n) + 127) << 23));
  return x < -87.0f ? 0.0f : scaled;
}

// Calls work(first, last) so that every row of 0..rows is in one call, on as many threads as libtorch uses. A row costs
// about `cost` operations.
template <typename Work>
void over_rows(int64_t rows, int64_t cost, const Work &work) {
  constexpr int64_t WORTH_A_THREAD = 1 << 15;
  const int64_t most = rows * cost / WORTH_A_THREAD;
  if (GOMP_parallel == nullptr || most < 2 || omp_get_max_threads() < 2) {
    work(0, rows);
    return;
  }
  struct Job {
    const Work &work;
    int64_t rows;
  } job{work, rows};
  const auto run = [](void *given) {
    const Job &job = *static_cast<Job *>(given);
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    job.work(job.rows * thread / threads, job.rows * (thread + 1) / threads);
  };
  GOMP_parallel(run, &job, static_cast<unsigned>(std::min<int64_t>(most, omp_get_max_threads())), 0);
}

// Calls f with a null pointer of the type that `kind`'s numbers have here.
template <typename F>
void with_type(at::ScalarType kind, const F &f) {
  if (kind == at::kBFloat16) {
    f(static_cast<Bf16 *>(nullptr));
  } else {
    f(static_cast<float *>(nullptr));
  }
}

template <typename T>
T *data(const at::Tensor &tensor) {
  return static_cast<T *>(tensor.data_ptr());
}

}  // namespace affine
