#include "common/entries.h"
#include "common/staged.h"
#include "scale/scale.h"

ES_ENTRY int32_t es_scale_host(int32_t type, int64_t const* shape, void const* x, float factor,
                               void* y) {
    using edgesynth::Staged;
    edgesynth::Scale const scale{shape[0] * shape[1], static_cast<edgesynth::DataType>(type),
                                 factor};
    int64_t const bytes = scale.count * edgesynth::SizeOf(scale.type);
    edgesynth::FirstError error;
    Staged const input(x, bytes, &error);
    Staged output(bytes, &error);
    if (!error.Ok()) return error.Get();
    error.Note(edgesynth::LaunchScale(scale, input.As<void>(), output.As<void>(), nullptr));
    error.Note(cudaDeviceSynchronize());
    output.CopyTo(y);
    return error.Get();
}
