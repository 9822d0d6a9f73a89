// How large the weights of a program are.
#ifndef TVM_VSQ_SIM_WEIGHT_RANGE_H_
#define TVM_VSQ_SIM_WEIGHT_RANGE_H_

#include <string_view>

#include "tvm_vsq/sim/instruction.h"
#include "tvm_vsq/sim/params.h"
#include "tvm_vsq/sim/written_bytes.h"

namespace tvm_vsq::sim {

// Whether all weights that the program loads are constants of the image, none of them -2^(N-1): then no
// magnitude exceeds 2^(N-1) - 1.
bool WeightsAreSymmetric(const Params& params, const Program& program, std::string_view image,
                         const WrittenBytes& written);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_WEIGHT_RANGE_H_
