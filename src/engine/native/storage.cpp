// What tch does not tell of a tensor: the storage behind it, which views share.

#include <ATen/core/Tensor.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <cstdint>

extern "C" {

// The storage's address, which is its identity while a tensor keeps it alive, and its size in bytes. Both are 0 for a
// tensor without one. Never throws.
void affine_storage(const at::Tensor *tensor, uintptr_t *identity, uint64_t *bytes) {
  *identity = 0;
  *bytes = 0;
  if (!tensor->defined() || !tensor->has_storage()) {
    return;
  }
  const c10::StorageImpl *storage = tensor->storage().unsafeGetStorageImpl();
  *identity = reinterpret_cast<uintptr_t>(storage);
  *bytes = storage->nbytes();
}

// Bytes that tensors hold on a GPU now, and the most they held so far; false where libtorch cannot tell.
bool affine_gpu_memory(int32_t device, uint64_t *now, uint64_t *peak) {
  try {
    const auto stats = c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *now = stats.allocated_bytes[all].current;
    *peak = stats.allocated_bytes[all].peak;
    return true;
  } catch (...) {
    return false;
  }
}
}
