// Saved artifacts: round trip, truncation at every byte, damage with and without a matching checksum.
#include <random>
#include <string>

#include "tests/cpp/programs.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/runtime/executable_program.h"
#include "tvm_vsq/runtime/limits.h"
#include "tvm_vsq/runtime/serialize.h"
#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/limits.h"

namespace tvm_vsq {
namespace {

runtime::Artifact Example() {
  runtime::Artifact artifact;
  artifact.params = testing::Small();
  artifact.metadata = std::string("meta\0data", 9);
  runtime::ProgramData program;
  program.name = "main";
  program.instructions = std::string("\6", 1) + std::string(isa::kInstructionBytes - 1, '\0');
  program.layer_ids = std::string(4, '\0');
  program.layer_names = {"conv1", ""};
  program.image = "image";
  program.dram_bytes = 4096;
  program.inputs = {{0, 64, 2, 9, 1}, {0, 512, 3, 9, 0, 3, 2, 1}};
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
  CHECK_EQ(again.programs[0].inputs[1].bits, 3);
  CHECK_EQ(again.programs[0].inputs[1].scale_bits, 2);
  CHECK_EQ(again.programs[0].inputs[0].digits, 1);
  CHECK_EQ(again.params.dram_burst_bytes, 128);
}

void TestTruncation() {
  const std::string bytes = runtime::Serialize(Example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_ERROR(runtime::Deserialize(std::string_view(bytes).substr(0, size)), "truncated");
    if (size >= 24) CHECK_ERROR(runtime::Deserialize(Reseal(bytes.substr(0, size))), "truncated at byte");
  }
  CHECK_ERROR(runtime::Deserialize(Reseal(bytes + "x")), "1 bytes behind its end");
}

// What was saved before tensors had forms: descriptors of five integers.
void TestOwnForms() {
  runtime::Artifact artifact = Example();
  artifact.programs.resize(1);
  artifact.programs[0].inputs = {{0, 64, 2, 9, 1}};
  artifact.programs[0].outputs = {{1, 128, 3, 5, 1}};
  std::string bytes = runtime::Serialize(artifact);
  bytes[8] = 2;
  const size_t descriptor = 8 * 8;
  bytes.erase(bytes.size() - 3 * 8);                     // of the output
  bytes.erase(bytes.size() - 5 * 8 - 8 - 3 * 8, 3 * 8);  // of the input
  const runtime::Artifact again = runtime::Deserialize(Reseal(bytes));
  CHECK_EQ(again.programs[0].outputs[0].lanes, 5);
  CHECK_EQ(again.programs[0].outputs[0].digits, 1);
  CHECK_EQ(runtime::Serialize(again) == runtime::Serialize(artifact), true);
  CHECK_EQ(runtime::Serialize(artifact).size() - bytes.size(), 2 * (descriptor - 5 * 8));
  bytes[8] = 4;
  CHECK_ERROR(runtime::Deserialize(bytes), "has format version 4, this library reads 2 and 3");
}

// What was saved before there were rows of accumulators, where micro-ops are as they were.
void TestEarlierEncoding() {
  const auto restore = [](const runtime::Artifact& artifact) {
    std::string bytes = runtime::Serialize(artifact);
    const std::string key = "row_pipeline_cycles";
    bytes.erase(bytes.find(key) - 8, 8 + key.size() + 8);
    --bytes[24];  // how many parameters there are
    return runtime::Deserialize(Reseal(bytes));
  };
  runtime::Artifact artifact = Example();
  CHECK_EQ(restore(artifact).params.row_pipeline_cycles, 16);
  artifact.params.acc_depth = 65;
  CHECK_EQ(runtime::Deserialize(runtime::Serialize(artifact)).params.acc_depth, 65);
  CHECK_ERROR(restore(artifact), "micro-ops of an earlier encoding, in which acc_depth 65 and inp_depth 64");
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
      uint64_t prepared = 0;
      for (const auto& program : artifact.programs)
        runtime::ExecutableProgram(artifact.params, program, true, &prepared);
    } catch (const sim::Error&) {
    }
  }
}

// A small file must not ask for much memory; a program at the limit is accepted.
void TestLimits() {
  runtime::Artifact artifact = Example();
  const auto restore = [&] { return runtime::Deserialize(runtime::Serialize(artifact)); };
  artifact.programs[0].dram_bytes = static_cast<int64_t>(artifact.programs[0].image.size());
  artifact.programs[1].dram_bytes = runtime::kMaxWorkspaceBytes + 5;  // the image has 5 bytes
  restore();
  ++artifact.programs[1].dram_bytes;
  CHECK_ERROR(restore(), "program 'other': dram_bytes is 536870918, at most 536870912 more than the 5 bytes");
  --artifact.programs[1].dram_bytes;
  ++artifact.programs[0].dram_bytes;
  CHECK_ERROR(restore(), "have 536870913 bytes of DRAM behind their images together, at most 536870912");
  artifact.programs[1].dram_bytes = -1;
  CHECK_ERROR(restore(), "program 'other': dram_bytes is -1");
  artifact = Example();
  artifact.programs[0].layer_names[1] = std::string(runtime::kMaxNameBytes, 'x');
  restore();
  artifact.programs[0].layer_names[1] += 'x';
  CHECK_ERROR(restore(), "the name of a layer has 1025 bytes, at most 1024");
  artifact = Example();
  artifact.programs.resize(runtime::kMaxPrograms + 1);
  CHECK_ERROR(restore(), "has 4097 programs, at most 4096");
  artifact = Example();
  for (auto& program : artifact.programs) program.layer_names.resize(sim::kMaxLayers / 2 + 1);
  CHECK_ERROR(restore(), "have 16386 layers together, at most 16384");
  artifact = Example();
  artifact.metadata.resize(runtime::kMaxMetadataBytes + 1);
  CHECK_ERROR(restore(), "the metadata have 67108865 bytes, at most 67108864");
}

void TestUtf8() {
  for (const char* text : {"", "conv1", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK_EQ(runtime::IsUtf8(text), true);
  }
  // Lone and missing continuations, overlong forms, a surrogate, beyond the last code point.
  for (const char* text : {"\x80", "\xc3", "\xc3x", "\xe2\x82", "\xc0\x80", "\xe0\x9f\xbf",
                           "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
    CHECK_EQ(runtime::IsUtf8(text), false);
  }
  runtime::Artifact artifact = Example();
  artifact.programs[0].name = "\xff";
  CHECK_ERROR(runtime::Deserialize(runtime::Serialize(artifact)), "is not UTF-8");
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestRoundTrip();
  tvm_vsq::TestTruncation();
  tvm_vsq::TestOwnForms();
  tvm_vsq::TestEarlierEncoding();
  tvm_vsq::TestDamage();
  tvm_vsq::TestLimits();
  tvm_vsq::TestUtf8();
  return tvm_vsq::testing::Result();
}
