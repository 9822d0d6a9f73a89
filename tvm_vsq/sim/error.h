// The one exception of the simulator: a program, parameter or blob that the accelerator refuses.
#ifndef TVM_VSQ_SIM_ERROR_H_
#define TVM_VSQ_SIM_ERROR_H_

#include <sstream>
#include <stdexcept>
#include <string>

namespace tvm_vsq::sim {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

template <typename... Parts>
[[noreturn]] void Fail(const Parts&... parts) {
  throw Error(Concat(parts...));
}

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_ERROR_H_
