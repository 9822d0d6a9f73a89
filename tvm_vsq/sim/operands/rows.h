// What a unit works on, a row for each of its cycles.
#ifndef TVM_VSQ_SIM_OPERANDS_ROWS_H_
#define TVM_VSQ_SIM_OPERANDS_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tvm_vsq::sim {

// Numbers by column; a column has as many for each row.
using OperandColumns = std::map<std::string, std::vector<int64_t>>;

// Of the cycles that pass, those behind the first `skip` are recorded, at most `cycles`.
class OperandRows {
 public:
  struct Range {
    uint64_t begin, end;
    bool empty() const { return begin == end; }
    bool Holds(uint64_t cycle) const { return cycle >= begin && cycle < end; }
  };

  OperandRows(uint64_t skip, uint64_t cycles) : skip_(skip), cycles_(cycles) {}

  // Lets so many cycles pass. Which of them, counted from 0, are recorded.
  Range Pass(uint64_t cycles) {
    const auto inside = [&](uint64_t cycle) {
      return std::clamp(cycle, passed_, passed_ + cycles) - passed_;
    };
    const Range range{inside(skip_), inside(skip_ + cycles_)};
    passed_ += cycles;
    recorded_ += range.end - range.begin;
    return range;
  }

  void Put(const std::string& column, int64_t number) { columns_[column].push_back(number); }

  bool complete() const { return recorded_ == cycles_; }
  uint64_t recorded() const { return recorded_; }
  OperandColumns& columns() { return columns_; }

 private:
  const uint64_t skip_, cycles_;
  uint64_t passed_ = 0, recorded_ = 0;
  OperandColumns columns_;
};

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_OPERANDS_ROWS_H_
