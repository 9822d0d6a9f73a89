// rhu of docs/numerics.md, section 2, as it is defined there.
#ifndef TESTS_CPP_ROUNDING_H_
#define TESTS_CPP_ROUNDING_H_

#include <cstdint>

namespace tvm_vsq::testing {

// floor((2n + d) / (2d)) for d > 0 and |n|, d <= 2^62.
inline int64_t RoundHalfUp(int64_t n, int64_t d) {
  // The quotient towards zero leaves a rest in (-d, d); the result is one more or less where that reaches d
  // / 2.
  const int64_t quotient = n / d, rest = n % d;
  if (rest >= d - rest) return quotient + 1;
  return rest < 0 && -rest > d + rest ? quotient - 1 : quotient;
}

}  // namespace tvm_vsq::testing

#endif  // TESTS_CPP_ROUNDING_H_
