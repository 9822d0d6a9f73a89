#include "tvm_vsq/sim/decode.h"

#include <algorithm>
#include <utility>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

void Set(const isa::FieldInfo&, uint64_t code, bool* value) { *value = code != 0; }
void Set(const isa::FieldInfo&, uint64_t code, uint64_t* value) { *value = code; }
// Only DRAM addresses have more than 32 bits, see isa::Layout.
void Set(const isa::FieldInfo&, uint64_t code, uint32_t* value) { *value = static_cast<uint32_t>(code); }
void CheckCode(const isa::FieldInfo& field, uint64_t code) {
  if (code > field.high) Fail("field ", field.name, " is ", code, ", must be at most ", field.high);
}
void Set(const isa::FieldInfo& field, uint64_t code, Pad* value) {
  CheckCode(field, code);
  *value = field.pads[code];
}
template <typename Enum>
void Set(const isa::FieldInfo& field, uint64_t code, Enum* value) {
  CheckCode(field, code);
  *value = static_cast<Enum>(code);
}

void CheckReserved(const isa::Word& word, int used_bits) {
  uint64_t reserved = 0;
  for (int part = 0; part < isa::kWordParts; ++part) {
    const int used = std::clamp(used_bits - 64 * part, 0, 64);
    reserved |= used == 64 ? 0 : word.parts[part] >> used;
  }
  if (reserved != 0) Fail("reserved bits above bit ", used_bits - 1, " are set");
}

}  // namespace

Instruction DecodeWord(const isa::Layout& layout, const isa::Word& word) {
  const uint64_t opcode = layout.common.opcode.Get(word);
  Instruction instruction;
  const bool known = isa::WithOpcode(layout, opcode, [&](auto insn, const auto& bits) {
    CheckReserved(word, bits.used_bits);
    insn.ForEachField(insn, [&](const isa::FieldInfo& field, auto slot, auto& value) {
      Set(field, (bits.*slot).Get(word), &value);
    });
    instruction.body = insn;
  });
  if (!known) Fail("opcode ", opcode, " is not an instruction");
  for (int token = 0; token < isa::kTokenCount; ++token) {
    if ((layout.common.*isa::kTokenFields[token]).Get(word) != 0)
      instruction.tokens |= isa::BitOf(static_cast<isa::Token>(token));
  }
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
    isa::Word word;
    for (int part = 0; part < isa::kWordParts; ++part)
      word.parts[part] = ReadLittleEndian(words + kBytes * i + 8 * static_cast<size_t>(part), 8);
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
