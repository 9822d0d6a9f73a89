// Objects that are costly to make, kept for the next user.
#ifndef TVM_VSQ_RUNTIME_POOL_H_
#define TVM_VSQ_RUNTIME_POOL_H_

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "tvm_vsq/sim/thread_pool.h"

namespace tvm_vsq::runtime {

// Safe to use from several threads; keeps no more objects than can be in use at the same time.
template <typename T>
class Pool {
 public:
  // Null if none is left.
  std::unique_ptr<T> Take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return nullptr;
    std::unique_ptr<T> object = std::move(free_.back());
    free_.pop_back();
    return object;
  }

  void Give(std::unique_ptr<T> object) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.size() < limit_) free_.push_back(std::move(object));
  }

 private:
  const size_t limit_ = static_cast<size_t>(sim::AvailableThreads());
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

// An object of a pool, or a new one, for as long as this lives.
template <typename T>
class Lease {
 public:
  template <typename Make>
  Lease(Pool<T>* pool, Make make) : pool_(*pool), object_(pool->Take()), reused_(object_ != nullptr) {
    if (!reused_) object_ = make();
  }
  ~Lease() { pool_.Give(std::move(object_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  T* get() const { return object_.get(); }
  bool reused() const { return reused_; }

 private:
  Pool<T>& pool_;
  std::unique_ptr<T> object_;
  const bool reused_;
};

}  // namespace tvm_vsq::runtime

#endif  // TVM_VSQ_RUNTIME_POOL_H_
