// DRAM records of scratchpad entries, and their unpacked form.
#ifndef TVM_VSQ_SIM_RECORD_H_
#define TVM_VSQ_SIM_RECORD_H_

#include <cstdint>

#include "tvm_vsq/isa/isa.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// Moves one entry between a DRAM record and a scratchpad. `entry` must be in range.
class RecordCodec {
 public:
  explicit RecordCodec(const Params& params);

  // Unpacks `record` into `entry` of `pad`; a null record clears the entry to zero.
  void Load(Pad pad, const uint8_t* record, uint64_t entry, Scratchpads* pads) const;

  // Packs `entry` of out into `record`.
  void StoreOut(const Scratchpads& pads, uint64_t entry, uint8_t* record) const;

 private:
  void LoadUop(const uint8_t* record, uint64_t entry, Scratchpads* pads) const;
  void LoadInp(const uint8_t* record, uint64_t entry, Scratchpads* pads) const;
  void LoadWgt(const uint8_t* record, uint64_t entry, Scratchpads* pads) const;
  void LoadPar(const uint8_t* record, uint64_t entry, Scratchpads* pads) const;

  const isa::UopFields uop_;
  const int size_, lanes_, weight_bits_, activation_bits_, weight_scale_bits_, activation_scale_bits_;
  const size_t uop_bytes_, inp_bytes_, wgt_bytes_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_RECORD_H_
