// The threads of this process that share the work of single instructions.
#ifndef TVM_VSQ_SIM_THREAD_POOL_H_
#define TVM_VSQ_SIM_THREAD_POOL_H_

#include <cstddef>
#include <functional>

namespace tvm_vsq::sim {

// The processors that this process may run on; at least 1.
int AvailableThreads();

// Calls work(0) to work(parts - 1), in any order, and returns when all have: on up to `threads` threads, or
// on the caller's alone while another caller uses the threads. `work` must not throw.
void RunParallel(size_t threads, size_t parts, const std::function<void(size_t)>& work);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_THREAD_POOL_H_
