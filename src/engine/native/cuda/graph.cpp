// A decode step as a CUDA graph: recorded once, then started with one call instead of a launch per operation.
//
// A shared object of its own, which native/graph.rs opens where CUDA was found: what it leaves undefined is in libtorch's
// CUDA half, and the binary must start without that.

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <cstdint>
#include <map>
#include <optional>

#include "../call.h"

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

// One per device and thread: cuBLAS keeps megabytes of workspace for every stream that it ever saw.
c10::cuda::CUDAStream side_stream(c10::DeviceIndex device) {
  static thread_local std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const auto found = streams.find(device);
  return found != streams.end() ? found->second
                                : streams.emplace(device, c10::cuda::getStreamFromPool(false, device)).first->second;
}

struct Graph {
  c10::DeviceIndex device;
  // What is captured takes its memory from a pool of its own, which nobody else is given while the graph lives.
  at::MempoolId_t pool = at::cuda::graph_pool_handle();
  at::cuda::CUDAGraph graph;
  // While set, work goes to a side stream: the default one cannot be captured.
  std::optional<c10::cuda::CUDAStreamGuard> side;
  bool capturing = false;

  explicit Graph(int32_t index) : device(static_cast<c10::DeviceIndex>(index)) {
    side.emplace(side_stream(device));
    c10::cuda::device_synchronize();
  }

  ~Graph() {
    try {
      give_up();
    } catch (...) {
    }
  }

  void begin() {
    c10::cuda::device_synchronize();
    // Other threads may go on using CUDA meanwhile.
    graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    capturing = true;
  }

  void end() {
    graph.capture_end();
    capturing = false;
    side.reset();
    c10::cuda::device_synchronize();
  }

  // Of a capture that did not come to its end: the allocator must not go on believing in it.
  void give_up() {
    if (!capturing) {
      return;
    }
    capturing = false;
    try {
      graph.capture_end();
    } catch (const std::exception &) {
      // An invalid capture is over for CUDA, but libtorch stops before it tells its allocator. Throws where it did tell it.
      allocator::endAllocateToPool(device, pool);
      allocator::releasePool(device, pool);
    }
  }
};

}  // namespace

extern "C" {

// From here until affine_graph_end or affine_graph_free this thread's work on the device goes to a side stream.
Graph *affine_graph_new(int32_t device, char **refusal) {
  Graph *made = nullptr;
  affine::attempted(refusal, [&] { made = new Graph(device); });
  return made;
}

bool affine_graph_begin(Graph *graph, char **refusal) {
  return affine::attempted(refusal, [&] { graph->begin(); });
}

bool affine_graph_end(Graph *graph, char **refusal) {
  return affine::attempted(refusal, [&] { graph->end(); });
}

bool affine_graph_replay(Graph *graph, char **refusal) {
  return affine::attempted(refusal, [&] {
    c10::cuda::CUDAGuard on(graph->device);
    graph->graph.replay();
  });
}

// The tensors that the capture made should be gone by now: their memory goes back to the device, which otherwise would keep
// it until it runs short.
void affine_graph_free(Graph *graph) {
  const auto pool = graph->pool;
  delete graph;
  try {
    allocator::emptyCache(pool);
  } catch (const std::exception &) {
  }
}
}
