// TensorRT's arithmetic on dimensions, for plugins outside of TensorRT: constants, and dimensions
// that are known only later.
#pragma once

#include <NvInfer.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace edgesynth {
namespace plugins {

using Extent = std::remove_reference<decltype(nvinfer1::Dims().d[0])>::type;

// A dimension: a constant, an unknown one, or an operation on two others.
class FakeExpr final : public nvinfer1::IDimensionExpr {
  public:
    explicit FakeExpr(int64_t value) : FakeExpr(true, value) {}
    static std::unique_ptr<FakeExpr> Unknown() {
        return std::unique_ptr<FakeExpr>(new FakeExpr(false, 0));
    }
    FakeExpr(nvinfer1::DimensionOperation operation, FakeExpr const& first, FakeExpr const& second)
        : FakeExpr(first.impl_.constant && second.impl_.constant, 0) {
        operation_ = operation;
        first_ = &first;
        second_ = &second;
        if (impl_.constant) impl_.value = Evaluate(0);
    }

    // The value where every unknown dimension is `unknown`.
    int64_t Evaluate(int64_t unknown) const;

  private:
    struct Impl final : nvinfer1::apiv::VDimensionExpr {
        bool isConstant() const { return constant; }
        Extent getConstantValue() const { return static_cast<Extent>(value); }
        bool isSizeTensor() const { return false; }
        bool constant = false;
        int64_t value = 0;
    };

    FakeExpr(bool constant, int64_t value) {
        impl_.constant = constant;
        impl_.value = value;
        mImpl = &impl_;
    }

    Impl impl_;
    nvinfer1::DimensionOperation operation_{};
    FakeExpr const* first_ = nullptr;
    FakeExpr const* second_ = nullptr;
};

class FakeBuilder final : public nvinfer1::IExprBuilder {
  public:
    FakeBuilder() { mImpl = &impl_; }

    // Dimensions of a tensor, -1 for unknown ones. They live as long as the builder.
    nvinfer1::DimsExprs Dims(std::vector<int64_t> const& extents) {
        nvinfer1::DimsExprs dims{};
        dims.nbDims = static_cast<int32_t>(extents.size());
        for (size_t i = 0; i < extents.size(); ++i) {
            dims.d[i] = extents[i] == -1 ? impl_.Keep(FakeExpr::Unknown())
                                         : impl_.Keep(std::make_unique<FakeExpr>(extents[i]));
        }
        return dims;
    }

  private:
    struct Impl final : nvinfer1::apiv::VExprBuilder {
        nvinfer1::IDimensionExpr const* constant(Extent value) {
            return Keep(std::make_unique<FakeExpr>(static_cast<int64_t>(value)));
        }
        nvinfer1::IDimensionExpr const* operation(nvinfer1::DimensionOperation operation,
                                                  nvinfer1::IDimensionExpr const& first,
                                                  nvinfer1::IDimensionExpr const& second) {
            return Keep(std::make_unique<FakeExpr>(operation, static_cast<FakeExpr const&>(first),
                                                   static_cast<FakeExpr const&>(second)));
        }
        nvinfer1::IDimensionExpr const* declareSizeTensor(int32_t, nvinfer1::IDimensionExpr const&,
                                                          nvinfer1::IDimensionExpr const&) {
            return nullptr;
        }
        FakeExpr const* Keep(std::unique_ptr<FakeExpr> made) {
            kept.push_back(std::move(made));
            return kept.back().get();
        }
        std::vector<std::unique_ptr<FakeExpr>> kept;
    };

    Impl impl_;
};

inline int64_t FakeExpr::Evaluate(int64_t unknown) const {
    if (first_ == nullptr) return impl_.constant ? impl_.value : unknown;
    int64_t const a = first_->Evaluate(unknown), b = second_->Evaluate(unknown);
    switch (operation_) {
        case nvinfer1::DimensionOperation::kSUM:
            return a + b;
        case nvinfer1::DimensionOperation::kSUB:
            return a - b;
        case nvinfer1::DimensionOperation::kPROD:
            return a * b;
        case nvinfer1::DimensionOperation::kFLOOR_DIV:
            return a / b;
        default:
            return INT64_MIN;  // no plugin asks for more, and no shape agrees with this
    }
}

// Extents of `dims` where the unknown ones are `unknown`; one of -2 for invalid dimensions.
inline std::vector<int64_t> Evaluate(nvinfer1::DimsExprs const& dims, int64_t unknown) {
    if (dims.nbDims < 0) return {-2};
    std::vector<int64_t> extents;
    for (int32_t i = 0; i < dims.nbDims; ++i) {
        extents.push_back(static_cast<FakeExpr const*>(dims.d[i])->Evaluate(unknown));
    }
    return extents;
}

}  // namespace plugins
}  // namespace edgesynth
