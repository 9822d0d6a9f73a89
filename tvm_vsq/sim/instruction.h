// Instructions and programs, decoded.
#ifndef TVM_VSQ_SIM_INSTRUCTION_H_
#define TVM_VSQ_SIM_INSTRUCTION_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

enum class Engine : uint8_t { kLoad, kCompute, kStore };
inline constexpr int kEngineCount = 3;
inline constexpr const char* kEngineNames[kEngineCount] = {"load", "compute", "store"};

// LOAD or STORE: y_size x x_size x z_size entries in DRAM, and zeros around them in the scratchpad (LOAD
// only).
struct Dma {
  Pad pad = Pad::kInp;
  uint8_t y_pad_top = 0, y_pad_bottom = 0, x_pad_left = 0, x_pad_right = 0;
  uint32_t sram_base = 0;
  uint32_t z_size = 0, x_size = 0, y_size = 0, x_stride = 0, y_stride = 0;
  uint64_t dram_base = 0;

  uint64_t Rows() const { return uint64_t{y_pad_top} + y_size + y_pad_bottom; }
  uint64_t Columns() const { return uint64_t{x_pad_left} + x_size + x_pad_right; }
  uint64_t SramEntries() const { return Rows() * Columns() * z_size; }
  uint64_t DramEntries() const { return uint64_t{y_size} * x_size * z_size; }
};

struct Gemm {
  bool reset = false, act_unsigned = false;
  uint32_t uop_begin = 0, uop_count = 0, iter_out = 0, iter_in = 0;
  uint32_t acc_out = 0, acc_in = 0, inp_out = 0, inp_in = 0, wgt_out = 0, wgt_in = 0;

  uint64_t MicroOps() const { return uint64_t{uop_count} * iter_out * iter_in; }
};

struct Ppu {
  bool wide = false, relu = false, residual = false, res_unsigned = false, out_unsigned = false;
  uint32_t acc_base = 0, par_base = 0, out_base = 0, res_base = 0;
  uint32_t pixels = 0, blocks = 0, res_mult = 0, res_shift = 0;

  uint64_t AccEntries() const { return uint64_t{pixels} * blocks; }
};

struct Instruction {
  isa::Opcode opcode = isa::Opcode::kSync;
  bool pop_prev = false, pop_next = false, push_prev = false, push_next = false;
  uint32_t layer = 0;
  std::variant<std::monostate, Dma, Gemm, Ppu> body;

  Engine engine() const {
    if (opcode == isa::Opcode::kLoad) return Engine::kLoad;
    return opcode == isa::Opcode::kStore ? Engine::kStore : Engine::kCompute;
  }
};

struct Program {
  std::vector<Instruction> instructions;
  std::vector<std::string> layer_names;
  uint64_t dram_bytes = 0;

  // "layer 'conv1', instruction 17 (LOAD)"
  std::string Where(size_t index) const;

  template <typename... Parts>
  [[noreturn]] void FailAt(size_t index, const Parts&... parts) const {
    Fail(Where(index), ": ", parts...);
  }
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTION_H_
