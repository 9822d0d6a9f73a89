// The border between simulator errors and Python exceptions.
#ifndef TVM_VSQ_RUNTIME_GUARD_H_
#define TVM_VSQ_RUNTIME_GUARD_H_

#include <tvm/ffi/error.h>
#include <tvm/ffi/extra/c_env_api.h>

#include <new>

#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {

// Lets a user interrupt long work from Python.
inline void CheckSignals() {
  if (TVMFFIEnvCheckSignals() != 0) throw tvm::ffi::EnvErrorAlreadySet();
}

// Runs `body`; sim::Error becomes ValueError, exhausted memory becomes MemoryError.
template <typename Body>
auto Guard(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const sim::Error& error) {
    TVM_FFI_THROW(ValueError) << error.what();
  } catch (const std::bad_alloc&) {
    TVM_FFI_THROW(MemoryError) << "not enough memory to simulate the accelerator";
  }
  TVM_FFI_UNREACHABLE();
}

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_GUARD_H_
