#include "tvm_vsq/sim/digits.h"

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {

void JoinVector(const Execution& execution, bool is_unsigned, size_t digits, size_t entry, uint8_t* joined) {
  const Params& params = execution.params;
  const auto size = static_cast<size_t>(params.vector_size),
             bits = static_cast<size_t>(params.activation_bits);
  CountWork(size * digits / 4);
  const uint8_t* codes = &execution.pads->inp_code[entry * size];
  const int64_t bias = InpBias(params, is_unsigned, digits);
  const int64_t most = int64_t{1} << JoinedBits(params, static_cast<int64_t>(digits));
  const int64_t sign = is_unsigned ? 0 : int64_t{1} << (digits * bits - 1);
  for (size_t i = 0; i < size; ++i) {
    int64_t element = 0;
    for (size_t digit = 0; digit < digits; ++digit)
      element |= int64_t{codes[digit * size + i]} << digit * bits;
    element = (element ^ sign) - sign;
    const int64_t code = element + bias;
    if (code < 0 || code >= most)
      execution.Fail("inp entry ", entry, ": element ", i, " of the vector of ", digits, " digits is ",
                     element, ", which has more than ", kMaxElementBits, " bits");
    joined[i] = static_cast<uint8_t>(code);
  }
}

InpVectors::InpVectors(const Execution& execution, bool is_unsigned, size_t digits)
    : execution_(execution),
      is_unsigned_(is_unsigned),
      digits_(digits),
      bias_(InpBias(execution.params, is_unsigned, digits)) {
  if (digits == 1) return;
  execution.pads->joined_inp.resize(execution.pads->inp_code.size());
  done_.resize(static_cast<size_t>(execution.params.inp_depth));
}

const uint8_t* InpVectors::codes() const {
  if (digits_ > 1) return execution_.pads->joined_inp.data();
  return (is_unsigned_ ? execution_.pads->inp_code : execution_.pads->inp_biased).data();
}

void InpVectors::Join(size_t entry) {
  if (digits_ == 1 || done_[entry]) return;
  done_[entry] = true;
  const auto size = static_cast<size_t>(execution_.params.vector_size);
  JoinVector(execution_, is_unsigned_, digits_, entry, &execution_.pads->joined_inp[entry * size]);
}

void SplitDigits(const uint8_t* elements, size_t size, size_t digits, int bits, bool is_unsigned,
                 int entry_bits, uint8_t* out) {
  const int low = (1 << bits) - 1, whole = (1 << entry_bits) - 1;
  for (size_t digit = 0; digit < digits; ++digit, out += size) {
    const bool highest = digit + 1 == digits;
    for (size_t i = 0; i < size; ++i) {
      const int element = is_unsigned ? elements[i] : static_cast<int8_t>(elements[i]);
      out[i] = static_cast<uint8_t>((element >> digit * static_cast<size_t>(bits)) & (highest ? whole : low));
    }
  }
}

}  // namespace tvm_vsq::sim
