// How Rust calls: a new tensor or a success, or null or false and a text where libtorch refuses.

#pragma once

#include <ATen/ATen.h>

#include <cstring>

namespace affine {

template <typename Work>
bool attempted(char **refusal, const Work &work) {
  try {
    work();
    return true;
  } catch (const c10::Error &error) {
    *refusal = strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    *refusal = strdup(error.what());
  }
  return false;
}

template <typename Work>
at::Tensor *guarded(char **refusal, const Work &work) {
  at::Tensor *made = nullptr;
  attempted(refusal, [&] { made = new at::Tensor(work()); });
  return made;
}

}  // namespace affine
