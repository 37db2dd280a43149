// What pooling and unpooling share: the place of a piece of work, neighbours in memory.
#pragma once
#include "common.cuh"

// Where piece `item` of a plane of rows lies; `columns` pieces a row, `rows` rows a slice.
template <typename Index>
struct Place {
  Index depth, row, column;
  DEVICE Place(Index item, Index columns, Index rows, bool one_slice) : depth(0), row(item / columns), column(0) {
    column = item - row * columns;
    if (!one_slice) {
      depth = row / rows;
      row -= depth * rows;
    }
  }
};

template <int N, typename Scalar>
DEVICE bool is_aligned(const Scalar* p) {
  return reinterpret_cast<uint64>(p) % sizeof(Pack<Scalar, N>) == 0;
}

// Reads the first `count` of N neighbours, in one piece where they are whole and aligned; the others are `rest`.
template <int N, typename Scalar>
DEVICE void load(const Scalar* __restrict__ p, int count, Scalar rest, Scalar* v) {
  if (count >= N && is_aligned<N>(p)) {
    const auto pack = *reinterpret_cast<const Pack<Scalar, N>*>(p);
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = pack.at[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < N; ++i) {
    v[i] = rest;
    if (i < count) v[i] = p[i];
  }
}

// Writes a whole piece. The compiler takes a store of 16 bytes apart where it cannot see that addresses are multiples
// of that; here they have been looked at. Kernels do not read what they write, so that nothing else need be told.
template <typename Piece>
DEVICE void put(Piece* p, const Piece& piece) {
#ifndef EMULATED
  if constexpr (sizeof(Piece) == 16) {
    uint4 bits;
    memcpy(&bits, &piece, sizeof(Piece));
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(bits.x),
                 "r"(bits.y), "r"(bits.z), "r"(bits.w));
    return;
  }
#endif
  *p = piece;
}

// Writes the first `count` of N neighbours likewise.
template <int N, typename Scalar>
DEVICE void store(Scalar* __restrict__ p, int count, const Scalar* v) {
  if (count >= N && is_aligned<N>(p)) {
    Pack<Scalar, N> pack;
#pragma unroll
    for (int i = 0; i < N; ++i) pack.at[i] = v[i];
    put(reinterpret_cast<Pack<Scalar, N>*>(p), pack);
    return;
  }
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (i < count) p[i] = v[i];
}
