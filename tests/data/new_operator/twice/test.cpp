#include "testing/testing.h"
#include "twice/reference.h"
#include "twice/twice.h"

namespace edgesynth {
namespace {

struct Shape {
    int64_t elements;
    char const* why;
};

Shape const kShapes[] = {{1, "one element"},
                         {127, "one idle thread"},
                         {128, "a full block"},
                         {129, "a second block of one thread"}};

ES_TEST(Twice) {
    testing::Random random(1);
    for (Shape const& shape : kShapes) {
        for (DataType const type : {DataType::kFloat, DataType::kHalf}) {
            std::vector<double> const values =
                testing::RoundTo(type, random.Normals(shape.elements));
            testing::ForEveryOrder(shape.why, [&] {
                testing::Activations x(type, values), y(type, shape.elements);
                Twice const twice{shape.elements, type, 2.0f};
                ES_EXPECT_CUDA(LaunchTwice(twice, x.get(), y.get(), nullptr));
                ES_EXPECT_CLOSE(shape.why, y.Host(), ReferenceTwice(2.0, values), {},
                                testing::ToleranceFor(type, 1));
            });
        }
    }
}

}  // namespace
}  // namespace edgesynth
