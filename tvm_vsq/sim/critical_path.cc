#include "tvm_vsq/sim/critical_path.h"

#include <algorithm>
#include <array>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/tokens.h"

namespace tvm_vsq::sim {
namespace {

class Walk {
 public:
  Walk(const Params& params, const Program& program, const std::vector<InstructionTimes>& times)
      : params_(params), program_(program), times_(times), rank_(times.size()) {
    for (size_t i = 0; i < times.size(); ++i) {
      CountWork(16);
      std::vector<size_t>& own = EngineOf(i);
      rank_[i] = own.size();
      own.push_back(i);
      for (int queue = 0; queue < kTokenQueueCount; ++queue) {
        if ((PopsOf(At(i)) & Bit(queue)) != 0) pops_[static_cast<size_t>(queue)].push_back(i);
        if ((PushesOf(At(i)) & Bit(queue)) != 0) pushes_[static_cast<size_t>(queue)].push_back(i);
      }
    }
  }

  // Each function below adds the steps that led to an event and names the event before it. Time never
  // increases, and where it stays the same the chain goes to an earlier instruction or stage, so the walk
  // ends.
  std::vector<PathStep> Run() {
    const auto later = [](const InstructionTimes& a, const InstructionTimes& b) {
      return a.complete < b.complete;
    };
    index_ = static_cast<size_t>(std::max_element(times_.begin(), times_.end(), later) - times_.begin());
    for (stage_ = Stage::kComplete; stage_ != Stage::kBegin;) {
      CountWork(32);
      switch (stage_) {
        case Stage::kComplete:
          Complete();
          break;
        case Stage::kEnd:
          End();
          break;
        case Stage::kStart:
          Start();
          break;
        case Stage::kTaken:
          Taken();
          break;
        default:
          Queued();
      }
    }
    std::reverse(path_.begin(), path_.end());
    return std::move(path_);
  }

 private:
  enum class Stage { kBegin, kQueued, kTaken, kStart, kEnd, kComplete };

  const Instruction& At(size_t index) const { return program_.instructions[index]; }
  std::vector<size_t>& EngineOf(size_t index) { return engines_[static_cast<size_t>(At(index).engine())]; }

  void Go(Stage stage, size_t index) {
    stage_ = stage;
    index_ = index;
  }
  void Add(Step step, int64_t begin, int64_t end) {
    if (end > begin) path_.push_back({index_, step, begin, end});
  }
  static size_t Position(const std::vector<size_t>& sorted, size_t index) {
    return static_cast<size_t>(std::lower_bound(sorted.begin(), sorted.end(), index) - sorted.begin());
  }

  void Complete() {
    const InstructionTimes& t = times_[index_];
    const int64_t latency = Transfers(At(index_)) ? params_.dram_latency_cycles : 0;
    if (t.complete == t.end + latency) {
      Add(Step::kLatency, t.end, t.complete);
      return Go(Stage::kEnd, index_);
    }
    // It was held back: by a full token queue, until the instruction that many tokens earlier was popped, or
    // by the completion before it in its engine.
    for (size_t queue = 0; queue < kTokenQueueCount; ++queue) {
      if ((PushesOf(At(index_)) & Bit(static_cast<int>(queue))) == 0) continue;
      const size_t number = Position(pushes_[queue], index_);
      const auto depth = static_cast<size_t>(params_.token_queue_depth);
      if (number < depth || times_[pops_[queue][number - depth]].start != t.complete) continue;
      return Go(Stage::kStart, pops_[queue][number - depth]);
    }
    Go(Stage::kComplete, EngineOf(index_)[rank_[index_] - 1]);
  }

  void End() {
    const InstructionTimes& t = times_[index_];
    Add(Transfers(At(index_)) ? Step::kTransfer : Step::kCompute, t.transfer, t.end);
    Add(Step::kSetup, t.start, t.transfer);
    Go(Stage::kStart, index_);
  }

  void Start() {
    const InstructionTimes& t = times_[index_];
    for (size_t queue = 0; queue < kTokenQueueCount; ++queue) {
      if ((PopsOf(At(index_)) & Bit(static_cast<int>(queue))) == 0) continue;
      const size_t producer = pushes_[queue][Position(pops_[queue], index_)];
      if (times_[producer].complete == t.start) return Go(Stage::kComplete, producer);
    }
    Go(Stage::kTaken, index_);
  }

  void Taken() {
    const InstructionTimes& t = times_[index_];
    if (t.queued == t.taken) return Go(Stage::kQueued, index_);
    const std::vector<size_t>& own = EngineOf(index_);
    if (times_[own[rank_[index_] - 1]].end == t.taken) return Go(Stage::kEnd, own[rank_[index_] - 1]);
    // The engine was free, but an earlier result could not be delivered: the last one that was before then.
    const auto last = std::upper_bound(
        own.begin() + 1, own.begin() + static_cast<std::ptrdiff_t>(rank_[index_]), t.taken,
        [this](int64_t now, size_t instruction) { return now < times_[instruction].complete; });
    Go(Stage::kComplete, *(last - 1));
  }

  void Queued() {
    const int64_t now = times_[index_].queued;
    const size_t rank = rank_[index_], depth = static_cast<size_t>(params_.command_queue_depth);
    const std::vector<size_t>& own = EngineOf(index_);
    if (rank >= depth && times_[own[rank - depth]].taken == now) return Go(Stage::kTaken, own[rank - depth]);
    const int64_t before = index_ == 0 ? 0 : times_[index_ - 1].queued;
    Add(Step::kFetch, before, now);
    index_ == 0 ? Go(Stage::kBegin, 0) : Go(Stage::kQueued, index_ - 1);
  }

  const Params& params_;
  const Program& program_;
  const std::vector<InstructionTimes>& times_;
  std::array<std::vector<size_t>, kEngineCount> engines_;  // instructions of each
  std::vector<size_t> rank_;                               // position of an instruction in its engine's
  std::array<std::vector<size_t>, kTokenQueueCount> pushes_, pops_;
  std::vector<PathStep> path_;
  Stage stage_ = Stage::kBegin;
  size_t index_ = 0;
};

}  // namespace

std::vector<PathStep> CriticalPath(const Params& params, const Program& program,
                                   const std::vector<InstructionTimes>& times) {
  return Walk(params, program, times).Run();
}

}  // namespace tvm_vsq::sim
