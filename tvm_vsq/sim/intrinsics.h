// <immintrin.h>, without the warnings that GCC 12 finds in it (its bug 105593).
#ifndef TVM_VSQ_SIM_INTRINSICS_H_
#define TVM_VSQ_SIM_INTRINSICS_H_

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#endif  // TVM_VSQ_SIM_INTRINSICS_H_
