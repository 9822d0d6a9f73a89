#include "tvm_vsq/sim/machine.h"

#include "tvm_vsq/sim/dma.h"
#include "tvm_vsq/sim/ppu.h"

namespace tvm_vsq::sim {
namespace {

constexpr uint64_t kPollInterval = uint64_t{1} << 18;  // entries or micro-ops of work between two polls

}  // namespace

Machine::Machine(const Params& params)
    : params_(params),
      codec_(params),
      gemm_(params),
      add_work_([this](uint64_t work) { AddWork(work); }),
      pads_(params) {}

void Machine::Run(const Program& program, const PreparedProgram& prepared, int threads,
                  std::vector<uint8_t>* dram, const std::function<void()>& poll) {
  if (dram->size() != program.dram_bytes)
    Fail("DRAM has ", dram->size(), " bytes, expected ", program.dram_bytes);
  poll_ = poll;
  for (size_t i = 0; i < program.instructions.size(); ++i) Execute(program, prepared, threads, i, dram);
}

void Machine::Execute(const Program& program, const PreparedProgram& prepared, int threads, size_t index,
                      std::vector<uint8_t>* dram) {
  const Instruction& instruction = program.instructions[index];
  if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
    if (instruction.opcode == isa::Opcode::kStore) {
      ExecuteStore(codec_, params_, program, index, pads_, dram);
    } else if (dma->pad != Pad::kUop) {  // Prepare took the micro-ops into its plans
      ExecuteLoad(codec_, params_, *dma, *dram, &pads_);
    }
    AddWork(dma->SramEntries());
  } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
    const PreparedProgram::PlannedGemm& planned = prepared.gemms[index];
    if (gemm->reset) {
      gemm_.Reset(*planned.plan, &pads_);
    } else if (planned.safe && pads_.acc64.empty()) {
      gemm_.ExecuteSafe(*gemm, *planned.plan, threads, add_work_, &pads_);
    } else {
      gemm_.ExecuteChecked(program, index, *planned.plan, add_work_, &pads_);
    }
  } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
    ExecutePpu(params_, program, index, &pads_);
    AddWork(ppu->AccEntries());
  }
}

void Machine::AddWork(uint64_t work) {
  work_ += work;
  if (work_ < kPollInterval) return;
  work_ = 0;
  poll_();
}

}  // namespace tvm_vsq::sim
