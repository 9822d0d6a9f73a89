// Elements that are wider than the entries of a scratchpad: a vector of them is several entries, its digits
// from the lowest on (docs/isa.md).
#ifndef TVM_VSQ_SIM_DIGITS_H_
#define TVM_VSQ_SIM_DIGITS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::sim {

// Calls fail(parts of the message...) unless elements may have `field` + 1 digits of `bits` bits.
template <typename Fail>
void CheckDigits(const Params& params, const char* name, int64_t field, int64_t bits, Fail fail) {
  if (field >= params.precision_passes)
    fail("field ", name, " is ", field, ", must be below precision_passes, ", params.precision_passes);
  if (field * bits >= kMaxElementBits)
    fail("field ", name, " is ", field, ", a digit from bit ", field * bits, " on; elements have at most ",
         kMaxElementBits, " bits");
}

// Bits of an element of activations that has `digits` digits.
inline int64_t JoinedBits(const Params& params, int64_t digits) {
  return std::min(kMaxElementBits, digits * params.activation_bits);
}

// Calls fail unless low digits of weights exist.
template <typename Fail>
void CheckUnsignedWeights(const Params& params, bool is_unsigned, Fail fail) {
  if (!is_unsigned) return;
  if (params.precision_passes < 2)
    fail("field wgt_unsigned is set, but precision_passes is 1: no weight has low digits");
  if (params.weight_bits >= kMaxElementBits)
    fail("field wgt_unsigned is set, but weight_bits is ", params.weight_bits,
         ", as many as an element has: no weight has low digits");
}

// What the bytes of a vector of inp exceed its elements by, joined from `digits` entries or not.
inline int32_t InpBias(const Params& params, bool is_unsigned, size_t digits) {
  return is_unsigned ? 0 : 1 << (JoinedBits(params, static_cast<int64_t>(digits)) - 1);
}

// Writes joined[V], elements + InpBias, of the vector from `entry` on. Throws Error if an element has more
// than kMaxElementBits.
void JoinVector(const Execution& execution, bool is_unsigned, size_t digits, size_t entry, uint8_t* joined);

// All vectors of inp as VEC reads them; those that are several entries are where the first of these is. One
// at a time.
class InpVectors {
 public:
  InpVectors(const Execution& execution, bool is_unsigned, size_t digits);

  // Before a vector of several entries is read (JoinVector).
  void Join(size_t entry);

  const uint8_t* codes() const;  // [inp_depth][V]: element + bias()
  int32_t bias() const { return bias_; }
  size_t digits() const { return digits_; }

 private:
  const Execution& execution_;
  const bool is_unsigned_;
  const size_t digits_;
  const int32_t bias_;
  std::vector<bool> done_;
};

// Splits the elements of a vector, as two's complement bytes, into the entries out[digits][size] of digits of
// `bits` bits. An entry holds codes of `entry_bits`.
void SplitDigits(const uint8_t* elements, size_t size, size_t digits, int bits, bool is_unsigned,
                 int entry_bits, uint8_t* out);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_DIGITS_H_
