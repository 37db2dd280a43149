// Resampling in which every output is a copy of one input: nearest and nearest-exact, of any dtype.
#include "common.cuh"

#ifndef SCALAR
#define SCALAR uint32
#endif

constexpr int THREADS = 256;
constexpr int MANY = 16 / static_cast<int>(sizeof(SCALAR));  // values of a thread's store
constexpr int HALF = MANY > 1 ? MANY / 2 : 1;

// How the columns of a row are found: each by its own place in a table, or without a table.
enum Pattern { GATHERED = 0, STRAIGHT = 1, DOUBLED = 2 };

struct Geometry {
  int64 in_rows, out_rows;         // of a plane
  int64 in_row, out_row;           // values of a row
  int in_planes, out_planes;       // of an array of `outer`
  int across, strips, strip_rows;  // threads along a row, strips of rows of a plane
  int pattern;
  int packed, wide;  // whether a thread reads its values as one, and whether it writes them so
  uint32 threads;    // that have work
};

// The values of a row that one thread moves.
DEVICE Pack<SCALAR, MANY> moved(const SCALAR* __restrict__ row, const uint32 (&from)[MANY], const Geometry& g) {
  Pack<SCALAR, MANY> made;
  if (g.packed && g.pattern == STRAIGHT) {
    made = *reinterpret_cast<const Pack<SCALAR, MANY>*>(row + from[0]);
  } else if (g.packed) {
    const Pack<SCALAR, HALF> half = *reinterpret_cast<const Pack<SCALAR, HALF>*>(row + from[0]);
#pragma unroll
    for (int k = 0; k < MANY; ++k) made.at[k] = half.at[k / 2 % HALF];
  } else {
#pragma unroll
    for (int k = 0; k < MANY; ++k) made.at[k] = row[from[k]];
  }
  return made;
}

// x: [outer, in_planes, in_rows, in_row] -> y: [outer, out_planes, out_rows, out_row]; planes: [out_planes], rows:
// [out_rows], columns: [out_row], each the place in x, or null where that is the own number.
//
// y[n, p, r, c] = x[n, planes[p], rows[r], columns[c]]: a gather, no two threads write the same value: deterministic.
// A thread keeps the places of MANY columns and goes down the rows of one strip of one plane; a row of x that comes
// again is not read again. It writes its columns as one where the rows of y are so aligned; then they are neighbours,
// else `across` apart, so that a warp writes neighbours either way. A row longer than all threads along it is made in
// several parts.
KERNEL(THREADS, MANY > 4 ? 3 : 5)
move(const SCALAR* __restrict__ x, SCALAR* __restrict__ y, const int64* __restrict__ planes,
     const int64* __restrict__ rows, const int* __restrict__ columns, const Geometry g) {
  const uint32 thread = blockIdx.x * static_cast<uint32>(THREADS) + threadIdx.x;
  if (thread >= g.threads) return;
  const uint32 above = thread / g.across, out_plane = above / g.strips, outer = out_plane / g.out_planes;
  const int lane = static_cast<int>(thread - above * g.across), p = static_cast<int>(out_plane - outer * g.out_planes);
  const int64 begin = static_cast<int64>(above - out_plane * g.strips) * g.strip_rows;
  const int64 end = lesser<int64>(begin + g.strip_rows, g.out_rows);
  const int64 in_plane = static_cast<int64>(outer) * g.in_planes + (planes ? planes[p] : p);
  const int step = g.wide ? 1 : g.across, least = g.wide ? lane * MANY : lane;

#pragma unroll 1
  for (int64 part = 0; part + least < g.out_row; part += static_cast<int64>(g.across) * MANY) {
    const SCALAR* const source = x + in_plane * g.in_rows * g.in_row + (columns ? 0 : part >> (g.pattern == DOUBLED));
    SCALAR* to = y + (out_plane * g.out_rows + begin) * g.out_row + part + least;
    const int last = static_cast<int>(lesser<int64>(g.out_row - part, static_cast<int64>(g.across) * MANY)) - 1;
    uint32 from[MANY];
#pragma unroll
    for (int k = 0; k < MANY; ++k) {  // columns past the end do as the last one, and are not written
      const int c = lesser(least + k * step, last);
      from[k] = static_cast<uint32>(columns ? columns[part + c] : c >> (g.pattern == DOUBLED));
    }
    Pack<SCALAR, MANY> held;
    int64 row = -1, next = rows ? rows[begin] : begin;
#pragma unroll 1
    for (int64 r = begin; r < end; ++r, to += g.out_row) {
      if (next != row) held = moved(source + next * g.in_row, from, g);
      row = next;
      const int64 coming = lesser(r + 1, end - 1);
      next = rows ? rows[coming] : coming;
      if (g.wide) {
        *reinterpret_cast<Pack<SCALAR, MANY>*>(to) = held;
      } else {
#pragma unroll
        for (int k = 0; k < MANY; ++k)
          if (least + k * step <= last) to[k * step] = held.at[k];
      }
    }
  }
}
