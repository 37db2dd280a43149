// Tensor cores on the CPU: mma.sync.m16n8k16 (half, bfloat16) and m16n8k8 (TF32) with float32 sums.
//
// Element by element as the PTX ISA has it ("Matrix Fragments for mma.m16n8k16 with floating point type", "... for
// mma.m16n8k8"), and not in the words by which kernels/mma.cuh speaks of fragments: a misreading there shows here.
#pragma once

// Row and column of element i of a lane; K is 16 with two elements a register, or 8 with one.
template <int K> void coc_place_a(int lane, int i, int& row, int& k) {
  const int group = lane >> 2, in_group = lane % 4;
  if (K == 16) {
    row = (i >= 0 && i < 2) || (i >= 4 && i < 6) ? group : group + 8;
    k = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
  } else {
    row = i == 0 || i == 2 ? group : group + 8;
    k = i < 2 ? in_group : in_group + 4;
  }
}
template <int K> void coc_place_b(int lane, int i, int& k, int& column) {
  const int group = lane >> 2, in_group = lane % 4;
  if (K == 16) k = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
  else k = i == 0 ? in_group : in_group + 4;
  column = group;
}
inline void coc_place_c(int lane, int i, int& row, int& column) {
  const int group = lane >> 2, in_group = lane % 4;
  row = i < 2 ? group : group + 8;
  column = in_group * 2 + (i & 1);
}
// Element i of registers; TF32 leaves the low 13 bits of a float unread.
template <class Scalar> float coc_element(const unsigned* registers, int i) {
  if constexpr (sizeof(Scalar) == 2) {
    Scalar two[2];
    memcpy(static_cast<void*>(two), registers + i / 2, 4);
    return float(two[i % 2]);
  } else {
    return coc_bits<float>(registers[i] & 0xffffe000u);
  }
}
template <class Scalar> void coc_mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  struct Registers { unsigned a[4], b[2]; } mine;
  memcpy(mine.a, a, sizeof mine.a);
  memcpy(mine.b, b, sizeof mine.b);
  const auto warp = coc::warp_exchange(0xffffffffu, mine, __LINE__);
  constexpr int K = sizeof(Scalar) == 2 ? 16 : 8, Each = sizeof(Scalar) == 2 ? 2 : 1;
  float rows[16][K], columns[8][K];
  for (int lane = 0; lane < 32; ++lane) {
    int m, n, k;
    for (int i = 0; i < 4 * Each; ++i) {
      coc_place_a<K>(lane, i, m, k);
      rows[m][k] = coc_element<Scalar>(warp.v[lane].a, i);
    }
    for (int i = 0; i < 2 * Each; ++i) {
      coc_place_b<K>(lane, i, k, n);
      columns[n][k] = coc_element<Scalar>(warp.v[lane].b, i);
    }
  }
  for (int i = 0; i < 4; ++i) {
    int m, n;
    coc_place_c(COC_LANE, i, m, n);
    double products = 0;  // added to the sum at once, as the hardware does in some order of its own
    for (int k = 0; k < K; ++k) products += double(rows[m][k]) * columns[n][k];
    c[i] = float(c[i] + products);
  }
}
