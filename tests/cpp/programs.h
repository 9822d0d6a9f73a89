// A small accelerator, and programs for it as decoded instructions.
#ifndef TESTS_CPP_PROGRAMS_H_
#define TESTS_CPP_PROGRAMS_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::testing {

// V = 8, BO = 8, 4-bit elements and scales: an activation has 36 bits (5 bytes), a weight entry 288 (36
// bytes).
inline std::map<std::string, int64_t> SmallParams() {
  return {{"vector_size", 8},
          {"output_lanes", 8},
          {"weight_bits", 4},
          {"activation_bits", 4},
          {"weight_scale_bits", 4},
          {"activation_scale_bits", 4},
          {"product_bits", 8},
          {"product_shift", 0},
          {"accumulator_bits", 24},
          {"guard_bits", 2},
          {"multiplier_bits", 16},
          {"window_taps", 32},
          {"uop_depth", 64},
          {"inp_depth", 64},
          {"wgt_depth", 64},
          {"acc_depth", 64},
          {"par_depth", 8},
          {"out_depth", 64},
          {"uop_banks", 4},
          {"inp_banks", 4},
          {"wgt_banks", 1},
          {"acc_banks", 1},
          {"par_banks", 1},
          {"out_banks", 4},
          {"uop_record_bytes", 3},
          {"inp_record_bytes", 5},
          {"wgt_record_bytes", 36},
          {"acc_record_bytes", 32},
          {"par_record_bytes", 88},
          {"out_record_bytes", 5},
          {"dram_bytes", 65536},
          {"dram_bytes_per_cycle", 32},
          {"dram_latency_cycles", 100},
          {"dram_burst_bytes", 128},
          {"dram_row_bytes", 4096},
          {"dram_row_miss_cycles", 20},
          {"fetch_cycles", 1},
          {"fetch_buffer_bursts", 2},
          {"dma_setup_cycles", 8},
          {"gemm_pipeline_cycles", 8},
          {"vector_pipeline_cycles", 6},
          {"row_pipeline_cycles", 16},
          {"ppu_pipeline_cycles", 10},
          {"command_queue_depth", 4},
          {"token_queue_depth", 2},
          {"max_cycles", 1000000}};
}

// The same with as many output lanes.
inline std::map<std::string, int64_t> SmallParams(int64_t lanes) {
  std::map<std::string, int64_t> values = SmallParams();
  values["output_lanes"] = lanes;
  values["wgt_record_bytes"] = lanes * 36 / 8;
  values["acc_record_bytes"] = lanes * 4;
  values["par_record_bytes"] = lanes * 11;
  return values;
}

inline sim::Params Small(const char* name, int64_t value) {
  std::map<std::string, int64_t> values = SmallParams();
  values[name] = value;
  return sim::ParseParams(values);
}

inline sim::Params Small() { return sim::ParseParams(SmallParams()); }

// `tokens` are the names of token bits, with spaces between them.
inline sim::Instruction Make(const isa::AnyInstruction& body, const std::string& tokens = "") {
  sim::Instruction instruction;
  instruction.body = body;
  std::istringstream names(tokens);
  for (std::string name; names >> name;) {
    const auto* found = std::find_if(std::begin(isa::kTokens), std::end(isa::kTokens),
                                     [&](const isa::TokenInfo& token) { return name == token.name; });
    if (found == std::end(isa::kTokens)) sim::Fail("no token bit is called ", name);
    instruction.tokens |= isa::BitOf(static_cast<isa::Token>(found - std::begin(isa::kTokens)));
  }
  return instruction;
}

template <typename Insn>
sim::Instruction MakeTransfer(sim::Pad pad, uint32_t sram, uint64_t dram, uint32_t entries,
                              const std::string& tokens) {
  Insn insn;
  insn.mem = pad;
  insn.sram_base = sram;
  insn.dram_base = dram;
  insn.z_size = entries;
  insn.x_size = insn.y_size = 1;
  return Make(insn, tokens);
}

inline sim::Instruction Load(sim::Pad pad, uint32_t sram, uint64_t dram, uint32_t entries,
                             const std::string& tokens = "") {
  return MakeTransfer<isa::Load>(pad, sram, dram, entries, tokens);
}

inline sim::Instruction Store(sim::Pad pad, uint32_t sram, uint64_t dram, uint32_t entries,
                              const std::string& tokens = "") {
  return MakeTransfer<isa::Store>(pad, sram, dram, entries, tokens);
}

// Micro-ops [0, uops), `iterations` times without moving.
inline sim::Instruction MakeGemm(bool reset, uint32_t uops, uint32_t iterations,
                                 const std::string& tokens = "") {
  isa::Gemm gemm;
  gemm.reset = reset;
  gemm.uop_count = uops;
  gemm.iter_out = iterations;
  gemm.iter_in = 1;
  return Make(gemm, tokens);
}

// The same.
inline sim::Instruction MakeVec(isa::Vec::Op op, isa::Vec::Src src, uint32_t uops, uint32_t iterations,
                                const std::string& tokens = "") {
  isa::Vec vec;
  vec.op = op;
  vec.src = src;
  vec.uop_count = uops;
  vec.iter_out = iterations;
  vec.iter_in = 1;
  return Make(vec, tokens);
}

// Rows of `entries` entries without moving, of the last one four lanes.
inline sim::Instruction MakeReduce(isa::Reduce::Op op, uint32_t uops, uint32_t iterations, uint32_t entries,
                                   const std::string& tokens = "") {
  isa::Reduce reduce;
  reduce.op = op;
  reduce.last_lanes = 4;
  reduce.uop_count = uops;
  reduce.iter_out = iterations;
  reduce.iter_in = entries;
  return Make(reduce, tokens);
}

inline sim::Instruction MakePpu(uint32_t pixels, const std::string& tokens = "") {
  isa::Ppu ppu;
  ppu.pixels = pixels;
  ppu.blocks = 1;
  return Make(ppu, tokens);
}

inline sim::Instruction Sync(const std::string& tokens = "") { return Make(isa::Sync(), tokens); }
inline sim::Instruction Finish(const std::string& tokens = "") { return Make(isa::Finish(), tokens); }

inline sim::Program MakeProgram(std::vector<sim::Instruction> instructions) {
  sim::Program program;
  program.instructions = std::move(instructions);
  program.layer_names = {"conv1"};
  program.dram_bytes = 65536;
  return program;
}

}  // namespace tvm_vsq::testing

#endif  // TESTS_CPP_PROGRAMS_H_
