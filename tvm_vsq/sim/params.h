// The hardware parameters: HardwareConfig.sim_params() of the Python side, validated.
#ifndef TVM_VSQ_SIM_PARAMS_H_
#define TVM_VSQ_SIM_PARAMS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tvm_vsq/isa/isa.h"

namespace tvm_vsq::sim {

using isa::kPadCount;
using isa::Pad;
inline const char* PadName(Pad pad) { return isa::kPadNames[static_cast<int>(pad)]; }

inline constexpr int64_t kMinElementBits = 2, kMaxElementBits = 8;
inline constexpr int kParBytes = 11;  // mult u16, shift u8, bias i32, clip i32 of one output lane

struct Params {
  int64_t vector_size = 0, output_lanes = 0;
  int64_t weight_bits = 0, activation_bits = 0, weight_scale_bits = 0, activation_scale_bits = 0;
  int64_t product_bits = 0, product_shift = 0, accumulator_bits = 0, guard_bits = 0, multiplier_bits = 0;
  int64_t window_taps = 0;
  int64_t precision_passes = 1;  // the most digits of an element
  int64_t uop_depth = 0, inp_depth = 0, wgt_depth = 0, acc_depth = 0, par_depth = 0, out_depth = 0;
  int64_t uop_record_bytes = 0, inp_record_bytes = 0, wgt_record_bytes = 0;
  int64_t acc_record_bytes = 0, par_record_bytes = 0, out_record_bytes = 0;
  // The second-operand form of vectors: what both sides of the array can take.
  int64_t second_bits = 0, second_scale_bits = 0, second_record_bytes = 0;
  int64_t uop_banks = 0, inp_banks = 0, wgt_banks = 0, acc_banks = 0, par_banks = 0, out_banks = 0;
  int64_t dram_bytes = 0, dram_bytes_per_cycle = 0, dram_latency_cycles = 0, dram_burst_bytes = 0;
  int64_t dram_row_bytes = 0, dram_row_miss_cycles = 0;
  int64_t fetch_cycles = 0, fetch_buffer_bursts = 0, dma_setup_cycles = 0;
  int64_t gemm_pipeline_cycles = 0, vector_pipeline_cycles = 0, ppu_pipeline_cycles = 0;
  int64_t row_pipeline_cycles = 16;
  int64_t command_queue_depth = 0, token_queue_depth = 0;
  // Not hardware: a program that runs longer is refused, so that a broken one always ends.
  int64_t max_cycles = int64_t{1} << 36;

  int64_t Depth(Pad pad) const;
  int64_t Banks(Pad pad) const;
  int64_t RecordBytes(Pad pad) const;
  int64_t EntryBits(Pad pad) const;
  int64_t EntryElements(Pad pad) const;
  isa::Sizes Sizes() const;
};

struct ParamField {
  const char* name;
  int64_t Params::* member;
  int64_t low, high;
  bool optional = false;
};

// Every parameter with its range, in serialization order.
const std::vector<ParamField>& ParamFields();

// Throws Error for a key that is missing, unknown or out of range, and for values that contradict each other.
Params ParseParams(const std::map<std::string, int64_t>& values);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_PARAMS_H_
