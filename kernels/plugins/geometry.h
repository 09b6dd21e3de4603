// Shapes: what is known of them while a network is built, and arithmetic that cannot overflow.
#pragma once

#include <NvInfer.h>

#include <cstdint>

#include "common/convolution.h"
#include "plugins/attributes.h"

namespace edgesynth {
namespace plugins {

// Extents of a tensor; -1 for those that are not known yet.
struct Shape {
    int rank;
    int64_t extents[nvinfer1::Dims::MAX_DIMS];
};

// The shapes of a node's inputs. The constructors throw PluginError for no or too many inputs, a
// rank that TensorRT does not have, and negative extents but -1.
class Shapes {
  public:
    static constexpr int kMost = 4;

    Shapes(nvinfer1::DimsExprs const* inputs, int32_t count);
    Shapes(nvinfer1::PluginTensorDesc const* inputs, int32_t count);
    Shapes(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t count);

    // The largest that the optimization profile allows.
    static Shapes Largest(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t count);

    int Count() const { return count_; }
    bool Has(int input) const { return input < count_; }
    Shape const& operator[](int input) const { return shapes_[input]; }

  private:
    Shapes(void const* inputs, int32_t count);

    int count_;
    Shape shapes_[kMost];
};

// a * b and a + b of numbers that are not negative; throw PluginError, naming `what`, instead of
// overflowing 64 bits.
int64_t Product(int64_t a, int64_t b, char const* what);
int64_t Sum(int64_t a, int64_t b, char const* what);

// Throws PluginError unless `shape` has `rank` extents; `what` is the tensor's name.
void CheckRank(Shape const& shape, int rank, char const* what);

// Throws PluginError unless extent `axis` of `shape` is `expected`, or not known yet.
void CheckExtent(Shape const& shape, int axis, int64_t expected, char const* what);

// Throws PluginError unless all known extents are at least 1 and the tensor has fewer than 2^31
// elements, as TensorRT and the kernels want it.
void CheckVolume(Shape const& shape, char const* what);

// One axis of a convolution.
struct Window {
    int64_t kernel, stride, pad_before, pad_after, dilation;

    // How many outputs `extent` inputs give; throws PluginError where it is none.
    int64_t Outputs(int64_t extent) const;

    // The same for an extent that may be known only when the engine runs.
    nvinfer1::IDimensionExpr const* Outputs(nvinfer1::IDimensionExpr const& extent,
                                            nvinfer1::IExprBuilder& builder) const;
};

// The weights of a linear layer, (M, K), in the field weight_shape of a node.
struct LinearGeometry {
    explicit LinearGeometry(Attributes const& attributes);

    int64_t filters, features;  // M, K

    int64_t Columns() const { return features; }  // weights of one output

    // Throws PluginError unless `inputs[0]` is (N, features), and `inputs[1]`, the residual where
    // there is one, (N, filters).
    void Check(Shapes const& inputs) const;

    // (N, filters) of an input that Check accepted.
    nvinfer1::DimsExprs OutputShape(nvinfer1::DimsExprs const& input,
                                    nvinfer1::IExprBuilder& builder) const;
};

// The weights of a convolution, (M, C / group, kh, kw), and how its windows move: what the fields
// weight_shape, strides, pads (top, left, bottom, right), dilations and group of a node say.
struct ConvGeometry {
    explicit ConvGeometry(Attributes const& attributes);

    int64_t filters, channels, group;
    Window vertical, horizontal;

    int64_t Columns() const;  // weights of one output

    // Throws PluginError unless `inputs[0]` is (N, channels, H, W) with room for the window, and
    // `inputs[residual]`, where there is one, has the shape of the output.
    void Check(Shapes const& inputs, int residual = 1) const;

    // For the launchers; of an input that Check accepted. Its samples and extents are 0 where the
    // input has no dimensions.
    ConvShape For(Shape const& input) const;

    // (N, filters, P, Q) of an input that Check accepted.
    nvinfer1::DimsExprs OutputShape(nvinfer1::DimsExprs const& input,
                                    nvinfer1::IExprBuilder& builder) const;
};

// `value` as an expression.
nvinfer1::IDimensionExpr const* Constant(int64_t value, nvinfer1::IExprBuilder& builder);

}  // namespace plugins
}  // namespace edgesynth
