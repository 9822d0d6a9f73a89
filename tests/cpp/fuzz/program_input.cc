#include "tests/cpp/fuzz/program_input.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tests/cpp/fuzz/target.h"

namespace tvm_vsq::fuzz {
namespace {

void Put(const isa::Bits& bits, uint64_t value, isa::Word* word) {
  for (int i = 0; i < bits.width; ++i) {
    const int at = bits.shift + i;
    uint64_t& part = word->parts[at / 64];
    part = (part & ~(uint64_t{1} << at % 64)) | (value >> i & 1) << at % 64;
  }
}

std::vector<isa::Bits> FieldsOf(const isa::Layout& layout, uint64_t opcode) {
  std::vector<isa::Bits> fields;
  isa::WithOpcode(layout, opcode, [&](auto insn, const auto& bits) {
    insn.ForEachField(insn, [&](const auto&, auto slot, const auto&) { fields.push_back(bits.*slot); });
  });
  if (fields.empty()) fields.push_back(layout.common.opcode);
  return fields;
}

void MutateField(const isa::Layout& layout, std::mt19937* random, isa::Word* word) {
  auto& draw = *random;
  const std::vector<isa::Bits> fields = FieldsOf(layout, layout.common.opcode.Get(*word));
  const isa::Bits& field = fields[draw() % fields.size()];
  const uint64_t old = field.Get(*word), any = (uint64_t{draw()} << 32 | draw()) & field.Limit();
  const uint64_t values[] = {draw() % 4, old + 1, old - 1, old * 2, old / 2, field.Limit() - draw() % 2, any};
  Put(field, values[draw() % std::size(values)], word);
}

}  // namespace

ProgramInput ParseProgramInput(const uint8_t* data, size_t size) {
  Input bytes(data, size);
  ProgramInput input;
  input.config = bytes.Integer(1) % Configs().size();
  input.dram_bytes = bytes.Integer(4) % (ProgramInput::kMaxDramBytes + 1);
  const uint64_t count = bytes.Integer(2) % (ProgramInput::kMaxInstructions + 1);
  for (uint64_t i = 0; i < count && !bytes.Rest().empty(); ++i) {
    isa::Word word;
    for (uint64_t& part : word.parts) part = bytes.Integer(8);
    input.words.push_back(word);
    input.layers.push_back(static_cast<uint8_t>(bytes.Integer(1)));
  }
  const std::string_view image = bytes.Rest().substr(0, input.dram_bytes);
  input.image.assign(image.begin(), image.end());
  return input;
}

std::string SerializeProgramInput(const ProgramInput& input) {
  std::string bytes;
  const auto put = [&](uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(input.config, 1);
  put(input.dram_bytes, 4);
  put(input.words.size(), 2);
  for (size_t i = 0; i < input.words.size(); ++i) {
    for (const uint64_t part : input.words[i].parts) put(part, 8);
    put(input.layers[i], 1);
  }
  bytes.append(input.image.begin(), input.image.end());
  return bytes;
}

void MutateProgram(ProgramInput* input, std::mt19937* random) {
  auto& draw = *random;
  std::vector<isa::Word>& words = input->words;
  if (words.empty()) return;
  const size_t at = draw() % words.size(), other = draw() % words.size();
  const isa::Layout layout(Configs()[input->config].Sizes());
  const auto offset = static_cast<std::ptrdiff_t>(at);
  switch (draw() % 8) {
    case 0:
      std::swap(words[at], words[other]);
      break;
    case 1:
      if (words.size() == ProgramInput::kMaxInstructions) break;
      words.insert(words.begin() + offset, words[other]);
      input->layers.insert(input->layers.begin() + offset, input->layers[other]);
      break;
    case 2:
      words.erase(words.begin() + offset);
      input->layers.erase(input->layers.begin() + offset);
      break;
    case 3: {
      const isa::Bits& token = layout.common.*isa::kTokenFields[draw() % isa::kTokenCount];
      Put(token, 1 - token.Get(words[at]), &words[at]);
      break;
    }
    default:
      MutateField(layout, random, &words[at]);
  }
}

}  // namespace tvm_vsq::fuzz
