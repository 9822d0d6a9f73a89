#include "tvm_vsq/sim/record.h"

#include <algorithm>

#include "tvm_vsq/sim/bit_string.h"
#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {

RecordCodec::RecordCodec(const Params& params)
    : uop_(isa::Layout(params.Sizes()).uop),
      size_(static_cast<int>(params.vector_size)),
      lanes_(static_cast<int>(params.output_lanes)),
      weight_bits_(static_cast<int>(params.weight_bits)),
      activation_bits_(static_cast<int>(params.activation_bits)),
      weight_scale_bits_(static_cast<int>(params.weight_scale_bits)),
      activation_scale_bits_(static_cast<int>(params.activation_scale_bits)),
      uop_bytes_(static_cast<size_t>(params.uop_record_bytes)),
      inp_bytes_(static_cast<size_t>(params.inp_record_bytes)),
      wgt_bytes_(static_cast<size_t>(params.wgt_record_bytes)) {}

void RecordCodec::Load(Pad pad, const uint8_t* record, uint64_t entry, Scratchpads* pads) const {
  switch (pad) {
    case Pad::kUop:
      return LoadUop(record, entry, pads);
    case Pad::kInp:
      return LoadInp(record, entry, pads);
    case Pad::kWgt:
      return LoadWgt(record, entry, pads);
    default:
      return LoadPar(record, entry, pads);
  }
}

void RecordCodec::LoadUop(const uint8_t* record, uint64_t entry, Scratchpads* pads) const {
  Uop& uop = pads->uop[entry];
  uop = Uop();
  if (record == nullptr) return;
  const isa::Word word{ReadLittleEndian(record, uop_bytes_), 0};
  uop.acc = static_cast<uint32_t>(uop_.acc.Get(word));
  uop.inp = static_cast<uint32_t>(uop_.inp.Get(word));
  uop.wgt = static_cast<uint32_t>(uop_.wgt.Get(word));
}

void RecordCodec::LoadInp(const uint8_t* record, uint64_t entry, Scratchpads* pads) const {
  uint8_t* codes = &pads->inp_code[entry * static_cast<size_t>(size_)];
  uint8_t* biased = &pads->inp_biased[entry * static_cast<size_t>(size_)];
  const auto bias = static_cast<uint8_t>(1 << (activation_bits_ - 1));
  int32_t& scale = pads->inp_scale[entry];
  if (record == nullptr) {
    std::fill_n(codes, size_, uint8_t{0});
    std::fill_n(biased, size_, bias);
    scale = 0;
    return;
  }
  BitReader bits(record, inp_bytes_);
  for (int i = 0; i < size_; ++i) {
    codes[i] = static_cast<uint8_t>(bits.Take(activation_bits_));
    biased[i] = codes[i] ^ bias;
  }
  scale = activation_scale_bits_ == 0 ? 1 : static_cast<int32_t>(bits.Take(activation_scale_bits_));
}

void RecordCodec::LoadWgt(const uint8_t* record, uint64_t entry, Scratchpads* pads) const {
  const auto lanes = static_cast<size_t>(lanes_), size = static_cast<size_t>(size_);
  int8_t* elements = &pads->wgt[entry * lanes * size];
  int32_t* scales = &pads->wgt_scale[entry * lanes];
  int32_t* sums = &pads->wgt_sum[entry * lanes];
  std::fill_n(sums, lanes, 0);
  if (record == nullptr) {
    std::fill_n(elements, lanes * size, int8_t{0});
    std::fill_n(scales, lanes, 0);
    return;
  }
  BitReader bits(record, wgt_bytes_);
  for (size_t lane = 0; lane < lanes; ++lane) {
    for (size_t i = 0; i < size; ++i) {
      const int32_t value = SignExtend(bits.Take(weight_bits_), weight_bits_);
      elements[(i / 4) * 4 * lanes + 4 * lane + i % 4] = static_cast<int8_t>(value);
      sums[lane] += value;
    }
    scales[lane] = weight_scale_bits_ == 0 ? 1 : static_cast<int32_t>(bits.Take(weight_scale_bits_));
  }
}

void RecordCodec::LoadPar(const uint8_t* record, uint64_t entry, Scratchpads* pads) const {
  ChannelParams* channels = &pads->par[entry * static_cast<size_t>(lanes_)];
  for (int lane = 0; lane < lanes_; ++lane) {
    channels[lane] = ChannelParams();
    if (record == nullptr) continue;
    const uint8_t* bytes = record + lane * kParBytes;
    channels[lane].mult = static_cast<uint16_t>(ReadLittleEndian(bytes, 2));
    channels[lane].shift = bytes[2];
    channels[lane].bias = ReadInt32(bytes + 3);
    channels[lane].clip = ReadInt32(bytes + 7);
  }
}

void RecordCodec::StoreOut(const Scratchpads& pads, uint64_t entry, uint8_t* record) const {
  const uint8_t* codes = &pads.out[entry * static_cast<size_t>(size_)];
  BitWriter bits(record);
  for (int i = 0; i < size_; ++i) bits.Put(codes[i], activation_bits_);
  if (activation_scale_bits_ > 0)
    bits.Put(static_cast<uint32_t>(pads.out_scale[entry]), activation_scale_bits_);
  bits.Finish();
}

}  // namespace tvm_vsq::sim
