#include "tvm_vsq/sim/ppu.h"

#include <algorithm>
#include <limits>

#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq::sim {

int32_t PostProcess(int64_t acc, const ChannelParams& channel, int64_t residual, bool relu) {
  const int64_t t = RoundHalfUpShift((channel.negative ? -acc : acc) * channel.mult, channel.shift) +
                    channel.bias + residual;
  int64_t y =
      std::clamp<int64_t>(t, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
  if (relu) y = std::max<int64_t>(y, 0);
  return static_cast<int32_t>(std::min<int64_t>(y, channel.clip));
}

}  // namespace tvm_vsq::sim
