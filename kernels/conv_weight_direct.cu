// The gradient of transposed convolution by its weight for few channels, in shares of the sum: bound by memory.
#include "conv_transpose.cuh"

#ifndef SCALAR
#define SCALAR float
#endif

using Acc = AccOf<SCALAR>::type;

constexpr int THREADS = 256;
constexpr int TAPS = 16;           // of a launch

struct Geometry {
  int64 large_plane;               // positions of a channel
  int64 place[TAPS];               // of a tap in the plane, from the cell's stride times its number on
  int at[TAPS][AXES];              // the same on each axis
  int low[AXES], high[AXES];       // of all taps
  int small_plane, cells;          // cells of a channel, and of all images
  int small[AXES], large[AXES], stride[AXES];
  int step[1 + AXES];              // what THREADS cells are in images and on each axis
  int groups, channels, outputs;   // channels of x and of y in a group
  int share;                       // cells of a share
  int taps, first, columns;        // of this launch, and the first; columns of `part`
};

// A cell of all images: its image, and its number on each axis.
struct Cell {
  int at[1 + AXES];

  DEVICE void step(const Geometry& g) {
    int carry = 0;
#pragma unroll
    for (int axis = AXES; axis > 0; --axis) {
      at[axis] += g.step[axis] + carry;
      carry = at[axis] >= g.small[axis - 1] ? 1 : 0;
      at[axis] -= carry * g.small[axis - 1];
    }
    at[0] += g.step[0] + carry;
  }
};

// x [images, groups * channels, *small] and y [images, groups * outputs, *large]
// -> part [shares, groups * channels, columns]: column tap * outputs + output has the sum of conv_weight.cu over the
// cells [share * s, share * (s + 1)) of all images, for some of the taps.
//
// Block: a channel and an output of a group, and a share; each thread sums every 256th cell for TAPS taps, whose reads
// of y share lines of the first-level cache. Accumulator: float32, or float64. The threads' sums add in one tree by
// shuffles, the warps' in order, so results are the same each time.
KERNEL(THREADS)
correlate_cells(const SCALAR* __restrict__ x, const SCALAR* __restrict__ y, Acc* __restrict__ part, const Geometry g) {
  DYN_SHARED(Acc, of_warps);
  int64 rest = blockIdx.x;
  const int output = int(rest % g.outputs);
  rest /= g.outputs;
  const int channel = int(rest % (int64(g.groups) * g.channels)), share = int(rest / (int64(g.groups) * g.channels));
  const int begin = share * g.share, end = lesser(g.share, g.cells - begin) + begin;
  int number = begin + int(threadIdx.x);
  Cell cell;
  int left = number;
#pragma unroll
  for (int axis = AXES; axis > 0; --axis) {
    cell.at[axis] = left % g.small[axis - 1];
    left /= g.small[axis - 1];
  }
  cell.at[0] = left;
  x += int64(channel) * g.small_plane;
  y += (int64(channel / g.channels) * g.outputs + output) * g.large_plane;
  Acc sum[TAPS] = {};
  for (; number < end; number += THREADS, cell.step(g)) {
    const int z = cell.at[1] * g.stride[0], h = cell.at[2] * g.stride[1], w = cell.at[3] * g.stride[2];
    const int of_plane = (cell.at[1] * g.small[1] + cell.at[2]) * g.small[2] + cell.at[3];
    const Acc value = widened<Acc>(__ldg(x + int64(cell.at[0]) * g.groups * g.channels * g.small_plane + of_plane));
    const SCALAR* const from = y + int64(cell.at[0]) * g.groups * g.outputs * g.large_plane +
                               (int64(z) * g.large[1] + h) * g.large[2] + w;
    const bool all = z + g.low[0] >= 0 && z + g.high[0] < g.large[0] && h + g.low[1] >= 0 &&
                     h + g.high[1] < g.large[1] && w + g.low[2] >= 0 && w + g.high[2] < g.large[2];
    Acc met[TAPS];
    if (all) {
#pragma unroll
      for (int t = 0; t < TAPS; ++t) met[t] = t < g.taps ? widened<Acc>(__ldg(from + g.place[t])) : Acc(0);
    } else {
#pragma unroll
      for (int t = 0; t < TAPS; ++t) {
        const int zt = z + g.at[t][0], ht = h + g.at[t][1], wt = w + g.at[t][2];
        const bool inside = zt >= 0 && zt < g.large[0] && ht >= 0 && ht < g.large[1] && wt >= 0 && wt < g.large[2];
        met[t] = t < g.taps && inside ? widened<Acc>(__ldg(from + g.place[t])) : Acc(0);
      }
    }
#pragma unroll
    for (int t = 0; t < TAPS; ++t) sum[t] = fused(value, met[t], sum[t]);
  }
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int t = 0; t < TAPS; ++t) {
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2) sum[t] += __shfl_xor_sync(0xffffffffu, sum[t], apart);
    if (lane == t) of_warps[threadIdx.x / 32 * TAPS + t] = sum[t];
  }
  __syncthreads();
  const int tap = threadIdx.x;
  if (tap >= g.taps) return;
  Acc total = 0;
  for (int warp = 0; warp < THREADS / 32; ++warp) total += of_warps[warp * TAPS + tap];
  part[(int64(share) * g.groups * g.channels + channel) * g.columns + (g.first + tap) * g.outputs + output] = total;
}
