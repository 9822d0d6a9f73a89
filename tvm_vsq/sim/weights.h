// The weights that an instruction multiplies by, as signed elements or as unsigned ones: low digits.
#ifndef TVM_VSQ_SIM_WEIGHTS_H_
#define TVM_VSQ_SIM_WEIGHTS_H_

#include <cstdint>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/plan.h"
#include "tvm_vsq/sim/scratchpads.h"

namespace tvm_vsq::sim {

// As Scratchpads has them.
struct WeightElements {
  const int8_t* elements;
  const int32_t* sums;
};

// Of the entries that `plan`, which is of `loops`, touches: where they are unsigned, in a buffer of their own
// that holds until the next call.
WeightElements ElementsOfWeights(const Params& params, const MicroOpLoops& loops, const MicroOpPlan& plan,
                                 bool is_unsigned, Scratchpads* pads);

// The largest magnitude of an element, if that of a signed one is `max_weight`.
inline int64_t LargestWeight(const Params& params, bool is_unsigned, int64_t max_weight) {
  return is_unsigned ? (int64_t{1} << params.weight_bits) - 1 : max_weight;
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_WEIGHTS_H_
