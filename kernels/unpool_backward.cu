// The transpose of max-unpooling: each cell takes back what stands at the position that it named, zero where it named
// none. Twin of engines/portable/unpool/backward.py.
//
//   values   [planes, large 0, large 1, large 2]
//   where    [planes, small 0, small 1, small 2], int64: see unpool.cuh
//   result   the shape of `where`
//
// Every cell is written once, by the thread that reads its index, so that results are deterministic; values are moved
// as bits. An index that is out of bounds or outside of its cell's window is never followed.
#include "unpool.cuh"

#ifndef SCALAR
#define SCALAR uint32  // the bits of a value
#endif
#ifndef INDEX
#define INDEX int
#endif

constexpr int MANY = 4;  // neighbouring cells of a row that a thread makes

// What a cell's index names.
template <typename Index>
struct Spot {
  Index position;      // in the plane; negative where it names none
  Index offset[AXES];  // in the window; unknown where windows are not looked at
  int verdict;
};

// `start` is the first position of the cell's window, in the padding perhaps.
template <typename Index>
DEVICE Spot<Index> named(int64 w, const Index (&start)[AXES], const Geometry<Index>& g) {
  Spot<Index> spot{in_bounds(w, g), {0, 0, 0}, Own};
  if (spot.position < 0) spot.verdict = Illegal;
  if (spot.position < 0 || g.anywhere) return spot;
  Index at[AXES];
  spread_out(spot.position, at, g);
  bool inside = true;
  if (g.local) {
    spot.position = 0;
#pragma unroll
    for (int axis = 0; axis < AXES; ++axis) {
      spot.offset[axis] = at[axis] * g.dilation[axis];
      inside &= is_below(start[axis] + spot.offset[axis], g.large[axis]);
      spot.position = spot.position * g.large[axis] + start[axis] + spot.offset[axis];
    }
  } else {
#pragma unroll
    for (int axis = 0; axis < AXES; ++axis) {
      spot.offset[axis] = at[axis] - start[axis];
      inside &= in_window(spot.offset[axis], axis, g);
    }
  }
  if (!inside) {
    spot.position = -1;
    spot.verdict = Elsewhere;
  }
  return spot;
}

template <typename Index>
DEVICE Index window_start(Index cell, int axis, const Geometry<Index>& g) {
  return cell * g.stride[axis] - g.padding[axis];
}

// Goes back to the first cell along an axis that covers the same position, which is farther into its window.
template <typename Index>
DEVICE void go_to_first(Index& cell, Index& offset, int axis, const Geometry<Index>& g) {
  const Index step = g.cell_step[axis], apart = step * g.stride[axis];
  while (cell >= step && offset + apart < g.reach[axis]) {
    cell -= step;
    offset += apart;
  }
}

// Whether a later cell of the plane, in row-major order, names the same position: asks those that cover it, one by one
// until one does. `where` is the plane's; the spot is in the window of the cell.
template <typename Index>
DEVICE bool beaten(const int64* __restrict__ where, const Index (&cell)[AXES], const Spot<Index>& spot,
                   const Geometry<Index>& g) {
  Index apart[AXES];
#pragma unroll
  for (int axis = 0; axis < AXES; ++axis) apart[axis] = g.cell_step[axis] * g.stride[axis];
  Index first_row = cell[1], first_row_offset = spot.offset[1], first_column = cell[2];
  Index first_column_offset = spot.offset[2];
  go_to_first(first_row, first_row_offset, 1, g);
  go_to_first(first_column, first_column_offset, 2, g);
  Index depth = cell[0], depth_offset = spot.offset[0], row = cell[1], row_offset = spot.offset[1];
  Index column = cell[2] + g.cell_step[2], column_offset = spot.offset[2] - apart[2];
  for (; depth < g.small[0] && depth_offset >= 0; depth += g.cell_step[0], depth_offset -= apart[0]) {
    for (; row < g.small[1] && row_offset >= 0; row += g.cell_step[1], row_offset -= apart[1]) {
      for (; column < g.small[2] && column_offset >= 0; column += g.cell_step[2], column_offset -= apart[2]) {
        const int64 w = where[(depth * g.small[1] + row) * g.small[2] + column];
        if (!g.local) {
          if (w == spot.position) return true;
          continue;
        }
        const Index start[AXES] = {window_start(depth, 0, g), window_start(row, 1, g), window_start(column, 2, g)};
        if (named(w, start, g).position == spot.position) return true;
      }
      column = first_column;
      column_offset = first_column_offset;
    }
    row = first_row;
    row_offset = first_row_offset;
  }
  return false;
}

// A thread makes MANY neighbouring cells of a row, for several planes: all of their indices are in flight together, and
// then all of their values. If `flags` is not null it says what it found of the indices; the result is of no use
// where one is not its cell's own.
template <typename Scalar, typename Index>
DEVICE void take_back(const Scalar* __restrict__ values, const int64* __restrict__ where, Scalar* __restrict__ result,
                      uint8* flags, const Geometry<Index>& g) {
  constexpr int wide = sizeof(Scalar) < 4 ? MANY : 16 / sizeof(Scalar);
  int verdict = Own;
  for (Index item = first_item<Index>(); item < g.items; item += item_step<Index>()) {
    const Place<Index> piece(item, g.columns, g.small[1], g.one_slice);
    const Index begin = piece.column * MANY, line = (piece.depth * g.small[1] + piece.row) * g.small[2] + begin;
    const int count = static_cast<int>(lesser<Index>(MANY, g.small[2] - begin));
    for (int64 plane = first_plane(); plane < g.planes; plane += plane_step()) {
      const int64* const indices = where + plane * g.cells;
      const Scalar* const source = values + plane * g.positions;
      int64 w[MANY];
      Spot<Index> spots[MANY];
      Scalar v[MANY];
#pragma unroll
      for (int n = 0; n < MANY; n += 2) load<2>(indices + line + n, count - n, int64(g.bound), w + n);
#pragma unroll
      for (int n = 0; n < MANY; ++n) {
        const Index start[AXES] = {window_start(piece.depth, 0, g), window_start(piece.row, 1, g),
                                   window_start<Index>(begin + n, 2, g)};
        spots[n] = named(w[n], start, g);
        if (n < count) verdict = greater<int>(verdict, spots[n].verdict);
      }
#pragma unroll
      for (int n = 0; n < MANY; ++n) {
        v[n] = Scalar();
        if (spots[n].position >= 0) v[n] = source[spots[n].position];
      }
      if (g.last) {
#pragma unroll
        for (int n = 0; n < MANY; ++n) {
          const Index cell[AXES] = {piece.depth, piece.row, begin + n};
          if (spots[n].position >= 0 && beaten(indices, cell, spots[n], g)) v[n] = Scalar();
        }
      }
      Scalar* const to = result + plane * g.cells + line;
#pragma unroll
      for (int n = 0; n < MANY; n += wide) store<wide>(to + n, count - n, v + n);
    }
  }
  if (flags) report(flags, verdict);
}

KERNEL(256, sizeof(INDEX) == 4 ? 4 : 2)
gather_cells(const SCALAR* __restrict__ values, const int64* __restrict__ where, SCALAR* __restrict__ result,
             uint8* flags, const Geometry<INDEX> g) {
  take_back(values, where, result, flags, g);
}

// Indices anywhere in the plane, cells sorted by what they name: one cell a thread, which keeps its index if it is the
// last of its run, and otherwise gets one that names nothing. Each is written once, for `order` has each cell once.
//
//   where   [count], kept   [count]: indices, as they are and as they are to be followed
//   keys    [count]: the position that each cell names, counted through all planes
//   order   [count]: cell numbers, by keys, equal ones ascending
KERNEL(256)
gather_winners(const int64* __restrict__ where, const int64* __restrict__ keys, const int64* __restrict__ order,
               int64* __restrict__ kept, const int64 count) {
  for (int64 p = first_item<int64>(); p < count; p += item_step<int64>()) {
    const int64 cell = order[p];
    const bool last = p + 1 == count || keys[order[p + 1]] != keys[cell];
    kept[cell] = last ? where[cell] : -1;
  }
}
