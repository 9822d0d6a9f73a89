// Random words that look like instructions, on random memory: an error or a run, never undefined behaviour
// (the sanitizer build of this test says so).
#include <random>
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/decode.h"
#include "tvm_vsq/sim/machine.h"
#include "tvm_vsq/sim/order.h"
#include "tvm_vsq/sim/timing.h"

namespace tvm_vsq {
namespace {

class Fuzzer {
 public:
  explicit Fuzzer(const sim::Params& params) : params_(params), layout_(params.Sizes()) {}

  // Whether a random program was accepted. With `filled` scratchpads it computes on random data, without LOAD
  // and STORE.
  bool Round(bool filled) {
    std::string code;
    std::vector<uint8_t> dram(8192);
    // Bytes below 64 are valid shifts and make many accumulations fit.
    for (uint8_t& byte : dram) byte = static_cast<uint8_t>(random_()) & (filled ? 0x3f : 0xff);
    if (filled) Fill(&code);
    const int count = Draw(1, 12);
    for (int i = 0; i < count; ++i) Append(filled ? Draw(3, 5) : Draw(1, 5), &code);
    Append(6, &code);
    const std::string layers(code.size() / 4, '\0');
    try {
      const sim::Program program = sim::DecodeProgram(params_, code, layers, {"conv1"}, dram.size());
      sim::SimulateTiming(params_, program);
      sim::CheckOrder(params_, program);
      const std::string image(dram.begin(), dram.end());
      const sim::PreparedProgram prepared = sim::Prepare(params_, program, image, {}, true);
      sim::Machine(params_).Run(program, prepared, 2, &dram, [] {});
      return true;
    } catch (const sim::Error&) {
      return false;
    }
  }

 private:
  int Draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  static void Put(isa::Word* word, const isa::Bits& bits, uint64_t value) {
    for (int i = 0; i < bits.width; ++i) {
      const int at = bits.shift + i;
      (at < 64 ? word->lo : word->hi) |= (value >> i & 1) << at % 64;
    }
  }

  static void Emit(const isa::Word& word, std::string* code) {
    uint8_t bytes[16];
    sim::WriteLittleEndian(bytes, 8, word.lo);
    sim::WriteLittleEndian(bytes + 8, 8, word.hi);
    code->append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  }

  // LOADs that write every entry of every scratchpad, and a reset of all accumulators through micro-ops at
  // byte 0.
  void Fill(std::string* code) {
    const int64_t depths[] = {params_.uop_depth, params_.inp_depth, params_.wgt_depth, params_.par_depth};
    const isa::LoadFields& load = layout_.load;
    for (uint64_t mem = 0; mem < 4; ++mem) {
      isa::Word word{1, 0};
      Put(&word, load.mem, mem);
      Put(&word, load.dram_base, static_cast<uint64_t>(Draw(0, 1000)));
      Put(&word, load.z_size, static_cast<uint64_t>(depths[mem]));
      Put(&word, load.x_size, 1);
      Put(&word, load.y_size, 1);
      if (mem == 3) Put(&word, load.push_next, 1);
      Emit(word, code);
    }
    isa::Word word{3, 0};
    const isa::GemmFields& gemm = layout_.gemm;
    Put(&word, gemm.pop_prev, 1);
    Put(&word, gemm.reset, 1);
    Put(&word, gemm.uop_count, static_cast<uint64_t>(params_.uop_depth));
    Put(&word, gemm.iter_out, 1);
    Put(&word, gemm.iter_in, 1);
    Emit(word, code);
  }

  // Mostly small values, so that instructions often pass the range checks; tokens seldom.
  void Append(int opcode, std::string* code) {
    isa::Word word{static_cast<uint64_t>(opcode), 0};
    const auto any = [&](const isa::Bits& bits) {
      Put(&word, bits, Draw(0, 19) == 0 ? random_() : static_cast<uint64_t>(Draw(0, 3)));
    };
    if (opcode == 1) {
      const isa::LoadFields& f = layout_.load;
      for (const isa::Bits& bits : {f.mem, f.sram_base, f.dram_base, f.z_size, f.x_size, f.y_size, f.x_stride,
                                    f.y_stride, f.y_pad_top, f.y_pad_bottom, f.x_pad_left, f.x_pad_right}) {
        any(bits);
      }
    } else if (opcode == 2) {
      const isa::StoreFields& f = layout_.store;
      for (const isa::Bits& bits :
           {f.mem, f.sram_base, f.dram_base, f.z_size, f.x_size, f.y_size, f.x_stride, f.y_stride}) {
        any(bits);
      }
    } else if (opcode == 3) {
      const isa::GemmFields& f = layout_.gemm;
      for (const isa::Bits& bits : {f.reset, f.act_unsigned, f.uop_begin, f.uop_count, f.iter_out, f.iter_in,
                                    f.acc_out, f.acc_in, f.inp_out, f.inp_in, f.wgt_out, f.wgt_in}) {
        any(bits);
      }
    } else if (opcode == 4) {
      const isa::PpuFields& f = layout_.ppu;
      for (const isa::Bits& bits :
           {f.wide, f.relu, f.residual, f.res_unsigned, f.out_unsigned, f.acc_base, f.par_base, f.out_base,
            f.res_base, f.pixels, f.blocks, f.res_mult, f.res_shift}) {
        any(bits);
      }
    }
    if (Draw(0, 9) == 0) word.lo |= uint64_t{1} << Draw(3, 6);
    Emit(word, code);
  }

  const sim::Params params_;
  const isa::Layout layout_;
  std::mt19937_64 random_{5};
};

void TestRandomPrograms() {
  std::map<std::string, int64_t> values = testing::SmallParams();
  values["max_cycles"] = 20000;
  Fuzzer fuzzer(sim::ParseParams(values));
  int accepted[2] = {};
  for (int round = 0; round < 10000; ++round) {
    for (const bool filled : {false, true}) accepted[filled ? 1 : 0] += fuzzer.Round(filled) ? 1 : 0;
  }
  for (const int count : accepted) CHECK_EQ(count > 0 && count < 10000, true);
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestRandomPrograms();
  return tvm_vsq::testing::Result();
}
