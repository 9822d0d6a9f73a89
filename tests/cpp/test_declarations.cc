// What instructions do to the scratchpads and to DRAM is what they declare, entry by entry. Execution is left
// as it is, with its fastest kernels: an entry was written if it changed, and read if something else comes
// out where it held something else.
#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/execute.h"
#include "tests/cpp/fuzz/target.h"
#include "tests/cpp/programs.h"
#include "tests/cpp/shipped.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/check.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/gemm_kernel.h"

namespace tvm_vsq {
namespace {

using sim::Pad;

constexpr uint64_t kDramBytes = 1 << 14, kUopImage = 1 << 13;  // the micro-ops' records begin there
constexpr int kTrials = 100;                                   // to see an entry change, or matter

// All that instructions work on.
struct State {
  sim::Scratchpads pads;
  std::vector<isa::Uop> uops;
  std::vector<uint8_t> dram;
};

class Bench {
 public:
  Bench(const sim::Params& params, unsigned seed) : params_(params), random_(seed) {}

  int64_t Draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  // Gives an entry other contents: small numbers, so that none of them disappears beside the others.
  void Fill(Pad pad, size_t entry, State* state) {
    const auto size = static_cast<size_t>(params_.vector_size);
    const auto lanes = static_cast<size_t>(params_.output_lanes);
    sim::Scratchpads& pads = state->pads;
    // Large ones, whose products are not rounded to 0.
    const auto scale = [&](int64_t bits) {
      const int64_t most = std::min<int64_t>(63, (int64_t{1} << bits) - 1);
      return bits == 0 ? 1 : static_cast<int32_t>(Draw(most / 2 + 1, most));
    };
    const int64_t codes = int64_t{1} << params_.activation_bits;
    switch (pad) {
      case Pad::kUop:
        state->uops[entry] = RandomUop();
        return;
      case Pad::kInp:
        for (size_t i = entry * size; i < (entry + 1) * size; ++i) {
          pads.inp_code[i] = static_cast<uint8_t>(Draw(0, codes - 1));
          pads.inp_biased[i] = static_cast<uint8_t>(pads.inp_code[i] ^ (codes / 2));
        }
        pads.inp_scale[entry] = scale(params_.activation_scale_bits);
        return;
      case Pad::kWgt:
        for (size_t b = 0; b < lanes; ++b) {
          pads.wgt_sum[entry * lanes + b] = 0;
          pads.wgt_scale[entry * lanes + b] = scale(params_.weight_scale_bits);
        }
        for (size_t i = 0; i < size * lanes; ++i) {
          const int64_t half = int64_t{1} << (params_.weight_bits - 1);
          const auto element = static_cast<int8_t>(Draw(-half, half - 1));
          pads.wgt[entry * size * lanes + i] = element;
          pads.wgt_sum[entry * lanes + i / 4 % lanes] += element;
        }
        return;
      case Pad::kAcc: {
        // About as large as a residual, or larger than any element times its scale.
        const int64_t limit = (params_.activation_scale_bits < 6 ? 30 << params_.activation_scale_bits : 1920)
                              << 4 * Draw(0, 1);
        for (size_t i = entry * lanes; i < (entry + 1) * lanes; ++i)
          pads.acc32[i] = static_cast<int32_t>(Draw(-limit, limit));
        return;
      }
      case Pad::kPar:
        for (size_t i = entry * lanes; i < (entry + 1) * lanes; ++i) {
          pads.par[i] = {static_cast<uint16_t>(Draw(1, 7)), static_cast<uint8_t>(Draw(0, 1)), false,
                         static_cast<int32_t>(Draw(-9, 9)), 1 << 30};
        }
        return;
      case Pad::kOut:
        for (size_t i = entry * size; i < (entry + 1) * size; ++i)
          pads.out[i] = static_cast<uint8_t>(Draw(0, codes - 1));
        pads.out_scale[entry] = scale(params_.activation_scale_bits);
    }
  }

  State Random(const sim::Instruction& instruction) {
    State state{sim::Scratchpads(params_), std::vector<isa::Uop>(Depth(Pad::kUop)),
                std::vector<uint8_t>(kDramBytes)};
    for (int pad = 0; pad < sim::kPadCount; ++pad) {
      for (size_t entry = 0; entry < Depth(static_cast<Pad>(pad)); ++entry)
        Fill(static_cast<Pad>(pad), entry, &state);
    }
    for (uint8_t& byte : state.dram) byte = static_cast<uint8_t>(Draw(0, 255));
    for (const uint64_t address : Records(instruction)) FillRecord(instruction, address, &state);
    return state;
  }

  // The DRAM bytes at which the records of the instruction's transfer begin.
  std::set<uint64_t> Records(const sim::Instruction& instruction) const {
    std::set<uint64_t> records;
    if (const auto transfer = sim::TransferOf(instruction)) {
      sim::ForEachPiece(params_, *transfer, [&](uint64_t begin, uint64_t bytes) {
        for (uint64_t at = begin; at < begin + bytes; at += RecordBytes(instruction)) records.insert(at);
      });
    }
    return records;
  }
  uint64_t RecordBytes(const sim::Instruction& instruction) const {
    return sim::RecordBytes(params_, *sim::TransferOf(instruction));
  }

  void FillRecord(const sim::Instruction& instruction, uint64_t address, State* state) {
    if (sim::TransferOf(instruction)->pad == Pad::kUop) return PutUop(RandomUop(), &state->dram[address]);
    for (uint64_t i = 0; i < RecordBytes(instruction); ++i)
      state->dram[address + i] = static_cast<uint8_t>(Draw(0, 255));
    if (sim::TransferOf(instruction)->lanes == 0) return;
    // The lowest element would be refused.
    testing::BitString bits;
    const int64_t high = (1 << (params_.second_bits - 1)) - 1;
    for (int64_t i = 0; i < params_.vector_size; ++i)
      bits.Put(static_cast<int>(Draw(-high, high)), static_cast<int>(params_.second_bits));
    bits.Put(static_cast<int>(Draw(0, 1023)), static_cast<int>(params_.second_scale_bits));
    std::copy(bits.bytes().begin(), bits.bytes().end(), &state->dram[address]);
  }

  // What the instruction makes of a state. The micro-ops come from the image, and a last instruction that
  // wants all of them shows what became of them.
  State Run(const sim::Instruction& instruction, bool safe, const State& before,
            std::unique_ptr<sim::PreparedProgram>* prepared = nullptr) const {
    State after = before;
    std::string image(before.dram.begin(), before.dram.end());
    image.resize(kUopImage);
    const auto record = static_cast<size_t>(params_.uop_record_bytes);
    std::vector<uint8_t> uops(before.uops.size() * record);
    for (size_t i = 0; i < before.uops.size(); ++i) PutUop(before.uops[i], &uops[i * record]);
    image.append(uops.begin(), uops.end());
    const auto depth = static_cast<uint32_t>(before.uops.size());
    sim::Program program = testing::MakeProgram({testing::Load(Pad::kUop, 0, kUopImage, depth), instruction,
                                                 testing::MakeGemm(true, depth, 1), testing::Finish()});
    program.dram_bytes = kDramBytes;
    uint64_t bytes = 0;
    auto plans =
        std::make_unique<sim::PreparedProgram>(sim::Prepare(params_, program, image, {}, false, &bytes));
    sim::PreparedProgram::Planned planned = plans->planned[1];
    planned.safe = planned.safe && safe;
    testing::Execute(params_, instruction, &after.pads, &after.dram, planned);
    after.uops = plans->planned[2].plan->uops;
    if (prepared != nullptr) *prepared = std::move(plans);
    return after;
  }

  bool Equal(Pad pad, size_t entry, const State& a, const State& b) const {
    const auto size = static_cast<size_t>(params_.vector_size);
    const auto lanes = static_cast<size_t>(params_.output_lanes);
    const auto same = [&](const auto& x, const auto& y, size_t count) {
      return std::memcmp(&x[entry * count], &y[entry * count], count * sizeof x[0]) == 0;
    };
    switch (pad) {
      case Pad::kUop:
        return same(a.uops, b.uops, 1);
      case Pad::kInp:
        return same(a.pads.inp_code, b.pads.inp_code, size) &&
               same(a.pads.inp_biased, b.pads.inp_biased, size) &&
               same(a.pads.inp_scale, b.pads.inp_scale, 1);
      case Pad::kWgt:
        return same(a.pads.wgt, b.pads.wgt, size * lanes) &&
               same(a.pads.wgt_scale, b.pads.wgt_scale, lanes) && same(a.pads.wgt_sum, b.pads.wgt_sum, lanes);
      case Pad::kAcc:
        return same(a.pads.acc32, b.pads.acc32, lanes);
      case Pad::kPar:
        return std::equal(&a.pads.par[entry * lanes], &a.pads.par[entry * lanes] + lanes,
                          &b.pads.par[entry * lanes], [](const auto& x, const auto& y) {
                            return x.mult == y.mult && x.shift == y.shift && x.bias == y.bias &&
                                   x.clip == y.clip;
                          });
      default:
        return same(a.pads.out, b.pads.out, size) && same(a.pads.out_scale, b.pads.out_scale, 1);
    }
  }

  // Fields in range and so small that loops and blocks fit; false if the accelerator refuses them.
  bool Accepted(isa::AnyInstruction* body) {
    std::visit(
        [&](auto& insn) {
          insn.ForEachField(insn,
                            [&](const isa::FieldInfo& field, auto, auto& value) { Set(field, &value); });
        },
        *body);
    if (auto* gemm = std::get_if<isa::Gemm>(body)) gemm->wgt_unsigned = gemm->wgt_unsigned && HasDigits();
    if (auto* conv = std::get_if<isa::Dwconv>(body)) conv->wgt_unsigned = conv->wgt_unsigned && HasDigits();
    if (auto* ppu = std::get_if<isa::Ppu>(body)) {
      const int64_t bits = ppu->second ? params_.second_bits : params_.activation_bits;
      const int64_t scale_bits = ppu->second ? params_.second_scale_bits : params_.activation_scale_bits;
      ppu->digits = ppu->wide ? 0 : ppu->digits % DigitsOf(bits);
      ppu->res_digits = ppu->residual ? ppu->res_digits % DigitsOf(params_.activation_bits) : 0;
      if (ppu->wide || (ppu->digits == 0 && Draw(0, 1) == 0)) {
        ppu->out_bits = ppu->out_scale_bits = 0;
      } else {
        ppu->out_bits = static_cast<uint32_t>(std::min<int64_t>(8, (ppu->digits + 1) * bits));
        ppu->out_scale_bits = static_cast<uint32_t>(scale_bits);
      }
      // Else a residual may vanish.
      ppu->res_mult += 16;
      ppu->res_shift %= 2;
      const int64_t vectors = std::max<int64_t>(1, params_.output_lanes / params_.vector_size);
      ppu->skip_vectors %= static_cast<uint32_t>(ppu->transpose ? params_.output_lanes : vectors);
      if (ppu->transpose && Draw(0, 1) == 1) ppu->pixels += static_cast<uint32_t>(params_.vector_size);
    }
    if (auto* vec = std::get_if<isa::Vec>(body)) {
      vec->skip_blocks %= sim::Declared<isa::Vec>::Blocks(params_);
      vec->digits = vec->src == isa::Vec::Src::kInp ? vec->digits % DigitsOf(params_.activation_bits) : 0;
      // Else a sum may stay as it is.
      if (sim::Declared<isa::Vec>::Adds(*vec) || vec->op == isa::Vec::Op::kSub) vec->imm = 1 + vec->imm % 4;
      if (vec->op == isa::Vec::Op::kScale) vec->imm = 3 | 1 << 16;
    }
    if (auto* reduce = std::get_if<isa::Reduce>(body)) {
      // Else a change of a lane may be rounded away.
      reduce->mult += 8;
      reduce->exponent %= 2;
      reduce->shift %= 2;
    }
    if (auto* load = std::get_if<isa::Load>(body)) {
      // No record of one lane in another one's place: what is read twice has to be valid where it begins
      // twice.
      if (load->gather && load->mem == Pad::kWgt) {
        load->x_stride = load->z_size + static_cast<uint32_t>(Draw(0, 1));
        load->y_stride = load->x_size * load->x_stride;
        load->lane_stride = load->y_size * load->y_stride + static_cast<uint32_t>(Draw(0, 1));
      }
      load->gather = load->gather && load->mem == Pad::kWgt;
      load->gather_unsigned = load->gather_unsigned && load->gather && HasDigits();
    }
    if (auto* store = std::get_if<isa::Store>(body)) {
      // No record twice: of the first one nothing would be left.
      store->x_stride = store->z_size + static_cast<uint32_t>(Draw(0, 1));
      store->y_stride = store->x_size * store->x_stride + static_cast<uint32_t>(Draw(0, 1));
    }
    const sim::Instruction instruction = testing::Make(*body);
    sim::Program program = testing::MakeProgram({instruction});
    if (!sim::EndsProgram(instruction)) program.instructions.push_back(testing::Finish());
    program.dram_bytes = kUopImage;
    try {
      sim::CheckProgram(params_, program);
    } catch (const sim::Error&) {
      return false;
    }
    return true;
  }

  size_t Depth(Pad pad) const { return static_cast<size_t>(params_.Depth(pad)); }
  const sim::Params& params() const { return params_; }

 private:
  bool HasDigits() const { return params_.precision_passes > 1 && params_.weight_bits < 8; }
  // That elements may have whatever the digits are: joined, they fit.
  uint32_t DigitsOf(int64_t bits) const {
    return static_cast<uint32_t>(std::min(params_.precision_passes, 8 / bits));
  }

  // So that four iterations of each loop, in steps of up to four entries, stay inside the smallest
  // scratchpads.
  isa::Uop RandomUop() {
    const auto index = [&](int64_t high) { return static_cast<uint32_t>(Draw(0, high)); };
    return {index(17), index(17), index(6)};
  }

  void PutUop(const isa::Uop& uop, uint8_t* record) const {
    const isa::UopFields fields = isa::Layout(params_.Sizes()).uop;
    uint64_t word = 0;
    isa::Uop::ForEachField(uop, [&](const auto&, auto slot, uint32_t entry) {
      word |= uint64_t{entry} << (fields.*slot).shift;
    });
    for (int64_t i = 0; i < params_.uop_record_bytes; ++i) record[i] = static_cast<uint8_t>(word >> 8 * i);
  }

  void Set(const isa::FieldInfo&, bool* value) { *value = Draw(0, 1) == 1; }
  void Set(const isa::FieldInfo& field, Pad* value) {
    *value = field.pads[Draw(0, static_cast<int64_t>(field.high))];
  }
  template <typename Integer>
  void Set(const isa::FieldInfo& field, Integer* value) {
    const auto high = static_cast<int64_t>(std::min<uint64_t>(field.high, 4));
    *value = static_cast<Integer>(Draw(static_cast<int64_t>(field.low), high));
  }

  const sim::Params& params_;
  std::mt19937 random_;
};

class Comparison {
 public:
  Comparison(Bench* bench, const isa::AnyInstruction& body, bool safe)
      : bench_(*bench), instruction_(testing::Make(body)), safe_(safe) {}

  // False if the accelerator refuses the instruction with any micro-ops that are tried.
  bool Run() {
    std::unique_ptr<sim::PreparedProgram> prepared;
    for (int trial = 0; prepared == nullptr; ++trial) {
      if (trial == 20) return false;
      start_ = bench_.Random(instruction_);
      try {
        end_ = bench_.Run(instruction_, safe_, start_, &prepared);
        if (FillsTwice(*prepared) || WritesWhatItReads(*prepared)) prepared.reset();
      } catch (const sim::Error&) {
      }
    }
    sim::ForEachTouched(bench_.params(), instruction_, prepared->planned[1].plan,
                        [&](Pad pad, sim::Use use, uint64_t begin, uint64_t entries) {
                          for (uint64_t entry = begin; entry < begin + entries; ++entry) {
                            if (sim::Reads(use)) read_[static_cast<size_t>(pad)].insert(entry);
                            if (sim::Writes(use)) written_[static_cast<size_t>(pad)].insert(entry);
                          }
                        });
    const auto transfer = sim::TransferOf(instruction_);
    if (transfer) (transfer->writes_dram ? stored_ : loaded_) = bench_.Records(instruction_);
    NothingElseIsWritten(start_, end_);
    NothingElseIsRead();
    EverythingIsWritten();
    EverythingIsRead();
    return true;
  }

 private:
  using Entries = std::array<std::set<uint64_t>, sim::kPadCount>;

  // Of what goes into an entry that it fills again, nothing is left to see.
  bool FillsTwice(const sim::PreparedProgram& prepared) const {
    const auto loops = sim::LoopsOf(bench_.params(), instruction_);
    if (!loops || loops->access_count == 1 || loops->begin()->use != sim::Use::kFill) return false;
    uint64_t entries = 0;
    for (const auto& range : prepared.planned[1].plan->touched[0]) entries += range.entries;
    return entries < loops->begin()->visits;
  }

  // Of an entry that it has written before it reads it, or takes away from itself, nothing need be left to
  // see either. Groups that overlap have tests of their own.
  bool WritesWhatItReads(const sim::PreparedProgram& prepared) const {
    Entries read, written;
    if (prepared.planned[1].plan == nullptr) return false;
    sim::ForEachIndexed(bench_.params(), instruction_, *prepared.planned[1].plan,
                        [&](Pad pad, sim::Use use, uint64_t begin, uint64_t entries) {
                          Entries& all = use == sim::Use::kRead ? read : written;
                          for (uint64_t entry = begin; entry < begin + entries; ++entry)
                            all[static_cast<size_t>(pad)].insert(entry);
                        });
    const std::set<uint64_t>& acc = written[static_cast<size_t>(Pad::kAcc)];
    return std::any_of(acc.begin(), acc.end(), [&](uint64_t entry) { return Holds(read, Pad::kAcc, entry); });
  }

  template <typename Visit>
  void ForEachEntry(Visit visit) {
    for (int pad = 0; pad < sim::kPadCount; ++pad) {
      for (uint64_t entry = 0; entry < bench_.Depth(static_cast<Pad>(pad)); ++entry)
        visit(static_cast<Pad>(pad), entry);
    }
  }
  static bool Holds(const Entries& entries, Pad pad, uint64_t entry) {
    return entries[static_cast<size_t>(pad)].count(entry) > 0;
  }
  std::vector<bool> BytesOf(const std::set<uint64_t>& records) const {
    std::vector<bool> bytes(kDramBytes);
    for (const uint64_t record : records)
      std::fill_n(bytes.begin() + static_cast<int64_t>(record), bench_.RecordBytes(instruction_), true);
    return bytes;
  }
  bool SameRecord(uint64_t record, const State& a, const State& b) const {
    return std::memcmp(&a.dram[record], &b.dram[record], bench_.RecordBytes(instruction_)) == 0;
  }

  template <typename... Parts>
  void Fail(const Parts&... parts) const {
    std::string text = std::string(instruction_.info().name) + " {";
    std::visit(
        [&](const auto& insn) {
          insn.ForEachField(insn, [&](const isa::FieldInfo& field, auto, const auto& value) {
            text += sim::Concat(" ", field.name, "=", static_cast<uint64_t>(value));
          });
        },
        instruction_.body);
    testing::Report(__FILE__, __LINE__, sim::Concat(text, " } ", parts...));
  }
  void Fail(const char* what, Pad pad, uint64_t entry) const {
    Fail(what, " entry ", entry, " of scratchpad ", sim::PadName(pad));
  }

  void NothingElseIsWritten(const State& before, const State& after) {
    ForEachEntry([&](Pad pad, uint64_t entry) {
      if (!Holds(written_, pad, entry) && !bench_.Equal(pad, entry, before, after))
        Fail("writes, but does not declare,", pad, entry);
    });
    const std::vector<bool> stored = BytesOf(stored_);
    for (uint64_t byte = 0; byte < kDramBytes; ++byte) {
      if (!stored[byte] && before.dram[byte] != after.dram[byte])
        Fail("writes, but does not declare, DRAM byte ", byte);
    }
  }

  // Everything at once holds something else that the instruction does not say it reads.
  void NothingElseIsRead() {
    State other = start_;
    ForEachEntry([&](Pad pad, uint64_t entry) {
      if (!Holds(read_, pad, entry)) bench_.Fill(pad, entry, &other);
    });
    const std::vector<bool> loaded = BytesOf(loaded_);
    for (uint64_t byte = 0; byte < kDramBytes; ++byte) {
      if (!loaded[byte]) other.dram[byte] = static_cast<uint8_t>(bench_.Draw(0, 255));
    }
    const State after = bench_.Run(instruction_, safe_, other);
    NothingElseIsWritten(other, after);
    ForEachEntry([&](Pad pad, uint64_t entry) {
      if (Holds(written_, pad, entry) && !bench_.Equal(pad, entry, end_, after))
        Fail("reads something that it does not declare, for", pad, entry);
    });
    for (const uint64_t record : stored_) {
      if (!SameRecord(record, end_, after))
        Fail("reads something that it does not declare, for DRAM byte ", record);
    }
  }

  void EverythingIsWritten() {
    Entries left = written_;
    std::set<uint64_t> records = stored_;
    for (int trial = 0; trial < kTrials; ++trial) {
      State before = start_;
      for (int pad = 0; pad < sim::kPadCount; ++pad) {
        for (const uint64_t entry : left[static_cast<size_t>(pad)])
          bench_.Fill(static_cast<Pad>(pad), entry, &before);
      }
      for (const uint64_t record : records) bench_.FillRecord(instruction_, record, &before);
      const State after = bench_.Run(instruction_, safe_, before);
      for (int pad = 0; pad < sim::kPadCount; ++pad) {
        std::set<uint64_t>& entries = left[static_cast<size_t>(pad)];
        for (auto entry = entries.begin(); entry != entries.end();) {
          const bool same = bench_.Equal(static_cast<Pad>(pad), *entry, before, after);
          entry = same ? std::next(entry) : entries.erase(entry);
        }
      }
      for (auto record = records.begin(); record != records.end();)
        record = SameRecord(*record, before, after) ? std::next(record) : records.erase(record);
    }
    ForEachEntry([&](Pad pad, uint64_t entry) {
      if (Holds(left, pad, entry)) Fail("declares, but does not write,", pad, entry);
    });
    for (const uint64_t record : records) Fail("declares, but does not write, DRAM byte ", record);
  }

  // Whether the instruction, from another state, writes other contents or, by other micro-ops, other entries.
  bool Matters(const State& end, const State& before, const State& after) {
    bool differs = false;
    ForEachEntry([&](Pad pad, uint64_t entry) {
      const State& expected = Holds(written_, pad, entry) ? end : before;
      differs = differs || !bench_.Equal(pad, entry, expected, after);
    });
    return differs || std::any_of(stored_.begin(), stored_.end(),
                                  [&](uint64_t record) { return !SameRecord(record, end, after); });
  }

  // What lies beside an entry can hide it: other states with these micro-ops, and what becomes of them.
  const std::pair<State, State>& Other(size_t number) {
    while (others_.size() <= number) {
      State start = bench_.Random(instruction_);
      start.uops = start_.uops;
      others_.emplace_back(start, bench_.Run(instruction_, safe_, start));
    }
    return others_[number];
  }

  void EverythingIsRead() {
    const auto matters = [&](auto change) {
      for (size_t trial = 0; trial < kTrials; ++trial) {
        const auto& [start, end] = Other(trial);
        State changed = start;
        change(&changed);
        try {
          if (Matters(end, changed, bench_.Run(instruction_, safe_, changed))) return true;
        } catch (const sim::Error&) {
          return true;  // other micro-ops may be refused
        }
      }
      return false;
    };
    ForEachEntry([&](Pad pad, uint64_t entry) {
      if (Holds(read_, pad, entry) && !matters([&](State* state) { bench_.Fill(pad, entry, state); }))
        Fail("declares, but does not read,", pad, entry);
    });
    for (const uint64_t record : loaded_) {
      if (!matters([&](State* state) { bench_.FillRecord(instruction_, record, state); }))
        Fail("declares, but does not read, DRAM byte ", record);
    }
  }

  Bench& bench_;
  const sim::Instruction instruction_;
  const bool safe_;
  State start_{sim::Scratchpads(bench_.params()), {}, {}}, end_{sim::Scratchpads(bench_.params()), {}, {}};
  std::vector<std::pair<State, State>> others_;
  Entries read_, written_;              // declared
  std::set<uint64_t> loaded_, stored_;  // records
};

// `rounds` instructions of each kind, or of the one that is named.
void TestInstructionsDoWhatTheyDeclare(const sim::Params& params, int rounds, const std::string& only) {
  static const std::vector<std::string> kernels = sim::GemmKernelNames();
  static unsigned seed = 0;
  Bench bench(params, seed++);
  const isa::Layout layout(params.Sizes());
  bool found = false;
  for (const isa::InstructionInfo& info : isa::kInstructions) {
    if (!only.empty() && only != info.name) continue;
    found = true;
    isa::WithOpcode(layout, static_cast<uint64_t>(info.opcode), [&](auto insn, const auto&) {
      for (int round = 0; round < rounds; ++round) {
        sim::UseGemmKernel(kernels[static_cast<size_t>(round) % kernels.size()]);
        isa::AnyInstruction body = insn;
        int draws = 1;
        while (!(bench.Accepted(&body) && Comparison(&bench, body, round % 5 != 0).Run()) && draws < 1000)
          ++draws;
        CHECK_EQ(draws < 1000, true);
      }
    });
  }
  CHECK_EQ(found, true);
}

}  // namespace
}  // namespace tvm_vsq

// The name of an instruction as an argument: no others.
int main(int count, char** arguments) {
  const std::string only = count > 1 ? arguments[1] : "";
  // Vectors longer and shorter than the output lanes.
  for (tvm_vsq::sim::Params params : tvm_vsq::fuzz::Configs()) {
    tvm_vsq::TestInstructionsDoWhatTheyDeclare(params, 15, only);
    params.precision_passes = 4;
    tvm_vsq::TestInstructionsDoWhatTheyDeclare(params, 5, only);
  }
  // What is shipped, with fewer entries to compare.
  for (auto [target, params] : tvm_vsq::testing::ShippedParams()) {
    using tvm_vsq::sim::Params;
    for (int64_t Params::* depth : {&Params::uop_depth, &Params::inp_depth, &Params::wgt_depth,
                                    &Params::acc_depth, &Params::par_depth, &Params::out_depth})
      params.*depth = std::min<int64_t>(params.*depth, 64);
    tvm_vsq::TestInstructionsDoWhatTheyDeclare(params, 5, only);
  }
  return tvm_vsq::testing::Result();
}
