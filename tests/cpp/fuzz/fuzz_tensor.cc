// An argument: its description is refused, or its tensor goes to DRAM and comes back unchanged.
#include <vector>

#include "tests/cpp/fuzz/target.h"
#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::fuzz {
namespace {

constexpr int64_t kMaxDramBytes = 1 << 12;

runtime::Descriptor TakeDescriptor(Input* input) {
  runtime::Descriptor descriptor;
  // Sizes near the limits of int64 are as likely as small ones.
  const auto size = [&] {
    const uint64_t shift = input->Integer(1) % 64;
    return static_cast<int64_t>(input->Integer(2) << shift);
  };
  descriptor.kind = static_cast<int64_t>(input->Integer(1) % 4) - 1;
  descriptor.is_signed = static_cast<int64_t>(input->Integer(1) % 4) - 1;
  descriptor.dram_offset = size();
  descriptor.rows = size();
  descriptor.lanes = size();
  const uint64_t form = input->Integer(1);  // the kind's own, or one with this many bits
  if (form % 2 == 1) {
    descriptor.bits = static_cast<int64_t>(form / 2 % 10);
    descriptor.scale_bits = static_cast<int64_t>(input->Integer(1) % 13) - 1;
    descriptor.digits = static_cast<int64_t>(input->Integer(1) % 7) - 1;
  }
  return descriptor;
}

void TestTensor(Input input) {
  const sim::Params& params = Configs()[input.Integer(1) % Configs().size()];
  input.Integer(1);  // once said whether it is an input
  const auto dram_bytes = static_cast<int64_t>(input.Integer(2) % (kMaxDramBytes + 1));
  const runtime::Descriptor descriptor = TakeDescriptor(&input);
  std::vector<uint8_t> dram(static_cast<size_t>(dram_bytes));
  try {
    runtime::CheckDescriptor(params, descriptor, dram_bytes);
    const auto elements = static_cast<size_t>(descriptor.rows * descriptor.lanes);
    if (descriptor.kind == runtime::Descriptor::kWide) {
      for (uint8_t& byte : dram) byte = static_cast<uint8_t>(input.Integer(1));
      std::vector<int32_t> tensor(elements), again(elements);
      runtime::ReadWide(params, descriptor, dram, tensor.data());
      runtime::WriteWide(params, descriptor, tensor.data(), &dram);
      runtime::ReadWide(params, descriptor, dram, again.data());
      Require(again == tensor, "a wide tensor goes to DRAM as it came from there");
    } else {
      std::vector<int16_t> tensor(elements), again(elements);
      for (int16_t& element : tensor) element = static_cast<int16_t>(input.Integer(2));
      runtime::WriteVectors(params, descriptor, tensor.data(), &dram);
      runtime::ReadVectors(params, descriptor, dram, again.data());
      Require(again == tensor, "a tensor comes back from DRAM unchanged");
    }
    ++accepted;
  } catch (const sim::Error&) {
  }
}

}  // namespace
}  // namespace tvm_vsq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tvm_vsq::fuzz::TestTensor({data, size});
  return 0;
}
