#include "tvm_vsq/runtime/limits.h"

#include <algorithm>
#include <string>

#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/limits.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::runtime {
namespace {

void CheckName(const char* what, const std::string& name) {
  if (name.size() <= kMaxNameBytes) return;
  sim::Fail("the name of a ", what, " has ", name.size(), " bytes, at most ", kMaxNameBytes, " are allowed");
}

void CheckProgram(const ProgramData& program) {
  sim::CountWork(8 * (1 + program.layer_names.size()));
  CheckName("program", program.name);
  for (const std::string& layer : program.layer_names) CheckName("layer", layer);
  if (program.dram_bytes < 0) sim::Fail("program '", program.name, "': dram_bytes is ", program.dram_bytes);
  const auto image = static_cast<int64_t>(program.image.size());
  if (program.dram_bytes > kMaxWorkspaceBytes + image) {
    sim::Fail("program '", program.name, "': dram_bytes is ", program.dram_bytes, ", at most ",
              kMaxWorkspaceBytes, " more than the ", image, " bytes of its image are allowed");
  }
}

}  // namespace

void CheckLimits(const Artifact& artifact) {
  if (artifact.metadata.size() > kMaxMetadataBytes) {
    sim::Fail("the metadata have ", artifact.metadata.size(), " bytes, at most ", kMaxMetadataBytes,
              " are allowed");
  }
  if (artifact.programs.size() > kMaxPrograms) {
    sim::Fail("the module has ", artifact.programs.size(), " programs, at most ", kMaxPrograms,
              " are allowed");
  }
  uint64_t layers = 0;
  int64_t workspace = 0;
  for (const ProgramData& program : artifact.programs) {
    CheckProgram(program);
    layers += program.layer_names.size();
    workspace += std::max<int64_t>(0, program.dram_bytes - static_cast<int64_t>(program.image.size()));
  }
  if (workspace > kMaxWorkspaceBytes) {
    sim::Fail("the programs have ", workspace, " bytes of DRAM behind their images together, at most ",
              kMaxWorkspaceBytes, " are allowed");
  }
  if (layers > sim::kMaxLayers) {
    sim::Fail("the programs have ", layers, " layers together, at most ", sim::kMaxLayers, " are allowed");
  }
}

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    sim::CountWork(1);
    const auto lead = static_cast<uint8_t>(text[i++]);
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t code = lead & (0x3fu >> more);
    for (int k = 0; k < more; ++k, ++i) {
      if (i == text.size() || (static_cast<uint8_t>(text[i]) & 0xc0) != 0x80) return false;
      code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
    }
    constexpr uint32_t kShortest[] = {0, 0x80, 0x800, 0x10000};
    if (code < kShortest[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  return true;
}

}  // namespace tvm_vsq::runtime
