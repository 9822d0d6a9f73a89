#include "tvm_vsq/runtime/executable_program.h"

#include "tvm_vsq/runtime/tensor_codec.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::runtime {
namespace {

void CheckArguments(const sim::Params& params, const ProgramData& data,
                    const std::vector<Descriptor>& descriptors, bool input) {
  for (size_t i = 0; i < descriptors.size(); ++i) {
    sim::CountWork(16);
    try {
      CheckDescriptor(params, descriptors[i], data.dram_bytes);
    } catch (const sim::Error& error) {
      sim::Fail(input ? "input " : "output ", i, ": ", error.what());
    }
  }
}

std::vector<sim::ByteRange> InputBytes(const sim::Params& params, const ProgramData& data) {
  std::vector<sim::ByteRange> ranges;
  for (const Descriptor& input : data.inputs) {
    const auto begin = static_cast<uint64_t>(input.dram_offset);
    ranges.push_back({begin, begin + static_cast<uint64_t>(TensorBytes(params, input))});
  }
  return ranges;
}

}  // namespace

ExecutableProgram::ExecutableProgram(const sim::Params& params, const ProgramData& d, bool verify,
                                     uint64_t* prepared_bytes)
    : data(d) {
  try {
    if (d.dram_bytes < 0) sim::Fail("dram_bytes is ", d.dram_bytes);
    program = sim::DecodeProgram(params, d.instructions, d.layer_ids, d.layer_names,
                                 static_cast<uint64_t>(d.dram_bytes));
    if (d.image.size() > program.dram_bytes) {
      sim::Fail("the image of ", d.image.size(), " bytes exceeds dram_bytes = ", program.dram_bytes);
    }
    CheckArguments(params, d, d.inputs, true);
    CheckArguments(params, d, d.outputs, false);
    timing = sim::SimulateTiming(params, program);
    sim::CheckOrder(params, program);
    prepared = sim::Prepare(params, program, d.image, InputBytes(params, d), verify, prepared_bytes);
  } catch (const sim::Error& error) {
    sim::Fail("program '", d.name, "': ", error.what());
  }
}

}  // namespace tvm_vsq::runtime
