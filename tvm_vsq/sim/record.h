// DRAM records to scratchpad entries and back.
#ifndef TVM_VSQ_SIM_RECORD_H_
#define TVM_VSQ_SIM_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "tvm_vsq/sim/cpu.h"
#include "tvm_vsq/sim/packing.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// Moves runs of `count` entries, neighbours in DRAM and in the scratchpad, which is inp, wgt, acc, par or
// out: micro-ops are taken from the image when a program is loaded. Entries must be in range.
class RecordCodec {
 public:
  explicit RecordCodec(const Params& params, Simd simd = BestSimd());

  // Unpacks `records` into the entries of `pad` from `entry` on.
  void Load(Pad pad, const uint8_t* records, size_t count, size_t entry, Scratchpads* pads) const;

  // The border of a LOAD: elements 0 with scale 0, and accumulators 0.
  void Clear(Pad pad, size_t count, size_t entry, Scratchpads* pads) const;

  // An element that no vector of the second-operand form has.
  struct Lowest {
    size_t entry, element;
  };

  // Unpacks `records`, which are of the second-operand form, their elements unsigned or not, into one lane of
  // the entries of wgt from `entry` on. Where elements are no digits, the first one that is the lowest of its
  // bits, if there is one.
  std::optional<Lowest> LoadLane(const uint8_t* records, size_t count, size_t entry, size_t lane,
                                 bool is_unsigned, Scratchpads* pads) const;

  // Packs the entries of out from `entry` on into `records`.
  void StoreOut(const Scratchpads& pads, size_t count, size_t entry, uint8_t* records) const;

  // The same, as records of the second-operand form: what has more bits than that is cut off.
  void StoreSecond(const Scratchpads& pads, size_t count, size_t entry, uint8_t* records) const;

 private:
  const size_t size_, lanes_;
  const bool digits_;       // whether elements may be digits
  const int32_t wgt_sign_;  // of an element of wgt
  const Packing activation_, second_;
  const std::unique_ptr<const VectorDecoder> inp_, lane_;
  const std::unique_ptr<const WeightDecoder> wgt_;
  const VectorEncoder encode_, encode_second_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_RECORD_H_
