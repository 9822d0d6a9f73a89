#include "tvm_vsq/sim/machine.h"

#include "tvm_vsq/sim/dma.h"
#include "tvm_vsq/sim/ppu.h"

namespace tvm_vsq::sim {
namespace {

constexpr uint64_t kPollInterval = uint64_t{1} << 18;  // entries or micro-ops of work between two polls

}  // namespace

Machine::Machine(const Params& params) : params_(params), codec_(params), gemm_(params), pads_(params) {}

void Machine::Run(const Program& program, std::vector<uint8_t>* dram, const std::function<void()>& poll) {
  if (dram->size() != program.dram_bytes)
    Fail("DRAM has ", dram->size(), " bytes, expected ", program.dram_bytes);
  poll_ = poll;
  Order order(program);
  Shadow shadow(params_, program);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    order.Begin(i);
    Execute(program, i, order, dram, &shadow);
    order.End(i);
  }
}

void Machine::Execute(const Program& program, size_t index, const Order& order, std::vector<uint8_t>* dram,
                      Shadow* shadow) {
  const Instruction& instruction = program.instructions[index];
  if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
    if (instruction.opcode == isa::Opcode::kStore) {
      shadow->Read(order, index, dma->pad, dma->sram_base, dma->SramEntries());
      ExecuteStore(codec_, params_, program, index, pads_, dram);
    } else {
      shadow->Write(order, index, dma->pad, dma->sram_base, dma->SramEntries());
      ExecuteLoad(codec_, params_, *dma, *dram, &pads_);
    }
    AddWork(dma->SramEntries());
  } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
    shadow->Read(order, index, Pad::kUop, gemm->uop_begin, gemm->uop_count);
    gemm_.CheckIndices(program, index, pads_);
    shadow->VisitGemm(order, index, pads_);
    gemm_.Execute(program, index, [this](uint64_t work) { AddWork(work); }, &pads_);
  } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
    shadow->VisitPpu(order, index, params_);
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
