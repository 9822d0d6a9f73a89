#include "tvm_vsq/runtime/tensor_codec.h"

#include <algorithm>

#include "tvm_vsq/sim/bit_string.h"
#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/error.h"

namespace tvm_vsq::runtime {
namespace {

// Bytes of one row in DRAM: a record, or the accumulator lanes of all channel groups of a pixel.
int64_t RowBytes(const sim::Params& params, const Descriptor& descriptor) {
  if (descriptor.kind == Descriptor::kVectors) return params.inp_record_bytes;
  const int64_t group = std::max(params.vector_size, params.output_lanes);
  return (descriptor.lanes + group - 1) / group * group * 4;
}

}  // namespace

void CheckDescriptor(const sim::Params& params, const Descriptor& d, int64_t dram_bytes, bool input) {
  if (d.kind != Descriptor::kVectors && (input || d.kind != Descriptor::kWide)) {
    sim::Fail("kind ", d.kind, input ? ", must be 0 (vectors)" : ", must be 0 (vectors) or 1 (wide)");
  }
  if (d.kind == Descriptor::kVectors && d.lanes != params.vector_size + 1) {
    sim::Fail(d.lanes, " lanes, must be vector_size + 1 = ", params.vector_size + 1);
  }
  if (d.is_signed != 0 && d.is_signed != 1) sim::Fail("signed is ", d.is_signed, ", must be 0 or 1");
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
  const int element_bits = static_cast<int>(params.activation_bits);
  const int scale_bits = static_cast<int>(params.activation_scale_bits);
  const int64_t size = params.vector_size;
  const int high = (1 << (element_bits - static_cast<int>(d.is_signed))) - 1,
            low = d.is_signed != 0 ? -high : 0;
  const int scale_low = scale_bits == 0 ? 1 : 0, scale_high = scale_bits == 0 ? 1 : (1 << scale_bits) - 1;
  uint8_t* record = dram->data() + d.dram_offset;
  for (int64_t row = 0; row < d.rows; ++row, tensor += size + 1, record += params.inp_record_bytes) {
    sim::BitWriter bits(record);
    for (int64_t i = 0; i < size; ++i) {
      if (tensor[i] < low || tensor[i] > high) {
        sim::Fail("vector ", row, ", element ", i, " is ", tensor[i], "; ", element_bits, "-bit ",
                  d.is_signed != 0 ? "signed" : "unsigned", " elements are ", low, " to ", high);
      }
      bits.Put(static_cast<uint32_t>(int32_t{tensor[i]}), element_bits);
    }
    if (tensor[size] < scale_low || tensor[size] > scale_high) {
      sim::Fail("vector ", row, ": scale ", tensor[size], "; ", scale_bits, "-bit scales are ", scale_low,
                " to ", scale_high);
    }
    if (scale_bits > 0) bits.Put(static_cast<uint32_t>(int32_t{tensor[size]}), scale_bits);
    bits.Finish();
  }
}

void ReadVectors(const sim::Params& params, const Descriptor& d, const std::vector<uint8_t>& dram,
                 int16_t* tensor) {
  const int element_bits = static_cast<int>(params.activation_bits);
  const int scale_bits = static_cast<int>(params.activation_scale_bits);
  const auto record_bytes = static_cast<size_t>(params.inp_record_bytes);
  const uint8_t* record = dram.data() + d.dram_offset;
  for (int64_t row = 0; row < d.rows; ++row, record += record_bytes) {
    sim::BitReader bits(record, record_bytes);
    for (int64_t i = 0; i < params.vector_size; ++i) {
      const uint32_t code = bits.Take(element_bits);
      *tensor++ = static_cast<int16_t>(d.is_signed != 0 ? sim::SignExtend(code, element_bits)
                                                        : static_cast<int>(code));
    }
    *tensor++ = static_cast<int16_t>(scale_bits == 0 ? 1 : bits.Take(scale_bits));
  }
}

void ReadWide(const sim::Params& params, const Descriptor& d, const std::vector<uint8_t>& dram,
              int32_t* tensor) {
  const int64_t row_bytes = RowBytes(params, d);
  const uint8_t* row = dram.data() + d.dram_offset;
  for (int64_t pixel = 0; pixel < d.rows; ++pixel, row += row_bytes) {
    for (int64_t k = 0; k < d.lanes; ++k) *tensor++ = sim::ReadInt32(row + 4 * k);
  }
}

}  // namespace tvm_vsq::runtime
