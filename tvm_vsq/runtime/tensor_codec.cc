#include "tvm_vsq/runtime/tensor_codec.h"

#include <algorithm>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/error.h"
#include "tvm_vsq/sim/packing.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::runtime {
namespace {

// Bytes of one row in DRAM: the records of a vector, or all accumulator entries of a pixel.
int64_t RowBytes(const sim::Params& params, const Descriptor& descriptor) {
  if (descriptor.kind == Descriptor::kVectors) return descriptor.digits * params.inp_record_bytes;
  if (descriptor.kind == Descriptor::kSecond) return descriptor.digits * params.second_record_bytes;
  return (descriptor.lanes + params.output_lanes - 1) / params.output_lanes * params.output_lanes * 4;
}

// Vectors are converted in chunks that stay in the processor's cache between the steps.
constexpr int64_t kChunk = 64, kMaxVectorSize = 64, kMaxDigits = 4;

struct Chunk {
  uint8_t codes[kChunk * kMaxVectorSize * kMaxDigits], biased[kChunk * kMaxVectorSize * kMaxDigits];
  int32_t scales[kChunk * kMaxDigits];
};

sim::Packing PackingOf(const sim::Params& params, const Descriptor& descriptor) {
  const bool second = descriptor.kind == Descriptor::kSecond;
  return {static_cast<int>(params.vector_size),
          static_cast<int>(second ? params.second_bits : params.activation_bits),
          static_cast<int>(second ? params.second_scale_bits : params.activation_scale_bits)};
}

// The values that a host tensor may hold.
struct Limits {
  int vector_size, bits, scale_bits;
  bool is_signed;
  int low, high, scale_low, scale_high;

  Limits(const sim::Packing& packing, const Descriptor& d)
      : vector_size(packing.vector_size),
        bits(d.bits > 0 ? static_cast<int>(d.bits) : packing.element_bits),
        scale_bits(d.bits > 0 ? static_cast<int>(d.scale_bits) : packing.scale_bits),
        is_signed(d.is_signed != 0),
        low(is_signed ? 1 - (1 << (bits - 1)) : 0),
        high((1 << (bits - (is_signed ? 1 : 0))) - 1),
        scale_low(scale_bits == 0 ? 1 : 0),
        scale_high(scale_bits == 0 ? 1 : (1 << scale_bits) - 1) {}
};

bool Inside(const Limits& limits, const int16_t* vector, int64_t size) {
  int16_t low = 0, high = 0;  // always inside
  for (int64_t i = 0; i < size; ++i) {
    low = std::min(low, vector[i]);
    high = std::max(high, vector[i]);
  }
  return low >= limits.low && high <= limits.high && vector[size] >= limits.scale_low &&
         vector[size] <= limits.scale_high;
}

[[noreturn]] void FailOutside(const Limits& limits, int64_t row, const int16_t* vector) {
  for (int i = 0; i < limits.vector_size; ++i) {
    if (vector[i] < limits.low || vector[i] > limits.high) {
      sim::Fail("vector ", row, ", element ", i, " is ", vector[i], "; ", limits.bits, "-bit ",
                limits.is_signed ? "signed" : "unsigned", " elements are ", limits.low, " to ", limits.high);
    }
  }
  sim::Fail("vector ", row, ": scale ", vector[limits.vector_size], "; ", limits.scale_bits,
            "-bit scales are ", limits.scale_low, " to ", limits.scale_high);
}

// Throws sim::Error unless the records of the kind can hold such vectors.
void CheckForm(const sim::Params& params, const Descriptor& d) {
  if (d.bits == 0 || d.kind == Descriptor::kWide) {
    if (d.bits != 0) sim::Fail("bits is ", d.bits, ", must be 0 with kind 1, which has no vectors");
    if (d.scale_bits != 0) sim::Fail("scale_bits is ", d.scale_bits, ", must be 0 where bits is");
    if (d.digits != 1) sim::Fail("digits is ", d.digits, ", must be 1 where bits is 0");
    return;
  }
  const sim::Packing packing = PackingOf(params, d);
  const int64_t most = std::min(params.precision_passes, kMaxDigits);
  if (d.digits < 1 || d.digits > most)
    sim::Fail("digits is ", d.digits, ", must be 1 to precision_passes, ", most);
  const int64_t low = std::max(sim::kMinElementBits, (d.digits - 1) * packing.element_bits + 1);
  const int64_t high = std::min(sim::kMaxElementBits, d.digits * packing.element_bits);
  if (d.bits < low || d.bits > high) {
    sim::Fail("bits is ", d.bits, ", must be ", low, " to ", high, " with ", d.digits, " digits of ",
              packing.element_bits, " bits");
  }
  if (d.scale_bits < 0 || d.scale_bits > packing.scale_bits)
    sim::Fail("scale_bits is ", d.scale_bits, ", must be 0 to the ", packing.scale_bits, " bits of a scale");
}

}  // namespace

int64_t TensorBytes(const sim::Params& params, const Descriptor& d) { return d.rows * RowBytes(params, d); }

void CheckDescriptor(const sim::Params& params, const Descriptor& d, int64_t dram_bytes) {
  if (d.kind != Descriptor::kVectors && d.kind != Descriptor::kWide && d.kind != Descriptor::kSecond)
    sim::Fail("kind ", d.kind, ", must be 0 (vectors), 1 (wide) or 2 (second operand)");
  if (d.kind != Descriptor::kWide && d.lanes != params.vector_size + 1) {
    sim::Fail(d.lanes, " lanes, must be vector_size + 1 = ", params.vector_size + 1);
  }
  if (d.is_signed != 0 && d.is_signed != 1) sim::Fail("signed is ", d.is_signed, ", must be 0 or 1");
  if (d.kind == Descriptor::kSecond && d.is_signed == 0) sim::Fail("signed is 0, must be 1 with kind 2");
  CheckForm(params, d);
  // Everything below is at most dram_bytes <= 2^32 before it is multiplied.
  if (d.lanes < 1 || d.lanes > dram_bytes || d.rows < 1 || d.rows > dram_bytes) {
    sim::Fail(d.rows, " rows of ", d.lanes, " lanes do not fit ", dram_bytes, " bytes of DRAM");
  }
  const int64_t row_bytes = RowBytes(params, d);
  if (d.dram_offset < 0 || d.dram_offset > dram_bytes || d.rows > (dram_bytes - d.dram_offset) / row_bytes) {
    sim::Fail("dram_offset ", d.dram_offset, " and ", d.rows, " rows of ", row_bytes, " bytes exceed the ",
              dram_bytes, " bytes of DRAM");
  }
}

void WriteVectors(const sim::Params& params, const Descriptor& d, const int16_t* tensor,
                  std::vector<uint8_t>* dram) {
  const sim::Packing packing = PackingOf(params, d);
  const Limits limits(packing, d);
  const int64_t size = params.vector_size, digits = d.digits;
  const int mask = (1 << packing.element_bits) - 1;
  uint8_t* records = dram->data() + d.dram_offset;
  const sim::VectorEncoder encode = sim::SelectVectorEncoder(packing, sim::BestSimd());
  Chunk chunk;
  for (int64_t row = 0; row < d.rows; row += kChunk) {
    const int64_t count = std::min(kChunk, d.rows - row);
    sim::CountWork(static_cast<uint64_t>(count * digits * size));
    for (int64_t n = 0; n < count; ++n, tensor += size + 1) {
      if (!Inside(limits, tensor, size)) FailOutside(limits, row + n, tensor);
      for (int64_t digit = 0; digit < digits; ++digit) {
        uint8_t* codes = &chunk.codes[(n * digits + digit) * size];
        const int64_t shift = digit * packing.element_bits;
        for (int64_t i = 0; i < size; ++i) codes[i] = static_cast<uint8_t>((tensor[i] >> shift) & mask);
        chunk.scales[n * digits + digit] = tensor[size];
      }
    }
    encode(packing, chunk.codes, chunk.scales, static_cast<size_t>(count * digits), records);
    records += count * RowBytes(params, d);
  }
}

void ReadVectors(const sim::Params& params, const Descriptor& d, const std::vector<uint8_t>& dram,
                 int16_t* tensor) {
  const sim::Packing packing = PackingOf(params, d);
  const auto decoder = sim::MakeVectorDecoder(packing, sim::BestSimd());
  const int64_t size = params.vector_size, digits = d.digits;
  const int bias = d.is_signed != 0 ? packing.SignBit() : 0;
  const uint8_t* records = dram.data() + d.dram_offset;
  Chunk chunk;
  const uint8_t* highest = d.is_signed != 0 ? chunk.biased : chunk.codes;
  for (int64_t row = 0; row < d.rows; row += kChunk) {
    const int64_t count = std::min(kChunk, d.rows - row);
    sim::CountWork(static_cast<uint64_t>(count * digits * size));
    decoder->Decode(records, static_cast<size_t>(count * digits), chunk.codes, chunk.biased, chunk.scales);
    for (int64_t n = 0; n < count; ++n, tensor += size + 1) {
      const int64_t first = n * digits * size, last = first + (digits - 1) * size;
      for (int64_t i = 0; i < size; ++i) {
        int element = highest[last + i] - bias;
        for (int64_t at = last - size; at >= first; at -= size)
          element = element * (1 << packing.element_bits) + chunk.codes[at + i];
        tensor[i] = static_cast<int16_t>(element);
      }
      tensor[size] = static_cast<int16_t>(chunk.scales[n * digits]);
    }
    records += count * RowBytes(params, d);
  }
}

void WriteWide(const sim::Params& params, const Descriptor& d, const int32_t* tensor,
               std::vector<uint8_t>* dram) {
  const int64_t row_bytes = RowBytes(params, d);
  uint8_t* row = dram->data() + d.dram_offset;
  for (int64_t pixel = 0; pixel < d.rows; ++pixel, row += row_bytes) {
    sim::CountWork(static_cast<uint64_t>(d.lanes));
    for (int64_t k = 0; k < d.lanes; ++k) sim::WriteWord(row + 4 * k, static_cast<uint32_t>(*tensor++));
    std::fill(row + 4 * d.lanes, row + row_bytes, uint8_t{0});
  }
}

void ReadWide(const sim::Params& params, const Descriptor& d, const std::vector<uint8_t>& dram,
              int32_t* tensor) {
  const int64_t row_bytes = RowBytes(params, d);
  const uint8_t* row = dram.data() + d.dram_offset;
  for (int64_t pixel = 0; pixel < d.rows; ++pixel, row += row_bytes) {
    sim::CountWork(static_cast<uint64_t>(d.lanes));
    for (int64_t k = 0; k < d.lanes; ++k) *tensor++ = sim::ReadInt32(row + 4 * k);
  }
}

void WriteTensor(const sim::Params& params, const Descriptor& d, const void* tensor,
                 std::vector<uint8_t>* dram) {
  if (d.kind == Descriptor::kWide) return WriteWide(params, d, static_cast<const int32_t*>(tensor), dram);
  WriteVectors(params, d, static_cast<const int16_t*>(tensor), dram);
}

void ReadTensor(const sim::Params& params, const Descriptor& d, const std::vector<uint8_t>& dram,
                void* tensor) {
  if (d.kind == Descriptor::kWide) return ReadWide(params, d, dram, static_cast<int32_t*>(tensor));
  ReadVectors(params, d, dram, static_cast<int16_t*>(tensor));
}

}  // namespace tvm_vsq::runtime
