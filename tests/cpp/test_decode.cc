// Words encoded by the Python side decode to the same fields.
#include <algorithm>
#include <map>
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/shipped.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/limits.h"

namespace tvm_vsq {
namespace {

uint64_t Code(const isa::FieldInfo& field, sim::Pad pad) {
  return static_cast<uint64_t>(std::find(field.pads, field.pads + field.high + 1, pad) - field.pads);
}
template <typename Value>
uint64_t Code(const isa::FieldInfo&, Value value) {
  return static_cast<uint64_t>(value);
}

// What the decoded instruction holds in the field of this name, as its code.
uint64_t Decoded(const isa::Layout& layout, const isa::Word& word, const std::string& name) {
  const sim::Instruction instruction = sim::DecodeWord(layout, word);
  if (name == "opcode") return static_cast<uint64_t>(instruction.info().opcode);
  for (int token = 0; token < isa::kTokenCount; ++token) {
    if (name == isa::kTokens[token].name) return instruction.tokens >> token & 1;
  }
  uint64_t code = isa::kAny;
  std::visit(
      [&](const auto& insn) {
        insn.ForEachField(insn, [&](const isa::FieldInfo& field, auto, const auto& value) {
          if (name == field.name) code = Code(field, value);
        });
      },
      instruction.body);
  return code;
}

void TestGoldenWords() {
  std::map<std::string, isa::Layout> layouts;
  for (const auto& [target, params] : testing::ShippedParams()) layouts.emplace(target, params.Sizes());
#define PARAMS(...)
#define GOLDEN(target, instruction, field, value, ...) \
  CHECK_EQ(Decoded(layouts.at(target), isa::Word{{__VA_ARGS__}}, #field), static_cast<uint64_t>(value));
#include "tests/cpp/golden_words.inc"
#undef PARAMS
#undef GOLDEN
  CHECK_EQ(layouts.empty(), false);
}

// An instruction of which all parts but the first and the last are 0.
std::string Bytes(uint64_t first, uint64_t last = 0) {
  uint8_t bytes[isa::kInstructionBytes] = {};
  sim::WriteLittleEndian(bytes, 8, first);
  sim::WriteLittleEndian(bytes + sizeof bytes - 8, 8, last);
  return std::string(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

void Put(const isa::Bits& bits, uint64_t value, isa::Word* word) {
  for (int i = 0; i < bits.width; ++i) {
    const int at = bits.shift + i;
    word->parts[at / 64] |= (value >> i & 1) << at % 64;
  }
}

void TestWholeInstruction() {
  const sim::Params params = testing::Small();
  const isa::Layout layout(params.Sizes());
  isa::Word word;
  const auto put = [&](const isa::Bits& bits, uint64_t value) { Put(bits, value, &word); };
  put(layout.load.opcode, 1);
  put(layout.load.push_store, 1);
  put(layout.load.mem, 2);
  put(layout.load.sram_base, 5);
  put(layout.load.dram_base, 65535);
  put(layout.load.z_size, 3);
  put(layout.load.y_stride, 40000);
  put(layout.load.x_pad_right, 9);
  const sim::Instruction instruction = sim::DecodeWord(layout, word);
  const auto& load = std::get<isa::Load>(instruction.body);
  CHECK_EQ(int{instruction.tokens}, int{isa::BitOf(isa::Token::kPushStore)});
  CHECK_EQ(sim::PadName(load.mem), std::string("wgt"));
  CHECK_EQ(load.sram_base, 5u);
  CHECK_EQ(load.dram_base, 65535u);
  CHECK_EQ(load.z_size, 3u);
  CHECK_EQ(load.y_stride, 40000u);
  CHECK_EQ(load.x_pad_right, 9u);
}

// Codes that no name stands for.
void TestEnumerations() {
  const isa::Layout layout(testing::Small().Sizes());
  const auto decode = [&](uint64_t op, uint64_t src) {
    isa::Word word;
    Put(layout.vec.opcode, 7, &word);
    Put(layout.vec.op, op, &word);
    Put(layout.vec.src, src, &word);
    return std::get<isa::Vec>(sim::DecodeWord(layout, word).body);
  };
  CHECK_EQ(decode(1, 0).op == isa::Vec::Op::kMax, true);
  CHECK_EQ(decode(0, 1).src == isa::Vec::Src::kImm, true);
  CHECK_EQ(decode(4, 0).op == isa::Vec::Op::kMin, true);
  CHECK_EQ(decode(5, 0).op == isa::Vec::Op::kMul, true);
  CHECK_EQ(decode(6, 1).op == isa::Vec::Op::kTable, true);
  CHECK_EQ(decode(8, 2).op == isa::Vec::Op::kScale, true);
  CHECK_EQ(decode(7, 2).src == isa::Vec::Src::kAcc, true);
  CHECK_ERROR(decode(9, 0), "field op is 9, must be at most 8");
  CHECK_ERROR(decode(0, 7), "field src is 7, must be at most 2");
}

void TestRefusals() {
  const sim::Params params = testing::Small();
  const std::string finish = Bytes(6), layer(4, '\0');
  const auto decode = [&](const std::string& code, const std::string& layers) {
    return sim::DecodeProgram(params, code, layers, {"conv1"}, 65536);
  };
  CHECK_EQ(decode(finish, layer).instructions.size(), 1u);
  CHECK_ERROR(decode(Bytes(0), layer), "layer 'conv1', instruction 0: opcode 0 is not an instruction");
  CHECK_ERROR(decode(Bytes(31), layer), "opcode 31");
  CHECK_ERROR(decode(Bytes(6 | 1 << 15), layer), "reserved bits above bit 14");
  CHECK_ERROR(decode(Bytes(6, uint64_t{1} << 63), layer), "reserved bits");
  CHECK_ERROR(decode(finish.substr(1), ""), "31 bytes are not a whole number of 32-byte instructions");
  CHECK_ERROR(decode(finish, ""), "layer_ids holds 0 bytes; 1 instructions need 4");
  CHECK_ERROR(decode(finish, std::string("\1\0\0\0", 4)), "layer id 1 of 1 layers");
  constexpr size_t kTooMany = sim::kMaxInstructions + 1;
  CHECK_ERROR(decode(std::string(isa::kInstructionBytes * kTooMany, '\6'), std::string(4 * kTooMany, '\0')),
              "has 4194305 instructions, at most 4194304");
  const std::vector<std::string> names(sim::kMaxLayers + 1);
  CHECK_ERROR(sim::DecodeProgram(params, finish, layer, names, 65536), "has 16385 layers, at most 16384");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestGoldenWords();
  tvm_vsq::TestWholeInstruction();
  tvm_vsq::TestEnumerations();
  tvm_vsq::TestRefusals();
  return tvm_vsq::testing::Result();
}
