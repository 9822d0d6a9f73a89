#include "tvm_vsq/sim/operands/recorder.h"

#include <variant>

#include "tvm_vsq/sim/declarations.h"

namespace tvm_vsq::sim {
namespace {

constexpr uint64_t kMaxCycles = 1'000'000;

const char* NameOf(Engine unit) { return kEngineNames[static_cast<size_t>(unit)]; }

// Whether the block of the RTL does it.
bool IsRecorded(const isa::Vec& vec) {
  using Declaration = Declared<isa::Vec>;
  const bool plain = !Declaration::LooksUp(vec) || (vec.imm == 0 && vec.shift == 0);
  return plain && !Declaration::FromAcc(vec) && !Declaration::Saturates(vec);
}

// Cycles in which the instruction works, without those of its pipeline and of filling tables.
uint64_t CyclesOf(const Params& params, const Program& program, size_t index) {
  const isa::AnyInstruction& body = program.instructions[index].body;
  if (const auto* gemm = std::get_if<isa::Gemm>(&body)) {
    if (gemm->shift > 0) program.FailAt(index, "its operands are not recorded: it works on digits");
    if (gemm->wgt_unsigned || gemm->unscaled)
      program.FailAt(index, "its operands are not recorded: it ",
                     gemm->unscaled ? "scales no products, on an array that does" : "works on digits");
    return Declared<isa::Gemm>::Visits(*gemm);
  }
  if (const auto* ppu = std::get_if<isa::Ppu>(&body)) {
    if (ppu->second || ppu->transpose)
      program.FailAt(index, "its operands are not recorded: it makes second operands");
    if (ppu->out_bits > 0 || ppu->res_digits > 0)
      program.FailAt(index, "its operands are not recorded: its vectors are not in the array's own format");
    return Declared<isa::Ppu>::AccEntries(*ppu);
  }
  if (const auto* vec = std::get_if<isa::Vec>(&body)) {
    if (!IsRecorded(*vec))
      program.FailAt(index, "its operands are not recorded: it works on rows of accumulators");
    if (vec->digits > 0) program.FailAt(index, "its operands are not recorded: it works on digits");
    return Declared<isa::Vec>::Visits(*vec) * Declared<isa::Vec>::Blocks(params, *vec);
  }
  if (std::holds_alternative<isa::Sync>(body)) return 0;
  program.FailAt(index, "its operands are not recorded, only those of GEMM, VEC and PPU");
}

void CheckRequest(const Params& params, const OperandRequest& request) {
  const auto lanes = static_cast<size_t>(params.output_lanes);
  const Engine unit = request.unit;
  if (unit != Engine::kCompute && unit != Engine::kVector && unit != Engine::kPpu)
    Fail("operands of ", NameOf(unit), " are not recorded, only those of compute, vector and ppu");
  if (request.lane >= lanes) Fail("lane is ", request.lane, ", must be below output_lanes, ", lanes);
  if (unit == Engine::kPpu && request.lane != 0)
    Fail("lane is ", request.lane, ", must be 0 for ppu, which is recorded with all lanes");
  if (request.cycles == 0 || request.cycles > kMaxCycles)
    Fail("cycles is ", request.cycles, ", must be 1 to ", kMaxCycles);
}

}  // namespace

OperandRecorder::OperandRecorder(const Params& params, const Program& program, const OperandRequest& request)
    : request_(request), rows_(request.skip, request.cycles) {
  CheckRequest(params, request);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    if (IsOfLayer(program.instructions[i])) cycles_ += CyclesOf(params, program, i);
  }
  const std::string& layer = program.layer_names[request.layer];
  if (cycles_ == 0) Fail("layer '", layer, "' has no cycles of ", NameOf(request.unit));
  if (request.skip >= cycles_)
    Fail("skip is ", request.skip, ", must be below the ", cycles_, " cycles of ", NameOf(request.unit),
         " in layer '", layer, "'");
}

RecordResults OperandRecorder::Record(const Execution& execution) {
  const Instruction& instruction = execution.program.instructions[execution.index];
  if (!IsOfLayer(instruction)) return {};
  if (const auto* gemm = std::get_if<isa::Gemm>(&instruction.body))
    return RecordOperands(*gemm, execution, request_.lane, &rows_);
  if (const auto* ppu = std::get_if<isa::Ppu>(&instruction.body))
    return RecordOperands(*ppu, execution, &rows_);
  if (const auto* vec = std::get_if<isa::Vec>(&instruction.body))
    return RecordOperands(*vec, execution, request_.lane, &rows_);
  return {};
}

}  // namespace tvm_vsq::sim
