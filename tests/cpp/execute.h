// One instruction on given scratchpads.
#ifndef TESTS_CPP_EXECUTE_H_
#define TESTS_CPP_EXECUTE_H_

#include <cstdint>
#include <vector>

#include "tests/cpp/programs.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/prepare.h"

namespace tvm_vsq::testing {

inline void Execute(const sim::Params& params, const sim::Instruction& instruction, sim::Scratchpads* pads,
                    std::vector<uint8_t>* dram = nullptr, const sim::PreparedProgram::Planned& planned = {},
                    int threads = 1) {
  const sim::RecordCodec codec(params);
  const sim::Program program = MakeProgram({instruction});
  const sim::Execution execution{params, codec, program, 0, planned.plan, planned.safe, threads, pads, dram};
  std::visit([&](const auto& insn) { sim::Execute(insn, execution); }, instruction.body);
}

}  // namespace tvm_vsq::testing

#endif  // TESTS_CPP_EXECUTE_H_
