// From positions and values of nonzero weights to what the kernels read. Host only, no CUDA.
//
// A weight matrix has M rows (outputs) and K columns (inputs of one output). The rows are sorted by
// their number of nonzero weights, most first, so that neighbouring warps have equal work and the
// long rows start early (row swizzle: Gale et al., Sparse GPU Kernels for Deep Learning, SC 2020);
// a sorted row is a "slot". The columns are cut into panels, the part of the input that a block
// keeps in shared memory at a time: the entries of a slot in a panel lie together, and a column is
// 16 bits, counted from its panel's first.
//
// One array of bytes holds it all, each section at a multiple of 16 bytes:
//
//     values   entries x float or half     rounded to the type of the activations
//     columns  entries x uint16
//     starts   panels * M + 1 x int32      entry that (panel, slot) starts with, panels outermost
//     rows     M x int32                   the row of a slot
//
// Weights that are zero have no entry, so a layer may have none at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/convolution.h"
#include "sparse/sparse.h"

namespace edgesynth {

struct SparsePacked {
    SparseLayout layout;
    std::vector<uint8_t> bytes;  // layout.Bytes() of them; to be copied to the device as they are
};

// Nonzero weights as the ONNX nodes have them: `count` places in the flat dense tensor, strictly
// ascending, with their values.
struct SparseWeights {
    int32_t const* positions;
    float const* values;
    int64_t count;
};

// For activations of `type`. The result is empty, or one sentence that says what is wrong with the
// weights; `packed` is then not to be used.
std::string PackSparseLinear(SparseWeights const& weights, int32_t in_features,
                             int32_t out_features, DataType type, SparsePacked* packed);

// `shape`: its samples and the extents of its input do not matter, and may be 0.
std::string PackSparseConv(SparseWeights const& weights, ConvShape const& shape, DataType type,
                           SparsePacked* packed);

}  // namespace edgesynth
