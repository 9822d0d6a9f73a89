// The accelerator again, as a first simulator is usually written: instruction by instruction, one micro-op
// and one lane at a time, function only. It follows docs/isa.md and docs/numerics.md alone and shares nothing
// with tvm_vsq/, so that it is the baseline in speed and an independent opinion on every bit. Called through
// ctypes (scalar.py).

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;

constexpr int64_t kInstructionBytes = 32;

// Hardware parameters by name; "GEMM.reset.shift" and "GEMM.reset.width" give the place of a field.
using Table = std::map<std::string, int64_t>;

// Up to 56 bits from bit `shift` on; bit i of a record is bit i mod 8 of byte i / 8.
int64_t Bits(const uint8_t* record, int64_t shift, int64_t width) {
  uint64_t value = 0;
  const int64_t first = shift / 8;
  for (int64_t byte = first; byte * 8 < shift + width; ++byte) {
    value |= static_cast<uint64_t>(record[byte]) << 8 * (byte - first);
  }
  return static_cast<int64_t>(value >> shift % 8 & ((uint64_t{1} << width) - 1));
}

void SetBits(uint8_t* record, int64_t shift, int64_t width, int64_t value) {
  for (int64_t i = 0; i < width; ++i) {
    if (value >> i & 1) record[(shift + i) / 8] |= static_cast<uint8_t>(1 << ((shift + i) % 8));
  }
}

int32_t SignExtend(int64_t code, int64_t width) {
  return static_cast<int32_t>(code >> (width - 1) & 1 ? code - (int64_t{1} << width) : code);
}

// floor((2n + d) / (2d)) for d > 0.
int64_t RoundHalfUp(__int128 n, __int128 d) {
  const __int128 a = 2 * n + d;
  const __int128 b = 2 * d;
  const __int128 quotient = a / b;
  return static_cast<int64_t>(a % b < 0 ? quotient - 1 : quotient);
}

struct Instruction {
  const Table& table;
  const uint8_t* word;
  std::string name;

  int64_t operator[](const char* field) const {
    const std::string key = name + "." + field;
    return Bits(word, table.at(key + ".shift"), table.at(key + ".width"));
  }
};

// Codes are kept as they are: whether an activation is signed is known to the instruction that reads it.
struct Vector {
  std::vector<int32_t> codes;
  int32_t scale = 0;
};

struct MicroOp {
  int64_t acc = 0;
  int64_t inp = 0;
  int64_t wgt = 0;
};

struct Parameters {
  int64_t mult = 0;
  int64_t shift = 0;
  int64_t bias = 0;
  int64_t clip = 0;
};

class Machine {
 public:
  Machine(Table table, const uint8_t* image, int64_t image_bytes, int64_t dram_bytes)
      : table_(std::move(table)),
        V_(P("vector_size")),
        BO_(P("output_lanes")),
        dram_(static_cast<size_t>(dram_bytes)),
        uop_(P("uop_depth")),
        inp_(P("inp_depth")),
        out_(P("out_depth")),
        wgt_(P("wgt_depth"), std::vector<Vector>(BO_)),
        acc_(P("acc_depth"), std::vector<int64_t>(BO_)),
        par_(P("par_depth"), std::vector<Parameters>(BO_)) {
    std::copy(image, image + image_bytes, dram_.begin());
  }

  // Packs int16 [rows, V + 1] into activation records.
  void WriteInput(const int16_t* values, int64_t offset, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row) {
      Vector vector;
      for (int64_t i = 0; i < V_; ++i) vector.codes.push_back(values[row * (V_ + 1) + i]);
      vector.scale = values[row * (V_ + 1) + V_];
      PackActivation(vector, At(offset + row * P("inp_record_bytes"), P("inp_record_bytes")));
    }
  }

  void ReadVectors(int16_t* values, int64_t offset, int64_t rows, bool is_signed) {
    for (int64_t row = 0; row < rows; ++row) {
      const Vector vector = UnpackActivation(At(offset + row * P("out_record_bytes"), P("out_record_bytes")));
      for (int64_t i = 0; i < V_; ++i) {
        values[row * (V_ + 1) + i] = static_cast<int16_t>(Element(vector.codes[i], !is_signed));
      }
      values[row * (V_ + 1) + V_] = static_cast<int16_t>(vector.scale);
    }
  }

  void ReadWide(int32_t* values, int64_t offset, int64_t rows, int64_t lanes) {
    const int64_t pitch = (lanes + BO_ - 1) / BO_ * BO_;
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(values + row * lanes, At(offset + row * pitch * 4, lanes * 4), lanes * 4);
    }
  }

  void Run(const uint8_t* words, int64_t count) {
    for (int64_t index = 0; index < count; ++index) {
      const uint8_t* word = words + index * kInstructionBytes;
      switch (Bits(word, table_.at("LOAD.opcode.shift"), table_.at("LOAD.opcode.width"))) {
        case 1:
          Load({table_, word, "LOAD"});
          break;
        case 2:
          Store({table_, word, "STORE"});
          break;
        case 3:
          Gemm({table_, word, "GEMM"});
          break;
        case 4:
          PostProcess({table_, word, "PPU"});
          break;
        case 5:
          break;
        case 6:
          return;
        case 7:
          Vec({table_, word, "VEC"});
          break;
        default:
          throw std::runtime_error("unknown opcode at instruction " + std::to_string(index));
      }
    }
    throw std::runtime_error("no FINISH");
  }

 private:
  int64_t P(const std::string& name) const { return table_.at(name); }

  uint8_t* At(int64_t offset, int64_t bytes) {
    if (offset < 0 || offset + bytes > static_cast<int64_t>(dram_.size()))
      throw std::runtime_error("outside DRAM");
    return dram_.data() + offset;
  }

  int32_t Element(int32_t code, bool is_unsigned) const {
    return is_unsigned ? code : SignExtend(code, P("activation_bits"));
  }

  Vector UnpackVector(const uint8_t* record, int64_t shift, int64_t bits, int64_t scale_bits) const {
    Vector vector;
    for (int64_t i = 0; i < V_; ++i)
      vector.codes.push_back(static_cast<int32_t>(Bits(record, shift + i * bits, bits)));
    vector.scale = scale_bits > 0 ? static_cast<int32_t>(Bits(record, shift + V_ * bits, scale_bits)) : 1;
    return vector;
  }

  Vector UnpackActivation(const uint8_t* record) const {
    return UnpackVector(record, 0, P("activation_bits"), P("activation_scale_bits"));
  }

  void PackActivation(const Vector& vector, uint8_t* record) const {
    const int64_t bits = P("activation_bits");
    std::memset(record, 0, P("inp_record_bytes"));
    for (int64_t i = 0; i < V_; ++i) SetBits(record, i * bits, bits, vector.codes[i]);
    SetBits(record, V_ * bits, P("activation_scale_bits"), vector.scale);
  }

  std::vector<Vector> UnpackWeights(const uint8_t* record) const {
    const int64_t bits = P("weight_bits");
    const int64_t scale_bits = P("weight_scale_bits");
    std::vector<Vector> lanes;
    for (int64_t b = 0; b < BO_; ++b) {
      lanes.push_back(UnpackVector(record, b * (V_ * bits + scale_bits), bits, scale_bits));
      for (int32_t& code : lanes.back().codes) code = SignExtend(code, bits);
    }
    return lanes;
  }

  MicroOp UnpackMicroOp(const uint8_t* record) const {
    return {Bits(record, P("uop.acc.shift"), P("uop.acc.width")),
            Bits(record, P("uop.inp.shift"), P("uop.inp.width")),
            Bits(record, P("uop.wgt.shift"), P("uop.wgt.width"))};
  }

  std::vector<Parameters> UnpackParameters(const uint8_t* record) const {
    std::vector<Parameters> lanes;
    for (int64_t b = 0; b < BO_; ++b, record += 11) {
      lanes.push_back({Bits(record, 0, 16), Bits(record, 16, 8), SignExtend(Bits(record, 24, 32), 32),
                       SignExtend(Bits(record, 56, 32), 32)});
    }
    return lanes;
  }

  void Load(const Instruction& load) {
    static const char* const kMemories[] = {"uop", "inp", "wgt", "par"};
    const int64_t mem = load["mem"];
    const int64_t bytes = P(std::string(kMemories[mem]) + "_record_bytes");
    const int64_t base = load["dram_base"], z_size = load["z_size"], x_size = load["x_size"],
                  y_size = load["y_size"];
    const int64_t x_stride = load["x_stride"], y_stride = load["y_stride"];
    const int64_t top = load["y_pad_top"], left = load["x_pad_left"];
    const Vector zero{std::vector<int32_t>(V_, 0), 0};
    int64_t entry = load["sram_base"];
    for (int64_t row = 0; row < top + y_size + load["y_pad_bottom"]; ++row) {
      for (int64_t column = 0; column < left + x_size + load["x_pad_right"]; ++column) {
        const int64_t y = row - top, x = column - left;
        const bool border = y < 0 || y >= y_size || x < 0 || x >= x_size;
        for (int64_t z = 0; z < z_size; ++z, ++entry) {
          const int64_t offset = base + (y * y_stride + x * x_stride + z) * bytes;
          const uint8_t* record = border ? nullptr : At(offset, bytes);
          if (mem == 0) uop_.at(entry) = border ? MicroOp{} : UnpackMicroOp(record);
          if (mem == 1) inp_.at(entry) = border ? zero : UnpackActivation(record);
          if (mem == 2) wgt_.at(entry) = border ? std::vector<Vector>(BO_, zero) : UnpackWeights(record);
          if (mem == 3) par_.at(entry) = border ? std::vector<Parameters>(BO_) : UnpackParameters(record);
        }
      }
    }
  }

  void Store(const Instruction& store) {
    const bool wide = store["mem"] == 1;
    const int64_t bytes = P(wide ? "acc_record_bytes" : "out_record_bytes");
    const int64_t base = store["dram_base"], z_size = store["z_size"], x_size = store["x_size"];
    const int64_t x_stride = store["x_stride"], y_stride = store["y_stride"], y_size = store["y_size"];
    int64_t entry = store["sram_base"];
    for (int64_t y = 0; y < y_size; ++y) {
      for (int64_t x = 0; x < x_size; ++x) {
        for (int64_t z = 0; z < z_size; ++z, ++entry) {
          uint8_t* record = At(base + (y * y_stride + x * x_stride + z) * bytes, bytes);
          if (!wide) {
            PackActivation(out_.at(entry), record);
            continue;
          }
          std::memset(record, 0, bytes);
          for (int64_t b = 0; b < BO_; ++b) SetBits(record, 32 * b, 32, acc_.at(entry)[b]);
        }
      }
    }
  }

  void Vec(const Instruction& vec) {
    enum { kMov, kMax, kAdd, kMac, kMin };
    const bool immediate = vec["src"] == 1, is_unsigned = vec["src_unsigned"] != 0;
    for (int64_t o = 0; o < vec["iter_out"]; ++o) {
      for (int64_t i = 0; i < vec["iter_in"]; ++i) {
        for (int64_t u = 0; u < vec["uop_count"]; ++u) {
          const MicroOp& uop = uop_.at(vec["uop_begin"] + u);
          const int64_t a = uop.acc + o * vec["acc_out"] + i * vec["acc_in"];
          const int64_t x = uop.inp + o * vec["inp_out"] + i * vec["inp_in"];
          for (int64_t c = 0; c < std::max(V_, BO_) - vec["skip_blocks"] * BO_; ++c) {
            int64_t value = SignExtend(vec["imm"], 32);
            if (!immediate) {
              const Vector& vector = inp_.at(x + c / V_);
              value = int64_t{Element(vector.codes[c % V_], is_unsigned)} * vector.scale;
            }
            int64_t& lane = acc_.at(a + c / BO_)[c % BO_];
            switch (vec["op"]) {
              case kMov:
                lane = value;
                break;
              case kMax:
                lane = std::max(lane, value);
                break;
              case kMin:
                lane = std::min(lane, value);
                break;
              case kAdd:
                lane += value;
                break;
              case kMac:
                lane += SignExtend(vec["imm"], 32) * value;
            }
          }
        }
      }
    }
  }

  // round_P of the product of two vector scales; 1 where neither side has one.
  int64_t ScaleProduct(int64_t weight_scale, int64_t activation_scale) const {
    const int64_t product = weight_scale * activation_scale;
    if (product_shift_ == 0) return product;
    return std::min(RoundHalfUp(product, int64_t{1} << product_shift_), (int64_t{1} << product_bits_) - 1);
  }

  void Gemm(const Instruction& gemm) {
    const bool reset = gemm["reset"] != 0, is_unsigned = gemm["act_unsigned"] != 0;
    const int64_t fresh = gemm["fresh_uops"];
    const bool out_reduces = gemm["out_reduces"] != 0, in_reduces = gemm["in_reduces"] != 0;
    const int64_t begin = gemm["uop_begin"], count = gemm["uop_count"];
    const int64_t iter_out = gemm["iter_out"], iter_in = gemm["iter_in"];
    const int64_t acc_out = gemm["acc_out"], acc_in = gemm["acc_in"];
    const int64_t inp_out = gemm["inp_out"], inp_in = gemm["inp_in"];
    const int64_t wgt_out = gemm["wgt_out"], wgt_in = gemm["wgt_in"];
    const int64_t limit = int64_t{1} << (P("accumulator_bits") - 1);
    std::vector<int32_t> x(V_);
    for (int64_t o = 0; o < iter_out; ++o) {
      for (int64_t i = 0; i < iter_in; ++i) {
        for (int64_t u = 0; u < count; ++u) {
          const MicroOp& uop = uop_.at(begin + u);
          std::vector<int64_t>& acc = acc_.at(uop.acc + o * acc_out + i * acc_in);
          if (reset) {
            std::fill(acc.begin(), acc.end(), 0);
            continue;
          }
          const Vector& activation = inp_.at(uop.inp + o * inp_out + i * inp_in);
          const std::vector<Vector>& weights = wgt_.at(uop.wgt + o * wgt_out + i * wgt_in);
          for (int64_t v = 0; v < V_; ++v) {
            const int32_t code = activation.codes[v];
            x[v] = is_unsigned || code < activation_sign_ ? code : code - 2 * activation_sign_;
          }
          if (u < fresh && (o == 0 || !out_reduces) && (i == 0 || !in_reduces))
            std::fill(acc.begin(), acc.end(), 0);
          for (int64_t b = 0; b < BO_; ++b) {
            const int32_t* w = weights[b].codes.data();
            int32_t sum = 0;
            for (int64_t v = 0; v < V_; ++v) sum += x[v] * w[v];
            acc[b] += ScaleProduct(weights[b].scale, activation.scale) * sum;
            if (acc[b] < -limit || acc[b] >= limit) throw std::runtime_error("accumulator overflow");
          }
        }
      }
    }
  }

  void PostProcess(const Instruction& ppu) {
    const bool wide = ppu["wide"] != 0, relu = ppu["relu"] != 0, residual = ppu["residual"] != 0;
    const bool res_unsigned = ppu["res_unsigned"] != 0, out_unsigned = ppu["out_unsigned"] != 0;
    const int64_t acc_base = ppu["acc_base"], par_base = ppu["par_base"], out_base = ppu["out_base"];
    const int64_t res_base = ppu["res_base"], pixels = ppu["pixels"], blocks = ppu["blocks"];
    const int64_t res_mult = ppu["res_mult"], res_shift = ppu["res_shift"];
    const int64_t channels = blocks * BO_;
    const int64_t vectors = (channels + V_ - 1) / V_ - ppu["skip_vectors"];
    for (int64_t p = 0; p < pixels; ++p) {
      std::vector<int64_t> row(std::max(channels, vectors * V_));
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t acc = acc_.at(acc_base + p * blocks + c / BO_)[c % BO_];
        const Parameters& par = par_.at(par_base + c / BO_)[c % BO_];
        int64_t y = RoundHalfUp(static_cast<__int128>(acc) * par.mult, int64_t{1} << par.shift) + par.bias;
        if (residual && c / V_ < vectors) {
          const Vector& r = inp_.at(res_base + p * vectors + c / V_);
          const int64_t value = int64_t{Element(r.codes[c % V_], res_unsigned)} * r.scale;
          y += RoundHalfUp(static_cast<__int128>(value) * res_mult, int64_t{1} << res_shift);
        }
        y = std::clamp<int64_t>(y, INT32_MIN, INT32_MAX);
        if (relu) y = std::max<int64_t>(y, 0);
        row[c] = std::min(y, par.clip);
      }
      if (wide) {
        for (int64_t c = 0; c < channels; ++c) acc_.at(acc_base + p * blocks + c / BO_)[c % BO_] = row[c];
        continue;
      }
      for (int64_t j = 0; j < vectors; ++j) {
        out_.at(out_base + p * vectors + j) = Requantize(&row[j * V_], out_unsigned);
      }
    }
  }

  Vector Requantize(const int64_t* y, bool is_unsigned) const {
    const int64_t bits = P("activation_bits");
    const int64_t scale_bits = P("activation_scale_bits");
    const int64_t qmax = (int64_t{1} << (is_unsigned ? bits : bits - 1)) - 1;
    const int64_t smax = scale_bits > 0 ? (int64_t{1} << scale_bits) - 1 : 1;
    const int64_t unit = int64_t{1} << P("guard_bits");
    int64_t largest = 0;
    for (int64_t v = 0; v < V_; ++v) largest = std::max(largest, std::abs(y[v]));
    const int64_t scale = std::clamp<int64_t>((largest + qmax * unit - 1) / (qmax * unit), 1, smax);
    Vector vector;
    for (int64_t v = 0; v < V_; ++v) {
      const int64_t q = std::clamp(RoundHalfUp(y[v], scale * unit), is_unsigned ? 0 : -qmax, qmax);
      vector.codes.push_back(static_cast<int32_t>(q & ((int64_t{1} << bits) - 1)));
    }
    vector.scale = static_cast<int32_t>(scale);
    return vector;
  }

  Table table_;
  int64_t V_;
  int64_t BO_;
  int64_t product_shift_ = P("product_shift");
  int64_t product_bits_ = P("product_bits");
  int32_t activation_sign_ = 1 << (P("activation_bits") - 1);
  Bytes dram_;
  std::vector<MicroOp> uop_;
  std::vector<Vector> inp_;
  std::vector<Vector> out_;
  std::vector<std::vector<Vector>> wgt_;
  std::vector<std::vector<int64_t>> acc_;
  std::vector<std::vector<Parameters>> par_;
};

}  // namespace

// Runs one program. `tensors` are the inputs and then the outputs; `descriptors` has five integers for each:
// kind, DRAM offset, rows, lanes, signed (docs/simulator.md, section 6). Returns 0, or 1 with a message in
// `error`.
extern "C" int ScalarRun(const char* const* names, const int64_t* values, int64_t name_count,
                         const uint8_t* words, int64_t word_count, const uint8_t* image, int64_t image_bytes,
                         int64_t dram_bytes, void* const* tensors, const int64_t* descriptors, int64_t inputs,
                         int64_t outputs, char* error, int64_t error_bytes) {
  try {
    Table table;
    for (int64_t i = 0; i < name_count; ++i) table[names[i]] = values[i];
    Machine machine(std::move(table), image, image_bytes, dram_bytes);
    for (int64_t i = 0; i < inputs; ++i) {
      const int64_t* d = descriptors + 5 * i;
      machine.WriteInput(static_cast<const int16_t*>(tensors[i]), d[1], d[2]);
    }
    machine.Run(words, word_count);
    for (int64_t i = inputs; i < inputs + outputs; ++i) {
      const int64_t* d = descriptors + 5 * i;
      if (d[0] == 1) {
        machine.ReadWide(static_cast<int32_t*>(tensors[i]), d[1], d[2], d[3]);
      } else {
        machine.ReadVectors(static_cast<int16_t*>(tensors[i]), d[1], d[2], d[4] != 0);
      }
    }
    return 0;
  } catch (const std::exception& exception) {
    std::strncpy(error, exception.what(), static_cast<size_t>(error_bytes - 1));
    return 1;
  }
}
