// Checks for test executables: a failed one prints itself, the rest still runs.
#ifndef TESTS_CPP_TESTING_H_
#define TESTS_CPP_TESTING_H_

#include <iostream>
#include <string>

#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::testing {

inline int failures = 0;

inline void Report(const char* file, int line, const std::string& text) {
  ++failures;
  std::cerr << file << ":" << line << ": " << text << "\n";
}

template <typename Actual, typename Expected>
void CheckEqual(const char* file, int line, const char* text, const Actual& actual,
                const Expected& expected) {
  if (actual == expected) return;
  Report(file, line, sim::Concat(text, " is ", actual, ", expected ", expected));
}

template <typename Body>
void CheckError(const char* file, int line, Body body, const std::string& part) {
  try {
    body();
  } catch (const sim::Error& error) {
    const std::string message = error.what();
    if (message.find(part) == std::string::npos)
      Report(file, line, "error '" + message + "' lacks '" + part + "'");
    return;
  }
  Report(file, line, "no error; expected one with '" + part + "'");
}

// For the end of main.
inline int Result() {
  if (failures > 0) std::cerr << failures << " checks failed\n";
  return failures > 0 ? 1 : 0;
}

}  // namespace tvm_vsq::testing

#define CHECK_EQ(actual, expected) \
  ::tvm_vsq::testing::CheckEqual(__FILE__, __LINE__, #actual, (actual), (expected))
#define CHECK_ERROR(statement, part) \
  ::tvm_vsq::testing::CheckError(__FILE__, __LINE__, [&] { statement; }, (part))

#endif  // TESTS_CPP_TESTING_H_
