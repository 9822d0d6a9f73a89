#include "tvm_vsq/sim/check.h"

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

class Checker {
 public:
  Checker(const Params& params, const Program& program) : params_(params), program_(program) {}

  void Check(size_t index) {
    index_ = index;
    const Instruction& instruction = program_.instructions[index];
    CheckTokens(instruction);
    if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
      CheckDma(*dma, instruction.opcode == isa::Opcode::kStore);
    } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
      CheckGemm(*gemm);
    } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
      CheckPpu(*ppu);
    }
  }

 private:
  template <typename... Parts>
  [[noreturn]] void Fail(const Parts&... parts) const {
    program_.FailAt(index_, parts...);
  }

  void AtLeastOne(const char* field, uint64_t value) const {
    if (value == 0) Fail("field ", field, " is 0, must be at least 1");
  }

  // All operands are below 2^40, so that sums and products of two counts stay far from 2^64.
  void InPad(Pad pad, const char* field, uint64_t base, uint64_t entries) const {
    const auto depth = static_cast<uint64_t>(params_.Depth(pad));
    if (base + entries <= depth) return;
    Fail("field ", field, " ", base, " + ", entries, " entries exceeds the ", depth,
         " entries of scratchpad ", PadName(pad));
  }

  void CheckTokens(const Instruction& instruction) const {
    const Engine engine = instruction.engine();
    if (engine == Engine::kLoad && (instruction.pop_prev || instruction.push_prev)) {
      Fail("field ", instruction.pop_prev ? "pop_prev" : "push_prev", " is set, but no engine precedes load");
    }
    if (engine == Engine::kStore && (instruction.pop_next || instruction.push_next)) {
      Fail("field ", instruction.pop_next ? "pop_next" : "push_next", " is set, but no engine follows store");
    }
  }

  void CheckDma(const Dma& dma, bool store) const {
    AtLeastOne("z_size", dma.z_size);
    if (store) {
      AtLeastOne("x_size", dma.x_size);
      AtLeastOne("y_size", dma.y_size);
    }
    if (dma.SramEntries() == 0) Fail("x_size ", dma.x_size, " and y_size ", dma.y_size, " transfer nothing");
    InPad(dma.pad, "sram_base", dma.sram_base, dma.SramEntries());
    if (dma.DramEntries() == 0) return;
    const uint64_t last =
        uint64_t{dma.y_size - 1} * dma.y_stride + uint64_t{dma.x_size - 1} * dma.x_stride + dma.z_size;
    const uint64_t end = dma.dram_base + last * static_cast<uint64_t>(params_.RecordBytes(dma.pad));
    if (end > program_.dram_bytes) {
      Fail("field dram_base ", dma.dram_base, ": the transfer ends at byte ", end, " of ",
           program_.dram_bytes, " bytes of DRAM");
    }
  }

  void CheckGemm(const Gemm& gemm) const {
    AtLeastOne("uop_count", gemm.uop_count);
    AtLeastOne("iter_out", gemm.iter_out);
    AtLeastOne("iter_in", gemm.iter_in);
    InPad(Pad::kUop, "uop_begin", gemm.uop_begin, gemm.uop_count);
  }

  void CheckPpu(const Ppu& ppu) const {
    AtLeastOne("pixels", ppu.pixels);
    AtLeastOne("blocks", ppu.blocks);
    InPad(Pad::kAcc, "acc_base", ppu.acc_base, ppu.AccEntries());
    InPad(Pad::kPar, "par_base", ppu.par_base, ppu.blocks);
    const auto lanes = static_cast<uint64_t>(params_.output_lanes),
               size = static_cast<uint64_t>(params_.vector_size);
    if ((!ppu.wide || ppu.residual) && ppu.blocks * lanes % size != 0) {
      Fail("field blocks: ", ppu.blocks, " blocks of ", lanes, " lanes are not whole vectors of ", size);
    }
    const uint64_t vectors = ppu.pixels * (ppu.blocks * lanes / size);
    if (!ppu.wide) InPad(Pad::kOut, "out_base", ppu.out_base, vectors);
    if (!ppu.residual) return;
    InPad(Pad::kInp, "res_base", ppu.res_base, vectors);
    if (ppu.res_shift > 62) Fail("field res_shift is ", ppu.res_shift, ", must be at most 62");
  }

  const Params& params_;
  const Program& program_;
  size_t index_ = 0;
};

}  // namespace

void CheckProgram(const Params& params, const Program& program) {
  const size_t count = program.instructions.size();
  Checker checker(params, program);
  for (size_t i = 0; i < count; ++i) {
    const bool finish = program.instructions[i].opcode == isa::Opcode::kFinish;
    if (finish && i + 1 != count)
      program.FailAt(i, "FINISH must be the last of the ", count, " instructions");
    CountWork(8);
    checker.Check(i);
  }
  if (count == 0 || program.instructions.back().opcode != isa::Opcode::kFinish) {
    Fail("the program of ", count, " instructions has no FINISH at its end");
  }
}

}  // namespace tvm_vsq::sim
