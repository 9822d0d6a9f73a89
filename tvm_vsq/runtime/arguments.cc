#include "tvm_vsq/runtime/arguments.h"

#include <string>

#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {
namespace {

std::string ShapeText(const DLTensor& tensor) {
  std::string text = "[";
  for (int i = 0; i < tensor.ndim; ++i) text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + "]";
}

bool IsDense(const DLTensor& tensor) {
  if (tensor.strides == nullptr) return true;
  int64_t expected = 1;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// The shape was not checked yet: stop before a product could overflow.
bool HasRows(const DLTensor& tensor, int64_t rows) {
  int64_t product = 1;
  for (int i = 0; i + 1 < tensor.ndim; ++i) {
    if (tensor.shape[i] < 1 || tensor.shape[i] > rows) return false;
    product *= tensor.shape[i];
    if (product > rows) return false;
  }
  return product == rows;
}

}  // namespace

void* TensorData(const Descriptor& d, const DLTensor& tensor) {
  const bool wide = d.kind == Descriptor::kWide;
  const int bits = wide ? 32 : 16;
  if (tensor.dtype.code != kDLInt || tensor.dtype.bits != bits || tensor.dtype.lanes != 1) {
    sim::Fail("the tensor must be int", bits, ", but its type has code ", int{tensor.dtype.code}, " and ",
              int{tensor.dtype.bits}, " bits");
  }
  if (tensor.device.device_type != kDLCPU) {
    sim::Fail("the tensor must be in host memory, not on device type ",
              static_cast<int>(tensor.device.device_type));
  }
  if (tensor.ndim < 1 || tensor.shape[tensor.ndim - 1] != d.lanes || !HasRows(tensor, d.rows)) {
    sim::Fail("shape ", ShapeText(tensor), ", expected ", d.rows, " rows (all leading axes together) of ",
              d.lanes);
  }
  if (!IsDense(tensor)) sim::Fail("the tensor of shape ", ShapeText(tensor), " must be contiguous");
  auto* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  if (tensor.data == nullptr || reinterpret_cast<uintptr_t>(data) % static_cast<size_t>(bits / 8) != 0) {
    sim::Fail("the tensor's data pointer is null or not aligned to ", bits / 8, " bytes");
  }
  return data;
}

}  // namespace tvm_vsq::runtime
