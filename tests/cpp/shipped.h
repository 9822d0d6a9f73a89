// The shipped accelerators, as golden_words.inc has them.
#ifndef TESTS_CPP_SHIPPED_H_
#define TESTS_CPP_SHIPPED_H_

#include <map>
#include <string>

#include "tvm_vsq/sim/params.h"

namespace tvm_vsq::testing {

inline std::map<std::string, sim::Params> ShippedParams() {
  std::map<std::string, sim::Params> shipped;
#define PARAMS(target, ...) shipped.emplace(target, sim::ParseParams({__VA_ARGS__}));
#define GOLDEN(...)
#include "tests/cpp/golden_words.inc"
#undef PARAMS
#undef GOLDEN
  return shipped;
}

}  // namespace tvm_vsq::testing

#endif  // TESTS_CPP_SHIPPED_H_
