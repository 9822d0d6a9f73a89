// A saved module: bytes as they are and behind a header that is right; refused, or restored without loss and
// its programs checked.
#include <algorithm>
#include <string>
#include <string_view>

#include "tests/cpp/fuzz/simulator.h"
#include "tests/cpp/fuzz/target.h"
#include "tvm_vsq/runtime/serialize.h"

namespace tvm_vsq::fuzz {
namespace {

constexpr size_t kHeaderBytes = 24;  // magic, version, checksum
// More is legal, but clearing it would be all that this target does.
constexpr int64_t kMaxDramBytes = 1 << 22;

std::string Sealed(std::string_view bytes) {
  const std::string_view payload = bytes.substr(std::min(bytes.size(), kHeaderBytes));
  uint8_t header[kHeaderBytes] = {'V', 'S', 'Q', 'A', 'C', 'C', 'E', 'L', 1};
  sim::WriteLittleEndian(header + 16, 8, runtime::Checksum(payload));
  return std::string(reinterpret_cast<const char*>(header), kHeaderBytes).append(payload);
}

void TestArtifact(std::string_view bytes) {
  runtime::Artifact artifact;
  try {
    artifact = runtime::Deserialize(bytes);
  } catch (const sim::Error&) {
    return;
  }
  const std::string again = runtime::Serialize(artifact);
  Require(runtime::Serialize(runtime::Deserialize(again)) == again,
          "saving a restored artifact changes nothing");
  try {
    for (const runtime::ProgramData& program : artifact.programs) {
      if (program.dram_bytes <= kMaxDramBytes) Accept(artifact.params, program);
    }
    ++accepted;
  } catch (const sim::Error&) {
  }
}

}  // namespace
}  // namespace tvm_vsq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string sealed = tvm_vsq::fuzz::Sealed(bytes);
  if (sealed != bytes) tvm_vsq::fuzz::TestArtifact(bytes);
  tvm_vsq::fuzz::TestArtifact(sealed);
  return 0;
}
