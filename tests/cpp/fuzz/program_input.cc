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
    uint64_t& half = at < 64 ? word->lo : word->hi;
    half = (half & ~(uint64_t{1} << at % 64)) | (value >> i & 1) << at % 64;
  }
}

std::vector<isa::Bits> FieldsOf(const isa::Layout& layout, uint64_t opcode) {
  const isa::LoadFields& l = layout.load;
  const isa::StoreFields& s = layout.store;
  const isa::GemmFields& g = layout.gemm;
  const isa::PpuFields& p = layout.ppu;
  switch (static_cast<isa::Opcode>(opcode)) {
    case isa::Opcode::kLoad:
      return {l.mem,      l.sram_base, l.dram_base, l.z_size,       l.x_size,     l.y_size,
              l.x_stride, l.y_stride,  l.y_pad_top, l.y_pad_bottom, l.x_pad_left, l.x_pad_right};
    case isa::Opcode::kStore:
      return {s.mem, s.sram_base, s.dram_base, s.z_size, s.x_size, s.y_size, s.x_stride, s.y_stride};
    case isa::Opcode::kGemm:
      return {g.reset,   g.act_unsigned, g.uop_begin, g.uop_count, g.iter_out, g.iter_in,
              g.acc_out, g.acc_in,       g.inp_out,   g.inp_in,    g.wgt_out,  g.wgt_in};
    case isa::Opcode::kPpu:
      return {p.wide,     p.relu,     p.residual, p.res_unsigned, p.out_unsigned, p.acc_base, p.par_base,
              p.out_base, p.res_base, p.pixels,   p.blocks,       p.res_mult,     p.res_shift};
    default:
      return {layout.common.opcode};
  }
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
    const uint64_t lo = bytes.Integer(8), hi = bytes.Integer(8);
    input.words.push_back({lo, hi});
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
    put(input.words[i].lo, 8);
    put(input.words[i].hi, 8);
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
      const isa::Bits tokens[] = {layout.common.pop_prev, layout.common.pop_next, layout.common.push_prev,
                                  layout.common.push_next};
      const isa::Bits& token = tokens[draw() % std::size(tokens)];
      Put(token, 1 - token.Get(words[at]), &words[at]);
      break;
    }
    default:
      MutateField(layout, random, &words[at]);
  }
}

}  // namespace tvm_vsq::fuzz
