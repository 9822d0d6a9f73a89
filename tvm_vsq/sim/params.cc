#include "tvm_vsq/sim/params.h"

#include <algorithm>

#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/limits.h"

namespace tvm_vsq::sim {
namespace {

// As in python/tvm_vsq/formats/widths.py, but checked here too: artifacts are not trusted.
constexpr int64_t kMaxScaleBits = 10;
constexpr int64_t kMaxDepth = (int64_t{1} << 20) - 1;
constexpr int64_t kMaxBanks = 64;
constexpr int64_t kMaxRecordBytes = int64_t{1} << 16;

void CheckRecord(const Params& params, Pad pad, int64_t bits) {
  const int64_t expected = (bits + 7) / 8;
  if (params.RecordBytes(pad) == expected) return;
  Fail("parameter ", PadName(pad), "_record_bytes is ", params.RecordBytes(pad), ", but its ", bits,
       " bits need ", expected);
}

// The narrower of both sides, and no scale where one of them has none. What is not given follows from the
// others.
void SetSecond(const std::map<std::string, int64_t>& values, Params* p) {
  const int64_t bits = std::min(p->weight_bits, p->activation_bits);
  const int64_t scale_bits = std::min(p->weight_scale_bits, p->activation_scale_bits);
  const int64_t bytes = (p->vector_size * bits + scale_bits + 7) / 8;
  const auto set = [&](const char* name, int64_t expected, int64_t* value) {
    if (values.count(name) > 0 && *value != expected)
      Fail("parameter ", name, " is ", *value, ", but the narrower of both sides makes it ", expected);
    *value = expected;
  };
  set("second_bits", bits, &p->second_bits);
  set("second_scale_bits", scale_bits, &p->second_scale_bits);
  set("second_record_bytes", bytes, &p->second_record_bytes);
}

// The depths are below 2^20 and an entry has at most 2^12 elements: no overflow.
void CheckScratchpads(const Params& p) {
  int64_t elements = 0;
  for (int i = 0; i < kPadCount; ++i)
    elements += p.Depth(static_cast<Pad>(i)) * p.EntryElements(static_cast<Pad>(i));
  if (elements <= kMaxScratchpadElements) return;
  Fail("the scratchpads hold ", elements, " elements together (uop_depth ", p.uop_depth, ", inp_depth ",
       p.inp_depth, ", wgt_depth ", p.wgt_depth, ", acc_depth ", p.acc_depth, ", par_depth ", p.par_depth,
       ", out_depth ", p.out_depth, "); the simulator takes at most ", kMaxScratchpadElements);
}

void CheckConsistent(const Params& p) {
  const int64_t v = p.vector_size, lanes = p.output_lanes;
  if ((v & (v - 1)) != 0) Fail("parameter vector_size must be 8, 16, 32 or 64, not ", v);
  if ((lanes & (lanes - 1)) != 0) Fail("parameter output_lanes must be 4, 8, 16, 32 or 64, not ", lanes);
  const int64_t full = p.weight_scale_bits + p.activation_scale_bits;
  if (p.product_bits + p.product_shift != full) {
    Fail("parameters product_bits (", p.product_bits, ") and product_shift (", p.product_shift,
         ") must add up to ", full, ", the bits of both scales");
  }
  if (p.dram_burst_bytes > p.dram_row_bytes) {
    Fail("parameter dram_burst_bytes is ", p.dram_burst_bytes, ", more than dram_row_bytes, ",
         p.dram_row_bytes);
  }
  const isa::Layout layout(p.Sizes());
  const int used = isa::LongestInstruction(layout);
  if (used > isa::kInstructionBits) {
    Fail("the scratchpad depths need instructions of ", used, " bits; there are ", isa::kInstructionBits);
  }
  for (const Pad pad : {Pad::kUop, Pad::kInp, Pad::kWgt, Pad::kPar, Pad::kOut})
    CheckRecord(p, pad, p.EntryBits(pad));
  CheckRecord(p, Pad::kAcc, 32 * lanes);
  CheckScratchpads(p);
}

}  // namespace

int64_t Params::Depth(Pad pad) const {
  const int64_t depths[kPadCount] = {uop_depth, inp_depth, wgt_depth, acc_depth, par_depth, out_depth};
  return depths[static_cast<int>(pad)];
}

int64_t Params::Banks(Pad pad) const {
  const int64_t banks[kPadCount] = {uop_banks, inp_banks, wgt_banks, acc_banks, par_banks, out_banks};
  return banks[static_cast<int>(pad)];
}

int64_t Params::RecordBytes(Pad pad) const {
  const int64_t sizes[kPadCount] = {uop_record_bytes, inp_record_bytes, wgt_record_bytes,
                                    acc_record_bytes, par_record_bytes, out_record_bytes};
  return sizes[static_cast<int>(pad)];
}

int64_t Params::EntryBits(Pad pad) const {
  const int64_t activation = vector_size * activation_bits + activation_scale_bits;
  switch (pad) {
    case Pad::kUop:
      return isa::Layout(Sizes()).uop.used_bits;
    case Pad::kWgt:
      return output_lanes * (vector_size * weight_bits + weight_scale_bits);
    case Pad::kAcc:
      return output_lanes * accumulator_bits;
    case Pad::kPar:
      return output_lanes * kParBytes * 8;
    default:
      return activation;
  }
}

int64_t Params::EntryElements(Pad pad) const {
  const int64_t elements[kPadCount] = {
      1, vector_size, vector_size * output_lanes, output_lanes, output_lanes, vector_size};
  return elements[static_cast<int>(pad)];
}

isa::Sizes Params::Sizes() const {
  isa::Sizes sizes;
  sizes.uop_depth = static_cast<uint64_t>(uop_depth);
  sizes.inp_depth = static_cast<uint64_t>(inp_depth);
  sizes.wgt_depth = static_cast<uint64_t>(wgt_depth);
  sizes.acc_depth = static_cast<uint64_t>(acc_depth);
  sizes.par_depth = static_cast<uint64_t>(par_depth);
  sizes.out_depth = static_cast<uint64_t>(out_depth);
  sizes.dram_bytes = static_cast<uint64_t>(dram_bytes);
  return sizes;
}

const std::vector<ParamField>& ParamFields() {
  static const std::vector<ParamField> fields = {
      {"vector_size", &Params::vector_size, 8, 64},
      {"output_lanes", &Params::output_lanes, 4, 64},
      {"weight_bits", &Params::weight_bits, kMinElementBits, kMaxElementBits},
      {"activation_bits", &Params::activation_bits, kMinElementBits, kMaxElementBits},
      {"weight_scale_bits", &Params::weight_scale_bits, 0, kMaxScaleBits},
      {"activation_scale_bits", &Params::activation_scale_bits, 0, kMaxScaleBits},
      {"product_bits", &Params::product_bits, 0, 2 * kMaxScaleBits},
      {"product_shift", &Params::product_shift, 0, 2 * kMaxScaleBits},
      {"accumulator_bits", &Params::accumulator_bits, 16, 46},
      {"guard_bits", &Params::guard_bits, 0, 8},
      {"multiplier_bits", &Params::multiplier_bits, 4, 16},
      {"window_taps", &Params::window_taps, 0, 128, true},
      {"precision_passes", &Params::precision_passes, 1, 4, true},
      {"uop_depth", &Params::uop_depth, 1, kMaxDepth},
      {"inp_depth", &Params::inp_depth, 1, kMaxDepth},
      {"wgt_depth", &Params::wgt_depth, 1, kMaxDepth},
      {"acc_depth", &Params::acc_depth, 1, kMaxDepth},
      {"par_depth", &Params::par_depth, 1, kMaxDepth},
      {"out_depth", &Params::out_depth, 1, kMaxDepth},
      {"uop_banks", &Params::uop_banks, 1, kMaxBanks},
      {"inp_banks", &Params::inp_banks, 1, kMaxBanks},
      {"wgt_banks", &Params::wgt_banks, 1, kMaxBanks},
      {"acc_banks", &Params::acc_banks, 1, kMaxBanks},
      {"par_banks", &Params::par_banks, 1, kMaxBanks},
      {"out_banks", &Params::out_banks, 1, kMaxBanks},
      {"uop_record_bytes", &Params::uop_record_bytes, 1, 8},
      {"inp_record_bytes", &Params::inp_record_bytes, 1, kMaxRecordBytes},
      {"wgt_record_bytes", &Params::wgt_record_bytes, 1, kMaxRecordBytes},
      {"acc_record_bytes", &Params::acc_record_bytes, 1, kMaxRecordBytes},
      {"par_record_bytes", &Params::par_record_bytes, 1, kMaxRecordBytes},
      {"out_record_bytes", &Params::out_record_bytes, 1, kMaxRecordBytes},
      {"second_bits", &Params::second_bits, kMinElementBits, kMaxElementBits, true},
      {"second_scale_bits", &Params::second_scale_bits, 0, kMaxScaleBits, true},
      {"second_record_bytes", &Params::second_record_bytes, 1, kMaxRecordBytes, true},
      {"dram_bytes", &Params::dram_bytes, 1, int64_t{1} << 32},
      {"dram_bytes_per_cycle", &Params::dram_bytes_per_cycle, 1, 1 << 20},
      {"dram_latency_cycles", &Params::dram_latency_cycles, 0, 1 << 30},
      {"dram_burst_bytes", &Params::dram_burst_bytes, 1, 1 << 20},
      {"dram_row_bytes", &Params::dram_row_bytes, 1, 1 << 20},
      {"dram_row_miss_cycles", &Params::dram_row_miss_cycles, 0, 1 << 20},
      {"fetch_cycles", &Params::fetch_cycles, 1, 1 << 20},
      {"fetch_buffer_bursts", &Params::fetch_buffer_bursts, 1, 1 << 20},
      {"dma_setup_cycles", &Params::dma_setup_cycles, 0, 1 << 20},
      {"gemm_pipeline_cycles", &Params::gemm_pipeline_cycles, 0, 1 << 20},
      {"vector_pipeline_cycles", &Params::vector_pipeline_cycles, 0, 1 << 20},
      {"row_pipeline_cycles", &Params::row_pipeline_cycles, 0, 1 << 20, true},
      {"ppu_pipeline_cycles", &Params::ppu_pipeline_cycles, 0, 1 << 20},
      {"command_queue_depth", &Params::command_queue_depth, 1, 1 << 20},
      {"token_queue_depth", &Params::token_queue_depth, 1, 1 << 20},
      {"max_cycles", &Params::max_cycles, 1, int64_t{1} << 44, true},
  };
  return fields;
}

Params ParseParams(const std::map<std::string, int64_t>& values) {
  Params params;
  size_t known = 0;
  for (const ParamField& field : ParamFields()) {
    const auto found = values.find(field.name);
    if (found == values.end()) {
      if (field.optional) continue;
      Fail("hardware parameter ", field.name, " is missing");
    }
    if (found->second < field.low || found->second > field.high) {
      Fail("hardware parameter ", field.name, " is ", found->second, ", allowed are ", field.low, " to ",
           field.high);
    }
    params.*field.member = found->second;
    ++known;
  }
  if (known != values.size()) {
    for (const auto& [name, value] : values) {
      bool found = false;
      for (const ParamField& field : ParamFields()) found = found || name == field.name;
      if (!found) Fail("unknown hardware parameter ", name, " = ", value);
    }
  }
  CheckConsistent(params);
  SetSecond(values, &params);
  return params;
}

}  // namespace tvm_vsq::sim
