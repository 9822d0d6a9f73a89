#include "tvm_vsq/sim/record.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {
namespace {

Packing PackingOf(int64_t vector_size, int64_t element_bits, int64_t scale_bits) {
  return {static_cast<int>(vector_size), static_cast<int>(element_bits), static_cast<int>(scale_bits)};
}

void LoadPar(const uint8_t* records, size_t count, ChannelParams* channels) {
  for (; count > 0; --count, records += kParBytes, ++channels) {
    channels->mult = ReadWord<uint16_t>(records);
    channels->shift = records[2] & 0x7f;
    channels->negative = records[2] >> 7 != 0;
    channels->bias = ReadInt32(records + 3);
    channels->clip = ReadInt32(records + 7);
  }
}

template <typename Acc>
void LoadAcc(const uint8_t* records, size_t count, Acc* lanes) {
  for (; count > 0; --count, records += 4, ++lanes) *lanes = ReadInt32(records);
}

}  // namespace

RecordCodec::RecordCodec(const Params& params, Simd simd)
    : size_(static_cast<size_t>(params.vector_size)),
      lanes_(static_cast<size_t>(params.output_lanes)),
      digits_(params.precision_passes > 1),
      wgt_sign_(1 << (params.weight_bits - 1)),
      activation_(PackingOf(params.vector_size, params.activation_bits, params.activation_scale_bits)),
      second_(PackingOf(params.vector_size, params.second_bits, params.second_scale_bits)),
      inp_(MakeVectorDecoder(activation_, simd)),
      lane_(MakeVectorDecoder(second_, simd)),
      wgt_(MakeWeightDecoder(PackingOf(params.vector_size, params.weight_bits, params.weight_scale_bits),
                             static_cast<int>(params.output_lanes), simd)),
      encode_(SelectVectorEncoder(activation_, simd)),
      encode_second_(SelectVectorEncoder(second_, simd)) {}

void RecordCodec::Load(Pad pad, const uint8_t* records, size_t count, size_t entry, Scratchpads* pads) const {
  switch (pad) {
    case Pad::kInp:
      return inp_->Decode(records, count, &pads->inp_code[entry * size_], &pads->inp_biased[entry * size_],
                          &pads->inp_scale[entry]);
    case Pad::kWgt:
      return wgt_->Decode(records, count, &pads->wgt[entry * size_ * lanes_],
                          &pads->wgt_scale[entry * lanes_], &pads->wgt_sum[entry * lanes_]);
    case Pad::kAcc:
      if (pads->acc64.empty()) return LoadAcc(records, count * lanes_, &pads->acc32[entry * lanes_]);
      return LoadAcc(records, count * lanes_, &pads->acc64[entry * lanes_]);
    default:
      return LoadPar(records, count * lanes_, &pads->par[entry * lanes_]);
  }
}

void RecordCodec::Clear(Pad pad, size_t count, size_t entry, Scratchpads* pads) const {
  switch (pad) {
    case Pad::kInp:
      std::fill_n(&pads->inp_code[entry * size_], count * size_, uint8_t{0});
      std::fill_n(&pads->inp_biased[entry * size_], count * size_, activation_.SignBit());
      std::fill_n(&pads->inp_scale[entry], count, 0);
      return;
    case Pad::kWgt:
      std::fill_n(&pads->wgt[entry * size_ * lanes_], count * size_ * lanes_, int8_t{0});
      std::fill_n(&pads->wgt_scale[entry * lanes_], count * lanes_, 0);
      std::fill_n(&pads->wgt_sum[entry * lanes_], count * lanes_, 0);
      return;
    case Pad::kAcc:
      if (pads->acc64.empty()) {
        std::fill_n(&pads->acc32[entry * lanes_], count * lanes_, 0);
      } else {
        std::fill_n(&pads->acc64[entry * lanes_], count * lanes_, int64_t{0});
      }
      return;
    default:
      std::fill_n(&pads->par[entry * lanes_], count * lanes_, ChannelParams());
  }
}

void RecordCodec::StoreOut(const Scratchpads& pads, size_t count, size_t entry, uint8_t* records) const {
  encode_(activation_, &pads.out[entry * size_], &pads.out_scale[entry], count, records);
}

std::optional<RecordCodec::Lowest> RecordCodec::LoadLane(const uint8_t* records, size_t count, size_t entry,
                                                         size_t lane, bool is_unsigned,
                                                         Scratchpads* pads) const {
  constexpr size_t kMost = 16, kMaxVectorSize = 64;
  uint8_t codes[kMost * kMaxVectorSize], biased[kMost * kMaxVectorSize];
  int32_t scales[kMost];
  const size_t bytes = (static_cast<size_t>(second_.VectorBits()) + 7) / 8;
  const int bias = second_.SignBit();
  for (size_t done = 0; done < count; ++done, ++entry) {
    const size_t i = done % kMost;
    if (i == 0) lane_->Decode(records + done * bytes, std::min(kMost, count - done), codes, biased, scales);
    int8_t* elements = &pads->wgt[entry * size_ * lanes_];
    int32_t sum = 0;
    for (size_t v = 0; v < size_; ++v) {
      const int element =
          is_unsigned ? (codes[i * size_ + v] ^ wgt_sign_) - wgt_sign_ : biased[i * size_ + v] - bias;
      if (!digits_ && element == -bias) return Lowest{entry, v};
      elements[(v / 4 * lanes_ + lane) * 4 + v % 4] = static_cast<int8_t>(element);
      sum += element;
    }
    pads->wgt_scale[entry * lanes_ + lane] = scales[i];
    pads->wgt_sum[entry * lanes_ + lane] = sum;
  }
  return std::nullopt;
}

void RecordCodec::StoreSecond(const Scratchpads& pads, size_t count, size_t entry, uint8_t* records) const {
  std::vector<uint8_t> codes(&pads.out[entry * size_], &pads.out[entry * size_] + count * size_);
  std::vector<int32_t> scales(&pads.out_scale[entry], &pads.out_scale[entry] + count);
  const auto mask = static_cast<uint8_t>((1 << second_.element_bits) - 1);
  for (uint8_t& code : codes) code &= mask;
  for (int32_t& scale : scales) scale &= (1 << second_.scale_bits) - 1;
  encode_second_(second_, codes.data(), scales.data(), count, records);
}

}  // namespace tvm_vsq::sim
