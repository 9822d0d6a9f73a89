#include "tvm_vsq/sim/machine.h"

#include "tvm_vsq/sim/dma.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/ppu.h"

namespace tvm_vsq::sim {
Machine::Machine(const Params& params) : params_(params), codec_(params), gemm_(params), pads_(params) {}

void Machine::Run(const Program& program, const PreparedProgram& prepared, int threads,
                  std::vector<uint8_t>* dram) {
  if (dram->size() != program.dram_bytes)
    Fail("DRAM has ", dram->size(), " bytes, expected ", program.dram_bytes);
  for (size_t i = 0; i < program.instructions.size(); ++i) Execute(program, prepared, threads, i, dram);
}

void Machine::Execute(const Program& program, const PreparedProgram& prepared, int threads, size_t index,
                      std::vector<uint8_t>* dram) {
  const Instruction& instruction = program.instructions[index];
  CountWork(1);
  if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
    if (instruction.opcode == isa::Opcode::kStore) {
      ExecuteStore(codec_, params_, program, index, pads_, dram);
    } else if (dma->pad != Pad::kUop) {  // Prepare took the micro-ops into its plans
      ExecuteLoad(codec_, params_, *dma, *dram, &pads_);
    }
    CountWork(dma->SramEntries() * static_cast<uint64_t>(params_.EntryElements(dma->pad)) / 16);
  } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
    const PreparedProgram::PlannedGemm& planned = prepared.gemms[index];
    if (gemm->reset) {
      gemm_.Reset(*planned.plan, &pads_);
    } else if (planned.safe && pads_.acc64.empty()) {
      gemm_.ExecuteSafe(*gemm, *planned.plan, threads, &pads_);
    } else {
      gemm_.ExecuteChecked(program, index, *planned.plan, &pads_);
    }
  } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
    ExecutePpu(params_, program, index, &pads_);
    CountWork(ppu->AccEntries() * static_cast<uint64_t>(params_.output_lanes) / 4);
  }
}

}  // namespace tvm_vsq::sim
