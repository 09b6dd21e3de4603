// The operators of edgesynth and the fields of their plugins.
// Written by `python -m edgesynth.operators.fields`; change edgesynth/operators/specs.py instead.
// clang-format off
#pragma once

#include <cstdint>

namespace edgesynth {

// As the ONNX parser hands an attribute over: INT and INTS arrive as kINT32, FLOAT as kFLOAT32,
// a TENSOR flat as kINT32 or kFLOAT32, its length being the number of elements.
enum class FieldKind { kInt, kInts, kFloat, kInt32Tensor, kFloatTensor };

struct FieldSpec {
    const char* name;
    FieldKind kind;
    int32_t length;        // of kInts; 0 where any number of elements above 0 is read
    bool required;         // an absent one is an error
    double defaults[4];    // what an absent one has, as many as `length`; one for kInt and kFloat
    double lowest;         // of every element, inclusive
    double highest;
    int32_t among[4];      // the only values of a kInt where `choices` is not 0
    int32_t choices;
};

struct OperatorSpec {
    const char* type;      // name of the creator, op_type of the node
    const char* base;      // without the `Add` of the form with a residual as last input
    int32_t inputs;
    int32_t outputs;
    const FieldSpec* fields;
    int32_t fieldCount;
};

// NaN and infinity are refused in every float field.
constexpr double kNoLimit = 1.7976931348623157e308;

// EsSparseLinear: a linear layer that reads its nonzero weights only
//   input  x: (N, K)
//   output y: (N, M)
static constexpr FieldSpec kSparseLinearFields[] = {
    {"weight_shape", FieldKind::kInts, 2, true, {0}, 1, kNoLimit, {0}, 0},
    {"positions", FieldKind::kInt32Tensor, 0, true, {0}, 0, kNoLimit, {0}, 0},
    {"values", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"bias", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"activation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1}, 2},
};

// EsSparseConv: a convolution that reads its nonzero weights only
//   input  x: (N, C, H, W)
//   output y: (N, M, P, Q)
static constexpr FieldSpec kSparseConvFields[] = {
    {"weight_shape", FieldKind::kInts, 4, true, {0}, 1, kNoLimit, {0}, 0},
    {"positions", FieldKind::kInt32Tensor, 0, true, {0}, 0, kNoLimit, {0}, 0},
    {"values", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"bias", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"strides", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"pads", FieldKind::kInts, 4, false, {0, 0, 0, 0}, 0, kNoLimit, {0}, 0},
    {"dilations", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"group", FieldKind::kInt, 0, false, {1}, 1, kNoLimit, {0}, 0},
    {"activation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1}, 2},
};

// EsPackedLinear: a linear layer with integer weights of 2, 3, 4 or 8 bits
//   input  x: (N, K)
//   output y: (N, M)
static constexpr FieldSpec kPackedLinearFields[] = {
    {"weight_shape", FieldKind::kInts, 2, true, {0}, 1, kNoLimit, {0}, 0},
    {"words", FieldKind::kInt32Tensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"scales", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"bits", FieldKind::kInt, 0, true, {0}, -kNoLimit, kNoLimit, {2, 3, 4, 8}, 4},
    {"bias", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"activation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1}, 2},
};

// EsPackedConv: a convolution with integer weights of 2, 3, 4 or 8 bits
//   input  x: (N, C, H, W)
//   output y: (N, M, P, Q)
static constexpr FieldSpec kPackedConvFields[] = {
    {"weight_shape", FieldKind::kInts, 4, true, {0}, 1, kNoLimit, {0}, 0},
    {"words", FieldKind::kInt32Tensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"scales", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"bits", FieldKind::kInt, 0, true, {0}, -kNoLimit, kNoLimit, {2, 3, 4, 8}, 4},
    {"bias", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"strides", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"pads", FieldKind::kInts, 4, false, {0, 0, 0, 0}, 0, kNoLimit, {0}, 0},
    {"dilations", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"group", FieldKind::kInt, 0, false, {1}, 1, kNoLimit, {0}, 0},
    {"activation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1}, 2},
};

// EsEffortConv: a convolution that leaves out what an input does not need (DyVEDeep,
// arXiv:1704.01137)
//   input  x: (N, C, H, W)
//   input  effort: (1)
//   output y: (N, M, P, Q)
static constexpr FieldSpec kEffortConvFields[] = {
    {"weight_shape", FieldKind::kInts, 4, true, {0}, 1, kNoLimit, {0}, 0},
    {"weights", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"bias", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"strides", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"pads", FieldKind::kInts, 4, false, {0, 0, 0, 0}, 0, kNoLimit, {0}, 0},
    {"dilations", FieldKind::kInts, 2, false, {1, 1}, 1, kNoLimit, {0}, 0},
    {"group", FieldKind::kInt, 0, false, {1}, 1, kNoLimit, {0}, 0},
    {"activation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1}, 2},
    {"channel_order", FieldKind::kInt32Tensor, 0, true, {0}, 0, kNoLimit, {0}, 0},
    {"level_channels", FieldKind::kInt32Tensor, 0, true, {0}, 1, kNoLimit, {0}, 0},
    {"saturation", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1, 2}, 3},
    {"prefix_channels", FieldKind::kInt, 0, false, {0}, 0, kNoLimit, {0}, 0},
    {"prefix_thresholds", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"similarity", FieldKind::kFloat, 0, false, {-1}, -kNoLimit, kNoLimit, {0}, 0},
    {"sample_period", FieldKind::kInt, 0, false, {1}, 1, 8, {0}, 0},
    {"sample_below", FieldKind::kFloat, 0, false, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"sample_within", FieldKind::kFloat, 0, false, {0}, 0, kNoLimit, {0}, 0},
    {"input_threshold", FieldKind::kFloat, 0, false, {0}, 0, kNoLimit, {0}, 0},
};

// EsExitGate: confidence and decision of an early exit, and which samples go on
//   input  logits: (N, C)
//   input  threshold: (1)
//   output exit: (N)
//   output label: (N)
//   output confidence: (N)
//   output survivors: (N)
//   output count: (1)
static constexpr FieldSpec kExitGateFields[] = {
    {"classes", FieldKind::kInt, 0, true, {0}, 1, kNoLimit, {0}, 0},
    {"policy", FieldKind::kInt, 0, false, {0}, -kNoLimit, kNoLimit, {0, 1, 2, 3}, 4},
    {"gate_weights", FieldKind::kFloatTensor, 0, true, {0}, -kNoLimit, kNoLimit, {0}, 0},
    {"gate_bias", FieldKind::kFloat, 0, false, {0}, -kNoLimit, kNoLimit, {0}, 0},
};

static constexpr OperatorSpec kOperators[] = {
    {"EsSparseLinear", "EsSparseLinear", 1, 1, kSparseLinearFields, 5},
    {"EsSparseLinearAdd", "EsSparseLinear", 2, 1, kSparseLinearFields, 5},
    {"EsSparseConv", "EsSparseConv", 1, 1, kSparseConvFields, 9},
    {"EsSparseConvAdd", "EsSparseConv", 2, 1, kSparseConvFields, 9},
    {"EsPackedLinear", "EsPackedLinear", 1, 1, kPackedLinearFields, 6},
    {"EsPackedLinearAdd", "EsPackedLinear", 2, 1, kPackedLinearFields, 6},
    {"EsPackedConv", "EsPackedConv", 1, 1, kPackedConvFields, 10},
    {"EsPackedConvAdd", "EsPackedConv", 2, 1, kPackedConvFields, 10},
    {"EsEffortConv", "EsEffortConv", 2, 1, kEffortConvFields, 18},
    {"EsExitGate", "EsExitGate", 2, 5, kExitGateFields, 4},
};
static constexpr int32_t kOperatorCount = 10;

}  // namespace edgesynth
