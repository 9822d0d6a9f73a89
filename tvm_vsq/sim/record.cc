#include "tvm_vsq/sim/record.h"

#include <algorithm>

#include "tvm_vsq/sim/bytes.h"

namespace tvm_vsq::sim {
namespace {

Packing PackingOf(int64_t vector_size, int64_t element_bits, int64_t scale_bits) {
  return {static_cast<int>(vector_size), static_cast<int>(element_bits), static_cast<int>(scale_bits)};
}

void LoadPar(const uint8_t* records, size_t count, ChannelParams* channels) {
  for (; count > 0; --count, records += kParBytes, ++channels) {
    channels->mult = ReadWord<uint16_t>(records);
    channels->shift = records[2];
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
      activation_(PackingOf(params.vector_size, params.activation_bits, params.activation_scale_bits)),
      inp_(MakeVectorDecoder(activation_, simd)),
      wgt_(MakeWeightDecoder(PackingOf(params.vector_size, params.weight_bits, params.weight_scale_bits),
                             static_cast<int>(params.output_lanes), simd)),
      encode_(SelectVectorEncoder(activation_, simd)) {}

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

}  // namespace tvm_vsq::sim
