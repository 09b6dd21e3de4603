#include "scale/reference.h"
#include "scale/scale.h"
#include "testing/testing.h"

namespace edgesynth {
namespace {

using testing::Activations;

struct Shape {
    int64_t count;
    char const* why;
};

Shape const kShapes[] = {{1, "one element"},
                         {256, "exactly one block"},
                         {257, "one element in a second block"},
                         {0, "nothing to do"}};

void Check(Shape const& shape, DataType type) {
    testing::Random random(1);
    std::vector<double> const values = testing::RoundTo(type, random.Normals(shape.count));
    testing::ForEveryOrder(testing::Format("%s, %s", shape.why, testing::Name(type)), [&] {
        Activations x(type, values), y(type, shape.count);
        Scale const scale{shape.count, type, 2.5f};
        ES_EXPECT_CUDA(LaunchScale(scale, x.get(), y.get(), nullptr));
        ES_EXPECT_CLOSE("y", y.Host(), ReferenceScale(2.5, values), {},
                        testing::ToleranceFor(type, 1));
    });
}

ES_TEST(ScaleMatchesReference) {
    for (Shape const& shape : kShapes) {
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) Check(shape, type);
    }
}

ES_TEST(ScaleRefusesWrongParameters) {
    Scale const scale{1, DataType::kFloat, 1.0f};
    ES_EXPECT(LaunchScale(scale, nullptr, nullptr, nullptr) == cudaErrorInvalidValue, "no memory");
    Scale const negative{-1, DataType::kFloat, 1.0f};
    float x = 0.0f;
    ES_EXPECT(LaunchScale(negative, &x, &x, nullptr) == cudaErrorInvalidValue, "negative size");
}

}  // namespace
}  // namespace edgesynth
