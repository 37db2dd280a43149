// What unpooling and its transpose share: the geometry, what an index names, and verdicts on indices.
//
// Indices are positions of the plane (large), or, `local`, taps of the cell's window, negative ones counted from its
// end. Plane starts are 64-bit; `Index` counts within a plane.
#pragma once
#include "windows.cuh"

template <typename Index>
struct Geometry {
  int64 planes, positions, cells;  // positions and cells of a plane
  Index items, columns;            // pieces of a plane, of a row: of positions for unpool_gather, else of cells
  Index large[AXES], small[AXES];
  Index kernel[AXES], stride[AXES], padding[AXES], dilation[AXES], reach[AXES];
  Index cell_step[AXES], tap_step[AXES];  // between the cells that cover a position, and between their taps
  Index table[AXES];                      // where an axis's tables begin
  Index counted[AXES], bound;             // what indices count, positions or taps: along the axes, and all
  uint32 multiplier[AXES], shift[AXES];   // for the quotients by `counted`
  int one_slice;                          // whether the pieces' rows are
  int local;                              // whether indices are taps
  int anywhere, last;  // for the transpose: whether windows are not looked at, whether only the last cell receives
};

// An index as `Index`, negative where it is out of bounds.
template <typename Index>
DEVICE Index in_bounds(int64 w, const Geometry<Index>& g) {
  if (g.local && w < 0) w += g.bound;
  return static_cast<uint64>(w) < static_cast<uint64>(g.bound) ? static_cast<Index>(w) : -1;
}

// A number of positions or taps divided by how many lie along an axis: a product with the reciprocal in 32 bits, which is
// exact below 2^31 (Granlund and Montgomery, 1994), for a division is twenty instructions.
template <typename Index>
DEVICE Index quotient(Index number, int axis, const Geometry<Index>& g) {
  if constexpr (sizeof(Index) > 4) {
    return number / g.counted[axis];
  } else {
    const uint64 product = static_cast<uint64>(2 * static_cast<uint32>(number)) * g.multiplier[axis];
    return static_cast<Index>(static_cast<uint32>(product >> 32) >> g.shift[axis]);
  }
}

// Along each axis, the position or tap that an index within bounds names.
template <typename Index>
DEVICE void spread_out(Index index, Index (&at)[AXES], const Geometry<Index>& g) {
  at[0] = 0;
  at[1] = quotient(index, 2, g);
  at[2] = index - at[1] * g.counted[2];
  if (g.counted[0] > 1) {
    at[0] = quotient(at[1], 1, g);
    at[1] -= at[0] * g.counted[1];
  }
}

template <typename Index>
DEVICE Index first_item() {
  return static_cast<Index>(blockIdx.x) * static_cast<Index>(blockDim.x) + static_cast<Index>(threadIdx.x);
}
template <typename Index>
DEVICE Index item_step() {
  return static_cast<Index>(gridDim.x) * static_cast<Index>(blockDim.x);
}
DEVICE int64 first_plane() { return static_cast<int64>(blockIdx.y) * blockDim.y + threadIdx.y; }
DEVICE int64 plane_step() { return static_cast<int64>(gridDim.y) * blockDim.y; }

// What a look at indices finds, the worst of them: all lie in their windows, or at least in the plane, or not even.
enum Verdict { Own = 0, Elsewhere = 1, Illegal = 2 };

// Sets a flag in memory that the host reads, flags[0] for Elsewhere, flags[1] for Illegal; nothing is written for Own.
// All threads write the same value, so that their order is of no consequence; volatile is relaxed in PTX's memory model.
DEVICE void report(uint8* flags, int verdict) {
  if (verdict == Own) return;
#ifdef EMULATED
  __atomic_store_n(flags + verdict - 1, uint8(1), __ATOMIC_RELAXED);
#else
  *static_cast<volatile uint8*>(flags + verdict - 1) = 1;
#endif
}

// Whether a number is not negative, and below a limit.
DEVICE bool is_below(int number, int limit) { return static_cast<uint32>(number) < static_cast<uint32>(limit); }
DEVICE bool is_below(int64 number, int64 limit) { return static_cast<uint64>(number) < static_cast<uint64>(limit); }

// Whether a position lies in a window that begins `offset` before it.
template <typename Index>
DEVICE bool in_window(Index offset, int axis, const Geometry<Index>& g) {
  return is_below(offset, g.reach[axis]) && (g.dilation[axis] == 1 || offset % g.dilation[axis] == 0);
}
