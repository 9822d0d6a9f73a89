// The bytes of DRAM that differ from run to run; all others are constants.
#ifndef TVM_VSQ_SIM_WRITTEN_BYTES_H_
#define TVM_VSQ_SIM_WRITTEN_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/transfer.h"

namespace tvm_vsq::sim {

struct ByteRange {
  uint64_t begin = 0, end = 0;
};

class WrittenBytes {
 public:
  // What the instructions of a program that CheckProgram accepted write, and its inputs.
  WrittenBytes(const Params& params, const Program& program, const std::vector<ByteRange>& inputs);

  // Sorted, with gaps between them.
  const std::vector<ByteRange>& ranges() const { return ranges_; }

  // The first byte that the transfer reads from them, or -1.
  int64_t FirstReadBy(const Transfer& transfer) const;

  // Who writes such a byte, for an error.
  std::string WriterOf(const Program& program, uint64_t byte) const;

 private:
  // Sorts the ranges and joins those that touch.
  void Join();

  const Params& params_;
  std::vector<ByteRange> ranges_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_WRITTEN_BYTES_H_
