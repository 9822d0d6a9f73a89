// Checks of the tensors that a caller passes.
#ifndef TVM_VSQ_RUNTIME_ARGUMENTS_H_
#define TVM_VSQ_RUNTIME_ARGUMENTS_H_

#include <tvm/ffi/container/tensor.h>

#include "tvm_vsq/runtime/artifact.h"

namespace tvm_vsq::runtime {

// The first element of `tensor`; throws sim::Error unless it is dense, in host memory, of the descriptor's
// type (int16 or int32), with `lanes` as its last axis and `rows` as the product of all others.
void* TensorData(const Descriptor& descriptor, const DLTensor& tensor);

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_ARGUMENTS_H_
