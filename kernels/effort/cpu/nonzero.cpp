#include "effort/cpu/nonzero.h"

#include <algorithm>
#include <memory>

#include "effort/cpu/layer.h"
#include "effort/cpu/tile.h"

namespace edgesynth {
namespace {

constexpr int kMostVectors = 12;       // of filters: their sums stay in registers
constexpr int kLeastFilters = 16;      // of a group: fewer leave the vectors' lanes empty
constexpr int64_t kCached = 28 << 10;  // bytes of weights
constexpr int kPixels = 128;           // outputs that go together
constexpr double kMostNonzero = 0.7;   // of a sample

// The numbers of one group and chunk that are not zero.
struct List {
    std::unique_ptr<float[]> values;
    std::unique_ptr<int32_t[]> places;  // pixel * width + channel of the chunk
    std::vector<int32_t> starts;        // of each pixel of the padded map, and behind the last
};

#if defined(__AVX2__)
// For each mask of eight bits, the places of those that are set.
struct Places {
    uint8_t of[256][8];
    Places() : of() {
        for (int mask = 0; mask < 256; ++mask) {
            int count = 0;
            for (uint8_t i = 0; i < 8; ++i) {
                if ((mask >> i & 1) != 0) of[mask][count++] = i;
            }
        }
    }
};
Places const kPlaces;
#endif

// Appends those of eight numbers that are not zero; writes eight. How many they are.
inline int Append(Float8 const& x, int32_t place, float* values, int32_t* places) {
    uint32_t const mask = BitsOf(x != 0.0f);
#if defined(__AVX2__)
    __m256 numbers;
    std::memcpy(&numbers, &x, sizeof(numbers));
    __m256i const found =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<__m128i const*>(kPlaces.of[mask])));
    _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(numbers, found));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(places),
                        _mm256_add_epi32(found, _mm256_set1_epi32(place)));
#else
    int count = 0;
    for (int i = 0; i < 8; ++i) {
        values[count] = x[i];
        places[count] = place + i;
        count += static_cast<int>(mask >> i & 1u);
    }
#endif
    return __builtin_popcount(mask);
}

List MakeList(EffortCpuRun const& run, int32_t group, int32_t chunk) {
    EffortCpuConv const& layer = run.layer;
    int32_t const width = layer.nonzero.width, first = chunk * width;
    int32_t const added = std::min(run.added - first, width);
    float const* const maps = run.x + int64_t{group} * layer.channels * run.plane;
    List list;
    size_t const plane = static_cast<size_t>(run.plane), most = plane * static_cast<size_t>(added);
    list.values.reset(new float[most + 8]);
    list.places.reset(new int32_t[most + 8]);
    list.starts.resize(plane + 1);
    std::vector<float const*> from;
    for (int32_t i = 0; i < added; ++i) {
        from.push_back(maps + layer.order[static_cast<size_t>(first + i)] * run.plane);
    }
    int32_t count = 0;
    for (int32_t pixel = 0; pixel < run.plane; ++pixel) {
        list.starts[static_cast<size_t>(pixel)] = count;
        for (int32_t i = 0; i < added; i += 8) {
            Float8 const x = Across(from.data() + i, added - i, pixel);
            count +=
                Append(x, pixel * width + i, list.values.get() + count, list.places.get() + count);
        }
    }
    list.starts[plane] = count;
    return list;
}

// Multiplies `count` numbers with the filters' weights for them, of which the first belong to the
// place `first`. Two chains of sums where there are few, so that no addition waits for the one
// before.
template <int kTile>
void AddNumbers(float const* values, int32_t const* places, int32_t count, int32_t first,
                float const* weights, float* to) {
    constexpr int kChains = kTile <= 6 ? 2 : 1;
    constexpr int kRow = 8 * kTile;
    Float8 sums[kChains][kTile] = {};
    for (int i = 0; i < kTile; ++i) sums[0][i] = Load8(to + 8 * i);
    int32_t at = 0;
    for (; at + kChains <= count; at += kChains) {
        for (int chain = 0; chain < kChains; ++chain) {
            float const value = values[at + chain];
            float const* const row = weights + int64_t{places[at + chain] - first} * kRow;
            for (int i = 0; i < kTile; ++i) sums[chain][i] += value * Load8(row + 8 * i);
        }
    }
    if (at < count) {
        float const* const row = weights + int64_t{places[at] - first} * kRow;
        for (int i = 0; i < kTile; ++i) sums[0][i] += values[at] * Load8(row + 8 * i);
    }
    for (int i = 0; i < kTile; ++i) {
        Store8(kChains == 2 ? sums[0][i] + sums[kChains - 1][i] : sums[0][i], to + 8 * i);
    }
}

struct Pixels {
    int32_t group, tile;
    int32_t first, count;
};

// What a thread does for some output pixels and a tile of kTile vectors of filters.
template <int kTile>
class Worker {
  public:
    Worker(EffortCpuRun const& run, std::vector<List> const& lists)
        : run_(run), layer_(run.layer), made_(run.layer.nonzero), lists_(lists) {
        sums_.Resize(static_cast<size_t>(kPixels) * kRow);
    }

    void Compute(Pixels const& pixels, EffortCpuCounts* counts) {
        pixels_ = pixels;
        std::fill_n(sums_.data(), kPixels * kRow, 0.0f);
        for (int32_t i = 0; i < pixels.count; ++i) {
            int32_t const row = (pixels.first + i) / run_.columns;
            int32_t const column = (pixels.first + i) % run_.columns;
            corner_[i] =
                row * layer_.shape.strides[0] * run_.width + column * layer_.shape.strides[1];
        }
        multiplied_ = 0;
        for (int32_t chunk = 0; chunk * made_.width < run_.added; ++chunk) AddChunk(chunk);
        Write();
        if (counts != nullptr) Count(counts);
    }

  private:
    static constexpr int kRow = 8 * kTile;

    void AddChunk(int32_t chunk) {
        ConvShape const& shape = layer_.shape;
        List const& list = lists_[static_cast<size_t>(pixels_.group * made_.chunks + chunk)];
        float const* weights =
            made_.weights.data() + made_.Chunk(pixels_.group, pixels_.tile, chunk);
        int64_t const column = int64_t{made_.width} * kRow;
        // columns of the window whose pixels lie next to each other
        int32_t const joined = shape.dilations[1] == 1 ? shape.kernel[1] : 1;
        for (int32_t line = 0; line < shape.kernel[0]; ++line) {
            for (int32_t j = 0; j < shape.kernel[1]; j += joined, weights += joined * column) {
                AddColumns(list, line * shape.dilations[0] * run_.width + j * shape.dilations[1],
                           joined, weights);
            }
        }
    }

    // Columns of all windows: `count` pixels, the first of which lies `at` behind the corner.
    void AddColumns(List const& list, int32_t at, int32_t count, float const* weights) {
        for (int32_t i = 0; i < pixels_.count; ++i) {
            int32_t const pixel = corner_[i] + at;
            int32_t const begin = list.starts[static_cast<size_t>(pixel)];
            int32_t const numbers = list.starts[static_cast<size_t>(pixel + count)] - begin;
            multiplied_ += numbers;
            AddNumbers<kTile>(list.values.get() + begin, list.places.get() + begin, numbers,
                              pixel * made_.width, weights, sums_.data() + i * kRow);
        }
    }

    // From sums to outputs.
    void Write() const {
        ConvShape const& shape = layer_.shape;
        int32_t const per_group = shape.filters / shape.group, first = pixels_.tile * kRow;
        int32_t const filter = pixels_.group * per_group + first;
        int64_t const map = int64_t{run_.rows} * run_.columns;
        bool const relu = layer_.activation == Activation::kRelu;
        for (int32_t f = 0; f < std::min(int32_t{kRow}, per_group - first); ++f) {
            float* const y = run_.y + (filter + f) * map + pixels_.first;
            float const bias = layer_.bias[static_cast<size_t>(filter + f)];
            float const* const sums = sums_.data() + f;
            for (int32_t i = 0; i < pixels_.count; ++i) {
                float const value = sums[i * kRow] + bias;
                y[i] = relu && value < 0.0f ? 0.0f : value;
            }
        }
    }

    void Count(EffortCpuCounts* counts) const {
        int64_t const filters = std::min(
            int32_t{kRow}, layer_.shape.filters / layer_.shape.group - pixels_.tile * kRow);
        counts->products += filters * pixels_.count * run_.added * layer_.window;
        counts->nonzero += filters * multiplied_;
        counts->executed += filters * multiplied_;
    }

    EffortCpuRun const& run_;
    EffortCpuConv const& layer_;
    EffortCpuNonzero const& made_;
    std::vector<List> const& lists_;
    Pixels pixels_;
    Aligned sums_;             // [pixel][filter of the tile]
    int32_t corner_[kPixels];  // of the windows, as pixels of the padded map
    int64_t multiplied_ = 0;   // numbers
};

template <int kTile>
void RunTile(EffortCpuRun const& run, std::vector<List> const& lists, EffortCpuCounts* counts) {
    EffortCpuNonzero const& made = run.layer.nonzero;
    int64_t const map = int64_t{run.rows} * run.columns;
    int64_t const blocks = DivUp<int64_t>(map, kPixels);
    int64_t const tasks = blocks * made.tiles * run.shape.group;
#pragma omp parallel
    {
        Worker<kTile> worker(run, lists);
        EffortCpuCounts mine{0, 0, 0, 0, 0};
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < tasks; ++task) {
            int32_t const first = static_cast<int32_t>(task % blocks) * kPixels;
            int32_t const tile = static_cast<int32_t>(task / blocks);
            worker.Compute(Pixels{tile / made.tiles, tile % made.tiles, first,
                                  static_cast<int32_t>(std::min<int64_t>(kPixels, map - first))},
                           counts == nullptr ? nullptr : &mine);
        }
        if (counts != nullptr) {
#pragma omp critical
            counts->Add(mine);
        }
    }
}

// Are there enough of them? What pads is none.
bool HasZeros(EffortCpuRun const& run) {
    int64_t const padded = run.shape.channels * run.plane;
    int64_t nonzero = 0;
    for (int64_t i = 0; i < padded; ++i) nonzero += run.x[i] != 0.0f;
    int64_t const all = int64_t{run.shape.channels} * run.shape.height * run.shape.width;
    return static_cast<double>(nonzero) <= kMostNonzero * static_cast<double>(all);
}

using RunOfSome = void (*)(EffortCpuRun const&, std::vector<List> const&, EffortCpuCounts*);
RunOfSome const kRunTile[kMostVectors] = {RunTile<1>, RunTile<2>,  RunTile<3>,  RunTile<4>,
                                          RunTile<5>, RunTile<6>,  RunTile<7>,  RunTile<8>,
                                          RunTile<9>, RunTile<10>, RunTile<11>, RunTile<12>};

}  // namespace

void MakeNonzero(EffortCpuConv* layer) {
    ConvShape const& shape = layer->shape;
    int32_t const filters = shape.filters / shape.group;
    if (layer->knobs.saturation != Saturation::kOff || layer->knobs.sample_period > 1 ||
        layer->takes_means || filters < kLeastFilters) {
        return;
    }
    EffortCpuNonzero& made = layer->nonzero;
    int32_t const vectors = DivUp(filters, 8);
    made.tiles = DivUp(vectors, kMostVectors);
    made.vectors = DivUp(vectors, made.tiles);
    int32_t const row = 8 * made.vectors;
    int64_t const fits = kCached / (int64_t{shape.kernel[1]} * row * 4) / 8 * 8;
    made.width = static_cast<int32_t>(
        std::min<int64_t>(RoundUp(layer->channels, 8), std::max<int64_t>(8, fits)));
    made.chunks = DivUp(layer->channels, made.width);
    made.chunk = int64_t{layer->window} * made.width * row;
    made.weights.Resize(static_cast<size_t>(made.Chunk(shape.group, 0, 0)));
    for (int32_t filter = 0; filter < shape.filters; ++filter) {
        float const* const from = layer->Weights(filter);
        int32_t const in_group = filter % filters;
        for (int32_t rank = 0; rank < layer->channels; ++rank) {
            int64_t const channel = layer->order[static_cast<size_t>(rank)];
            int64_t const to = made.Chunk(filter / filters, in_group / row, rank / made.width) +
                               int64_t{rank % made.width} * row + in_group % row;
            int64_t const column = int64_t{made.width} * row;
            for (int32_t i = 0; i < layer->window; ++i) {
                made.weights.data()[to + i * column] = from[channel * layer->window + i];
            }
        }
    }
}

bool RunNonzero(EffortCpuRun const& run, EffortCpuCounts* counts) {
    EffortCpuNonzero const& made = run.layer.nonzero;
    if (run.plane * made.width > INT32_MAX) return false;  // places are too large
    if (!HasZeros(run)) return false;
    int32_t const lists = run.shape.group * made.chunks;
    std::vector<List> list(static_cast<size_t>(lists));
#pragma omp parallel for schedule(static)
    for (int32_t i = 0; i < lists; ++i) {
        if (i % made.chunks * made.width >= run.added) continue;
        list[static_cast<size_t>(i)] = MakeList(run, i / made.chunks, i % made.chunks);
    }
    kRunTile[made.vectors - 1](run, list, counts);
    return true;
}

}  // namespace edgesynth
