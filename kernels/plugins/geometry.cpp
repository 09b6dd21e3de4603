#include "plugins/geometry.h"

#include <limits>

#include "plugins/error.h"

namespace edgesynth {
namespace plugins {
namespace {

constexpr int64_t kMost32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMost64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMostOfAWindow = 1 << 16;  // no real layer comes near it

int Rank(int32_t dims) {
    if (dims < 0 || dims > nvinfer1::Dims::MAX_DIMS) throw Error("a tensor of %d dimensions", dims);
    return dims;
}

long long Printed(int64_t value) { return static_cast<long long>(value); }

int64_t Extent(int64_t extent) {
    if (extent < -1) throw Error("an extent of %lld", Printed(extent));
    return extent;
}

Shape ShapeOf(nvinfer1::Dims const& dims) {
    Shape shape{Rank(dims.nbDims), {}};
    for (int i = 0; i < shape.rank; ++i) shape.extents[i] = Extent(static_cast<int64_t>(dims.d[i]));
    return shape;
}

Shape ShapeOf(nvinfer1::DimsExprs const& dims) {
    Shape shape{Rank(dims.nbDims), {}};
    for (int i = 0; i < shape.rank; ++i) {
        nvinfer1::IDimensionExpr const* const extent = dims.d[i];
        if (extent == nullptr) throw Error("a dimension without an expression");
        bool const known = extent->isConstant();
        shape.extents[i] = known ? Extent(static_cast<int64_t>(extent->getConstantValue())) : -1;
    }
    return shape;
}

// Throws PluginError unless `shape` is `expected`, where both are known.
void CheckSame(Shape const& shape, Shape const& expected, char const* what) {
    CheckRank(shape, expected.rank, what);
    for (int axis = 0; axis < shape.rank; ++axis) {
        if (expected.extents[axis] >= 0) CheckExtent(shape, axis, expected.extents[axis], what);
    }
}

Window WindowOf(Attributes const& attributes, size_t axis) {
    Window const window{attributes.Ints("weight_shape")[axis + 2], attributes.Ints("strides")[axis],
                        attributes.Ints("pads")[axis], attributes.Ints("pads")[axis + 2],
                        attributes.Ints("dilations")[axis]};
    if (window.kernel > kMostOfAWindow || window.stride > kMostOfAWindow ||
        window.pad_before > kMostOfAWindow || window.pad_after > kMostOfAWindow ||
        window.dilation > kMostOfAWindow) {
        throw Error("kernel, stride, padding or dilation is more than %lld",
                    Printed(kMostOfAWindow));
    }
    return window;
}

}  // namespace

Shapes::Shapes(void const* inputs, int32_t count) : count_(count), shapes_{} {
    if (inputs == nullptr || count < 0 || count > kMost) {
        throw Error("TensorRT gave %d inputs, at most %d are taken", count, kMost);
    }
}

Shapes::Shapes(nvinfer1::DimsExprs const* inputs, int32_t count)
    : Shapes(static_cast<void const*>(inputs), count) {
    for (int i = 0; i < count; ++i) shapes_[i] = ShapeOf(inputs[i]);
}

Shapes::Shapes(nvinfer1::PluginTensorDesc const* inputs, int32_t count)
    : Shapes(static_cast<void const*>(inputs), count) {
    for (int i = 0; i < count; ++i) shapes_[i] = ShapeOf(inputs[i].dims);
}

Shapes::Shapes(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t count)
    : Shapes(static_cast<void const*>(inputs), count) {
    for (int i = 0; i < count; ++i) shapes_[i] = ShapeOf(inputs[i].desc.dims);
}

Shapes Shapes::Largest(nvinfer1::DynamicPluginTensorDesc const* inputs, int32_t count) {
    Shapes shapes(static_cast<void const*>(inputs), count);
    for (int i = 0; i < count; ++i) shapes.shapes_[i] = ShapeOf(inputs[i].max);
    return shapes;
}

int64_t Product(int64_t a, int64_t b, char const* what) {
    if (a < 0 || b < 0 || (a != 0 && b > kMost64 / a)) {
        throw Error("%s overflows: %lld times %lld", what, Printed(a), Printed(b));
    }
    return a * b;
}

int64_t Sum(int64_t a, int64_t b, char const* what) {
    if (a < 0 || b < 0 || b > kMost64 - a) {
        throw Error("%s overflows: %lld plus %lld", what, Printed(a), Printed(b));
    }
    return a + b;
}

void CheckRank(Shape const& shape, int rank, char const* what) {
    if (shape.rank != rank) {
        throw Error("%s has %d dimensions, it takes %d", what, shape.rank, rank);
    }
}

void CheckExtent(Shape const& shape, int axis, int64_t expected, char const* what) {
    int64_t const extent = shape.extents[axis];
    if (extent != -1 && extent != expected) {
        throw Error("dimension %d of %s is %lld, the node's attributes say %lld", axis, what,
                    Printed(extent), Printed(expected));
    }
}

void CheckVolume(Shape const& shape, char const* what) {
    int64_t volume = 1;
    for (int i = 0; i < shape.rank; ++i) {
        if (shape.extents[i] == 0) throw Error("dimension %d of %s is 0", i, what);
        if (shape.extents[i] > 0) volume = Product(volume, shape.extents[i], what);
    }
    if (volume > kMost32) {
        throw Error("%s has %lld elements, more than 2^31 - 1", what, Printed(volume));
    }
}

int64_t Window::Outputs(int64_t extent) const {
    // each of these is below 2^33: fields are at most 2^16 and extents fit TensorRT's 32 bits
    int64_t const reach = dilation * (kernel - 1) + 1;
    int64_t const padded = Sum(extent, pad_before + pad_after, "an extent with its padding");
    if (padded < reach) {
        throw Error("an extent of %lld with %lld of padding is smaller than the kernel's %lld",
                    Printed(extent), Printed(pad_before + pad_after), Printed(reach));
    }
    return (padded - reach) / stride + 1;
}

nvinfer1::IDimensionExpr const* Window::Outputs(nvinfer1::IDimensionExpr const& extent,
                                                nvinfer1::IExprBuilder& builder) const {
    if (extent.isConstant()) {
        return Constant(Outputs(static_cast<int64_t>(extent.getConstantValue())), builder);
    }
    // (extent + padding - reach + stride) / stride, whose numbers are never negative where the
    // kernel fits; so rounding down and towards zero are the same
    using nvinfer1::DimensionOperation;
    int64_t const reach = dilation * (kernel - 1) + 1;
    int64_t const shift = pad_before + pad_after - reach + stride;
    nvinfer1::IDimensionExpr const* const shifted =
        shift >= 0
            ? builder.operation(DimensionOperation::kSUM, extent, *Constant(shift, builder))
            : builder.operation(DimensionOperation::kSUB, extent, *Constant(-shift, builder));
    return builder.operation(DimensionOperation::kFLOOR_DIV, *shifted, *Constant(stride, builder));
}

LinearGeometry::LinearGeometry(Attributes const& attributes)
    : filters(attributes.Ints("weight_shape")[0]), features(attributes.Ints("weight_shape")[1]) {}

void LinearGeometry::Check(Shapes const& inputs) const {
    CheckRank(inputs[0], 2, "the input");
    CheckExtent(inputs[0], 1, features, "the input");
    Shape const output{2, {inputs[0].extents[0], filters}};
    CheckVolume(output, "the output");
    if (inputs.Has(1)) CheckSame(inputs[1], output, "the residual");
}

nvinfer1::DimsExprs LinearGeometry::OutputShape(nvinfer1::DimsExprs const& input,
                                                nvinfer1::IExprBuilder& builder) const {
    nvinfer1::DimsExprs output{};
    output.nbDims = 2;
    output.d[0] = input.d[0];
    output.d[1] = Constant(filters, builder);
    return output;
}

ConvGeometry::ConvGeometry(Attributes const& attributes)
    : filters(attributes.Ints("weight_shape")[0]),
      channels(0),
      group(attributes.Int("group")),
      vertical(WindowOf(attributes, 0)),
      horizontal(WindowOf(attributes, 1)) {
    channels = Product(attributes.Ints("weight_shape")[1], group, "the number of channels");
    if (channels > kMost32) throw Error("%lld input channels", Printed(channels));
    if (filters % group != 0) {
        throw Error("%lld filters do not divide into %lld groups", Printed(filters),
                    Printed(group));
    }
}

int64_t ConvGeometry::Columns() const {
    char const* const what = "the number of weights";
    return Product(channels / group, Product(vertical.kernel, horizontal.kernel, what), what);
}

void ConvGeometry::Check(Shapes const& inputs, int residual) const {
    Shape const& input = inputs[0];
    CheckRank(input, 4, "the input");
    CheckExtent(input, 1, channels, "the input");
    int64_t const height = input.extents[2] < 0 ? -1 : vertical.Outputs(input.extents[2]);
    int64_t const width = input.extents[3] < 0 ? -1 : horizontal.Outputs(input.extents[3]);
    Shape const output{4, {input.extents[0], filters, height, width}};
    CheckVolume(output, "the output");
    if (inputs.Has(residual)) CheckSame(inputs[residual], output, "the residual");
}

ConvShape ConvGeometry::For(Shape const& input) const {
    auto const narrow = [](int64_t value) { return static_cast<int32_t>(value); };
    auto const extent = [&](int axis) { return input.rank == 4 ? narrow(input.extents[axis]) : 0; };
    Window const& v = vertical;
    Window const& h = horizontal;
    return ConvShape{
        extent(0),
        narrow(channels),
        extent(2),
        extent(3),
        narrow(filters),
        narrow(group),
        {narrow(v.kernel), narrow(h.kernel)},
        {narrow(v.stride), narrow(h.stride)},
        {narrow(v.pad_before), narrow(h.pad_before), narrow(v.pad_after), narrow(h.pad_after)},
        {narrow(v.dilation), narrow(h.dilation)}};
}

nvinfer1::DimsExprs ConvGeometry::OutputShape(nvinfer1::DimsExprs const& input,
                                              nvinfer1::IExprBuilder& builder) const {
    nvinfer1::DimsExprs output{};
    output.nbDims = 4;
    output.d[0] = input.d[0];
    output.d[1] = Constant(filters, builder);
    output.d[2] = vertical.Outputs(*input.d[2], builder);
    output.d[3] = horizontal.Outputs(*input.d[3], builder);
    return output;
}

nvinfer1::IDimensionExpr const* Constant(int64_t value, nvinfer1::IExprBuilder& builder) {
    if (value < 0 || value > kMost32) throw Error("an extent of %lld", Printed(value));
    return builder.constant(static_cast<int32_t>(value));
}

}  // namespace plugins
}  // namespace edgesynth
