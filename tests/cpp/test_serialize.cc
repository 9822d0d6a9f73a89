// Saved artifacts: round trip, truncation at every byte, damage with and without a matching checksum.
#include <random>
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq {
namespace {

runtime::Artifact Example() {
  runtime::Artifact artifact;
  artifact.params = testing::Small();
  artifact.metadata = std::string("meta\0data", 9);
  runtime::ProgramData program;
  program.name = "main";
  program.instructions = std::string("\6", 1) + std::string(15, '\0');
  program.layer_ids = std::string(4, '\0');
  program.layer_names = {"conv1", ""};
  program.image = "image";
  program.dram_bytes = 4096;
  program.inputs = {{0, 64, 2, 9, 1}};
  program.outputs = {{1, 128, 3, 5, 1}, {0, 256, 1, 9, 0}};
  artifact.programs = {program, program};
  artifact.programs[1].name = "other";
  return artifact;
}

std::string Reseal(std::string bytes) {
  const uint64_t checksum = runtime::Checksum(std::string_view(bytes).substr(24));
  sim::WriteLittleEndian(reinterpret_cast<uint8_t*>(bytes.data()) + 16, 8, checksum);
  return bytes;
}

void TestRoundTrip() {
  const std::string bytes = runtime::Serialize(Example());
  const runtime::Artifact again = runtime::Deserialize(bytes);
  CHECK_EQ(runtime::Serialize(again) == bytes, true);
  CHECK_EQ(again.metadata, Example().metadata);
  CHECK_EQ(again.programs[1].name, std::string("other"));
  CHECK_EQ(again.programs[0].outputs[0].rows, 3);
  CHECK_EQ(again.params.dram_burst_bytes, 64);
}

void TestTruncation() {
  const std::string bytes = runtime::Serialize(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_ERROR(runtime::Deserialize(std::string_view(bytes).substr(0, size)), "truncated");
    if (size >= 24) CHECK_ERROR(runtime::Deserialize(Reseal(bytes.substr(0, size))), "truncated at byte");
  }
  CHECK_ERROR(runtime::Deserialize(Reseal(bytes + "x")), "1 bytes behind its end");
}

// Whatever the bytes say, the outcome is an artifact or an Error; loading its programs likewise.
void TestDamage() {
  const std::string bytes = runtime::Serialize(Example());
  std::mt19937 random(4);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = bytes;
    damaged[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    CHECK_ERROR(runtime::Deserialize(damaged), "saved accelerator module");
    if (random() % 2 == 0) damaged[24 + random() % (bytes.size() - 24)] = static_cast<char>(random());
    try {
      const runtime::Artifact artifact = runtime::Deserialize(Reseal(damaged));
      for (const auto& program : artifact.programs)
        runtime::ExecutableProgram(artifact.params, program, true);
    } catch (const sim::Error&) {
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestRoundTrip();
  tvm_vsq::TestTruncation();
  tvm_vsq::TestDamage();
  return tvm_vsq::testing::Result();
}
