// How Rust calls: a new tensor, or null and a text where libtorch refuses.

#pragma once

#include <ATen/ATen.h>

#include <cstring>

namespace affine {

template <typename Work>
at::Tensor *guarded(char **refusal, const Work &work) {
  try {
    return new at::Tensor(work());
  } catch (const c10::Error &error) {
    *refusal = strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    *refusal = strdup(error.what());
  }
  return nullptr;
}

}  // namespace affine
