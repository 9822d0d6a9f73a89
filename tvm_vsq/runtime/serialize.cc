#include "tvm_vsq/runtime/serialize.h"

#include <map>

#include "tvm_vsq/runtime/limits.h"
#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::runtime {
namespace {

constexpr std::string_view kMagic = "VSQACCEL";
constexpr uint64_t kVersion = 3;
constexpr uint64_t kOwnForms = 2;    // the version before: descriptors ended with is_signed
constexpr size_t kHeaderBytes = 24;  // magic, version, checksum

constexpr int64_t Descriptor::* kDescriptorFields[] = {
    &Descriptor::kind,      &Descriptor::dram_offset, &Descriptor::rows,       &Descriptor::lanes,
    &Descriptor::is_signed, &Descriptor::bits,        &Descriptor::scale_bits, &Descriptor::digits};
constexpr size_t kOwnFormFields = 5;

class Writer {
 public:
  void Integer(uint64_t value) {
    uint8_t bytes[8];
    sim::WriteLittleEndian(bytes, sizeof bytes, value);
    bytes_.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  }
  void Integer(int64_t value) { Integer(static_cast<uint64_t>(value)); }
  void String(std::string_view text) {
    Integer(uint64_t{text.size()});
    bytes_.append(text);
  }
  void Descriptors(const std::vector<Descriptor>& descriptors) {
    Integer(uint64_t{descriptors.size()});
    for (const Descriptor& descriptor : descriptors) {
      for (const auto field : kDescriptorFields) Integer(descriptor.*field);
    }
  }
  void Append(std::string_view bytes) { bytes_.append(bytes); }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes, uint64_t version = kVersion)
      : bytes_(bytes),
        descriptor_fields_(version == kOwnForms ? kOwnFormFields : std::size(kDescriptorFields)) {}

  uint64_t Integer() {
    const std::string_view bytes = Bytes(8);
    return sim::ReadLittleEndian(reinterpret_cast<const uint8_t*>(bytes.data()), 8);
  }
  std::string String() { return std::string(Bytes(Integer())); }
  std::string Text() {
    std::string text = String();
    if (!IsUtf8(text)) {
      sim::Fail("saved accelerator module: the text that ends at byte ", position_ + kHeaderBytes,
                " is not UTF-8; export it again");
    }
    return text;
  }

  // A list of items that take at least `item_bytes` each, so that a damaged count cannot ask for endless
  // memory.
  uint64_t Count(size_t item_bytes) {
    const uint64_t count = Integer();
    if (count > (bytes_.size() - position_) / item_bytes) Truncated();
    return count;
  }
  std::vector<Descriptor> Descriptors() {
    std::vector<Descriptor> descriptors(Count(8 * descriptor_fields_));
    for (Descriptor& descriptor : descriptors) {
      for (size_t i = 0; i < descriptor_fields_; ++i)
        descriptor.*kDescriptorFields[i] = static_cast<int64_t>(Integer());
    }
    return descriptors;
  }
  void End() const {
    if (position_ != bytes_.size()) {
      sim::Fail("saved accelerator module: ", bytes_.size() - position_,
                " bytes behind its end; export it again");
    }
  }

 private:
  std::string_view Bytes(uint64_t count) {
    if (count > bytes_.size() - position_) Truncated();
    const std::string_view bytes = bytes_.substr(position_, count);
    position_ += count;
    return bytes;
  }
  [[noreturn]] void Truncated() const {
    sim::Fail("saved accelerator module is truncated at byte ", position_ + kHeaderBytes,
              "; export it again");
  }

  std::string_view bytes_;
  size_t descriptor_fields_;
  size_t position_ = 0;
};

void WriteProgram(const ProgramData& program, Writer* writer) {
  writer->String(program.name);
  writer->String(program.instructions);
  writer->String(program.layer_ids);
  writer->Integer(uint64_t{program.layer_names.size()});
  for (const std::string& name : program.layer_names) writer->String(name);
  writer->String(program.image);
  writer->Integer(program.dram_bytes);
  writer->Descriptors(program.inputs);
  writer->Descriptors(program.outputs);
}

ProgramData ReadProgram(Reader* reader) {
  ProgramData program;
  program.name = reader->Text();
  program.instructions = reader->String();
  program.layer_ids = reader->String();
  for (uint64_t left = reader->Count(8); left > 0; --left) {
    sim::CountWork(16);
    program.layer_names.push_back(reader->Text());
  }
  program.image = reader->String();
  program.dram_bytes = static_cast<int64_t>(reader->Integer());
  program.inputs = reader->Descriptors();
  program.outputs = reader->Descriptors();
  return program;
}

}  // namespace

uint64_t Checksum(std::string_view bytes) {
  constexpr size_t kChunk = size_t{1} << 16;
  uint64_t hash = 0xcbf29ce484222325u;
  while (!bytes.empty()) {
    const std::string_view chunk = bytes.substr(0, kChunk);
    bytes.remove_prefix(chunk.size());
    sim::CountWork(chunk.size());
    for (const char byte : chunk) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3u;
  }
  return hash;
}

std::string Serialize(const Artifact& artifact) {
  Writer body;
  body.Integer(uint64_t{sim::ParamFields().size()});
  for (const sim::ParamField& field : sim::ParamFields()) {
    body.String(field.name);
    body.Integer(artifact.params.*field.member);
  }
  body.String(artifact.metadata);
  body.Integer(uint64_t{artifact.programs.size()});
  for (const ProgramData& program : artifact.programs) WriteProgram(program, &body);
  const std::string payload = body.Take();
  Writer file;
  file.Append(kMagic);
  file.Integer(kVersion);
  file.Integer(Checksum(payload));
  file.Append(payload);
  return file.Take();
}

Artifact Deserialize(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) {
    sim::Fail("saved accelerator module is truncated: ", bytes.size(), " bytes, the header alone has ",
              kHeaderBytes);
  }
  if (bytes.substr(0, kMagic.size()) != kMagic)
    sim::Fail("not a saved accelerator module: it does not start with ", kMagic);
  Reader header(bytes.substr(kMagic.size(), kHeaderBytes - kMagic.size()));
  const uint64_t version = header.Integer(), checksum = header.Integer();
  if (version != kVersion && version != kOwnForms) {
    sim::Fail("saved accelerator module has format version ", version, ", this library reads ", kOwnForms,
              " and ", kVersion, "; export it again");
  }
  const std::string_view payload = bytes.substr(kHeaderBytes);
  if (Checksum(payload) != checksum) {
    sim::Fail("saved accelerator module is damaged or truncated: the checksum of its ", payload.size(),
              " bytes does not match; export it again");
  }
  Reader reader(payload, version);
  Artifact artifact;
  std::map<std::string, int64_t> params;
  for (uint64_t left = reader.Count(16); left > 0; --left) {
    std::string name = reader.Text();
    params[std::move(name)] = static_cast<int64_t>(reader.Integer());
  }
  artifact.params = sim::ParseParams(params);
  // Before there were rows of accumulators, what indexes either scratchpad now was as wide as inp wanted it.
  const isa::Sizes sizes = artifact.params.Sizes();
  if (params.count("row_pipeline_cycles") == 0 &&
      isa::IndexWidth(sizes.acc_depth) > isa::IndexWidth(sizes.inp_depth)) {
    sim::Fail("saved accelerator module has micro-ops of an earlier encoding, in which acc_depth ",
              sizes.acc_depth, " and inp_depth ", sizes.inp_depth, " do not fit; export it again");
  }
  artifact.metadata = reader.Text();
  for (uint64_t left = reader.Count(8); left > 0; --left) artifact.programs.push_back(ReadProgram(&reader));
  reader.End();
  CheckLimits(artifact);
  return artifact;
}

}  // namespace tvm_vsq::runtime
