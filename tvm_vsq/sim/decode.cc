#include "tvm_vsq/sim/decode.h"

#include <utility>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// Field widths are at most 32 bits except for DRAM addresses, see isa::Layout.
uint32_t Get(const isa::Bits& bits, const isa::Word& word) { return static_cast<uint32_t>(bits.Get(word)); }
bool Flag(const isa::Bits& bits, const isa::Word& word) { return bits.Get(word) != 0; }

template <typename Fields>
Dma DecodeStrided(const Fields& f, const isa::Word& w) {
  Dma dma;
  dma.sram_base = Get(f.sram_base, w);
  dma.dram_base = f.dram_base.Get(w);
  dma.z_size = Get(f.z_size, w);
  dma.x_size = Get(f.x_size, w);
  dma.y_size = Get(f.y_size, w);
  dma.x_stride = Get(f.x_stride, w);
  dma.y_stride = Get(f.y_stride, w);
  return dma;
}

Dma DecodeLoad(const isa::LoadFields& f, const isa::Word& w) {
  constexpr Pad kPads[] = {Pad::kUop, Pad::kInp, Pad::kWgt, Pad::kPar};
  Dma dma = DecodeStrided(f, w);
  dma.pad = kPads[Get(f.mem, w) & 3];
  dma.y_pad_top = static_cast<uint8_t>(Get(f.y_pad_top, w));
  dma.y_pad_bottom = static_cast<uint8_t>(Get(f.y_pad_bottom, w));
  dma.x_pad_left = static_cast<uint8_t>(Get(f.x_pad_left, w));
  dma.x_pad_right = static_cast<uint8_t>(Get(f.x_pad_right, w));
  return dma;
}

Dma DecodeStore(const isa::StoreFields& f, const isa::Word& w) {
  Dma dma = DecodeStrided(f, w);
  dma.pad = Flag(f.mem, w) ? Pad::kAcc : Pad::kOut;
  return dma;
}

Gemm DecodeGemm(const isa::GemmFields& f, const isa::Word& w) {
  Gemm gemm;
  gemm.reset = Flag(f.reset, w);
  gemm.act_unsigned = Flag(f.act_unsigned, w);
  gemm.uop_begin = Get(f.uop_begin, w);
  gemm.uop_count = Get(f.uop_count, w);
  gemm.iter_out = Get(f.iter_out, w);
  gemm.iter_in = Get(f.iter_in, w);
  gemm.acc_out = Get(f.acc_out, w);
  gemm.acc_in = Get(f.acc_in, w);
  gemm.inp_out = Get(f.inp_out, w);
  gemm.inp_in = Get(f.inp_in, w);
  gemm.wgt_out = Get(f.wgt_out, w);
  gemm.wgt_in = Get(f.wgt_in, w);
  return gemm;
}

Ppu DecodePpu(const isa::PpuFields& f, const isa::Word& w) {
  Ppu ppu;
  ppu.wide = Flag(f.wide, w);
  ppu.relu = Flag(f.relu, w);
  ppu.residual = Flag(f.residual, w);
  ppu.res_unsigned = Flag(f.res_unsigned, w);
  ppu.out_unsigned = Flag(f.out_unsigned, w);
  ppu.acc_base = Get(f.acc_base, w);
  ppu.par_base = Get(f.par_base, w);
  ppu.out_base = Get(f.out_base, w);
  ppu.res_base = Get(f.res_base, w);
  ppu.pixels = Get(f.pixels, w);
  ppu.blocks = Get(f.blocks, w);
  ppu.res_mult = Get(f.res_mult, w);
  ppu.res_shift = Get(f.res_shift, w);
  return ppu;
}

void CheckReserved(const isa::Word& word, int used_bits) {
  const uint64_t lo = used_bits >= 64 ? 0 : word.lo >> used_bits;
  const uint64_t hi = used_bits >= 128 ? 0 : word.hi >> (used_bits > 64 ? used_bits - 64 : 0);
  if ((lo | hi) != 0) Fail("reserved bits above bit ", used_bits - 1, " are set");
}

}  // namespace

Instruction DecodeWord(const isa::Layout& layout, const isa::Word& word) {
  const uint64_t opcode = layout.common.opcode.Get(word);
  Instruction instruction;
  int used_bits = 0;
  switch (static_cast<isa::Opcode>(opcode)) {
    case isa::Opcode::kLoad:
      instruction.body = DecodeLoad(layout.load, word);
      used_bits = layout.load.used_bits;
      break;
    case isa::Opcode::kStore:
      instruction.body = DecodeStore(layout.store, word);
      used_bits = layout.store.used_bits;
      break;
    case isa::Opcode::kGemm:
      instruction.body = DecodeGemm(layout.gemm, word);
      used_bits = layout.gemm.used_bits;
      break;
    case isa::Opcode::kPpu:
      instruction.body = DecodePpu(layout.ppu, word);
      used_bits = layout.ppu.used_bits;
      break;
    case isa::Opcode::kSync:
      used_bits = layout.sync.used_bits;
      break;
    case isa::Opcode::kFinish:
      used_bits = layout.finish.used_bits;
      break;
    default:
      Fail("opcode ", opcode, " is not an instruction");
  }
  CheckReserved(word, used_bits);
  instruction.opcode = static_cast<isa::Opcode>(opcode);
  instruction.pop_prev = Flag(layout.common.pop_prev, word);
  instruction.pop_next = Flag(layout.common.pop_next, word);
  instruction.push_prev = Flag(layout.common.push_prev, word);
  instruction.push_next = Flag(layout.common.push_next, word);
  return instruction;
}

Program DecodeProgram(const Params& params, std::string_view instructions, std::string_view layer_ids,
                      std::vector<std::string> layer_names, uint64_t dram_bytes) {
  constexpr size_t kBytes = isa::kInstructionBytes;
  const size_t count = instructions.size() / kBytes;
  if (instructions.size() % kBytes != 0) {
    Fail(instructions.size(), " bytes are not a whole number of ", kBytes, "-byte instructions");
  }
  if (layer_ids.size() != 4 * count) {
    Fail("layer_ids holds ", layer_ids.size(), " bytes; ", count, " instructions need ", 4 * count);
  }
  if (count > kMaxInstructions) {
    Fail("the program has ", count, " instructions, at most ", kMaxInstructions, " are allowed");
  }
  if (layer_names.size() > kMaxLayers) {
    Fail("the program has ", layer_names.size(), " layers, at most ", kMaxLayers, " are allowed");
  }
  if (dram_bytes > static_cast<uint64_t>(params.dram_bytes)) {
    Fail("the program needs ", dram_bytes, " bytes of DRAM; the accelerator has ", params.dram_bytes);
  }
  Program program;
  program.layer_names = std::move(layer_names);
  program.dram_bytes = dram_bytes;
  program.instructions.reserve(count);
  const isa::Layout layout(params.Sizes());
  const auto* words = reinterpret_cast<const uint8_t*>(instructions.data());
  const auto* layers = reinterpret_cast<const uint8_t*>(layer_ids.data());
  for (size_t i = 0; i < count; ++i) {
    CountWork(16);
    const uint64_t layer = ReadLittleEndian(layers + 4 * i, 4);
    if (layer >= program.layer_names.size()) {
      Fail("instruction ", i, ": layer id ", layer, " of ", program.layer_names.size(), " layers");
    }
    const isa::Word word{ReadLittleEndian(words + kBytes * i, 8),
                         ReadLittleEndian(words + kBytes * i + 8, 8)};
    try {
      program.instructions.push_back(DecodeWord(layout, word));
    } catch (const Error& error) {
      Fail("layer '", program.layer_names[layer], "', instruction ", i, ": ", error.what());
    }
    program.instructions.back().layer = static_cast<uint32_t>(layer);
  }
  CheckProgram(params, program);
  return program;
}

}  // namespace tvm_vsq::sim
