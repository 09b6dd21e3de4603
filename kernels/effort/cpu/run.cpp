#include <algorithm>
#include <cmath>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "effort/cpu/tile.h"

namespace edgesynth {
namespace {

constexpr int64_t kSlack = 8;  // numbers before the first map and behind the last

// x with zeros around every map, as far as windows reach, and where it is too small to count.
std::vector<float> Padded(ConvShape const& shape, float const* x, int32_t height, int32_t width,
                          float threshold) {
    int64_t const maps = int64_t{shape.samples} * shape.channels;
    std::vector<float> padded(static_cast<size_t>(maps * height * width + 2 * kSlack), 0.0f);
#pragma omp parallel for schedule(static)
    for (int64_t map = 0; map < maps; ++map) {
        for (int32_t row = 0; row < shape.height; ++row) {
            float const* const from = x + (map * shape.height + row) * shape.width;
            float* const to = padded.data() + kSlack +
                              (map * height + row + shape.pads[0]) * width + shape.pads[1];
            for (int32_t i = 0; i < shape.width; ++i) {
                to[i] = std::fabs(from[i]) < threshold ? 0.0f : from[i];
            }
        }
    }
    return padded;
}

// Memory of a thread that fills maps: samples, and for pairs a line of each kind of output.
struct Filling {
    std::vector<float> samples, beside, below, between;
    std::vector<int32_t> agree;
};

// The samples of one map, each line and column of them once more at the end.
void CopySamples(EffortCpuRun const& run, float const* map, int32_t rows, float* to) {
    int32_t const period = run.layer.knobs.sample_period, columns = run.sample_columns;
    for (int32_t row = 0; row <= rows; ++row) {
        float const* const line = map + int64_t{std::min(row, rows - 1)} * period * run.columns;
        float* const out = to + int64_t{row} * (columns + 1);
        int32_t column = 0;
        if (period == 2) {
            for (; column + 8 <= columns; column += 8) {
                Store8(LoadEveryOther8(line + 2 * column), out + column);
            }
        }
        for (; column < columns; ++column) out[column] = line[column * period];
        out[columns] = out[columns - 1];
    }
}

// Which cells of a line agree; reads and writes whole vectors.
void Agree(EffortKnobs const& knobs, float const* top, float const* bottom, int32_t cells,
           int32_t* agree) {
    for (int32_t i = 0; i < cells; i += 8) {
        Float8 most = Load8(top + i), least = most, sum = most;
        for (float const* const corner : {top + i + 1, bottom + i, bottom + i + 1}) {
            Float8 const x = Load8(corner);
            most = x > most ? x : most;
            least = x < least ? x : least;
            sum += x;  // NaN if one is
        }
        Int8 const agrees =
            (most < knobs.sample_below) & (most - least < knobs.sample_within) & (sum == sum);
        std::memcpy(agree + i, &agrees, sizeof(agrees));
    }
}

// Fills the outputs of the cells of a line that agree.
void FillCells(EffortCpuRun const& run, float const* top, float const* bottom, int32_t below,
               int32_t const* agree, float* line) {
    int32_t const period = run.layer.knobs.sample_period;
    for (int32_t i = 0; i < run.sample_columns; ++i) {
        if (agree[i] == 0) continue;
        int32_t const beside = std::min(period, run.columns - i * period);
        for (int32_t a = 0; a < below; ++a) {
            for (int32_t b = a == 0 ? 1 : 0; b < beside; ++b) {
                float const down = static_cast<float>(a) / static_cast<float>(period);
                float const over = static_cast<float>(b) / static_cast<float>(period);
                float const first = top[i] + over * (top[i + 1] - top[i]);
                float const second = bottom[i] + over * (bottom[i + 1] - bottom[i]);
                line[int64_t{a} * run.columns + i * period + b] = first + down * (second - first);
            }
        }
    }
}

// even[0] odd[0] even[1] ..., `count` numbers in all.
void Interleave(float const* even, float const* odd, int32_t count, float* __restrict__ to) {
    int32_t const pairs = count / 2;
    for (int32_t i = 0; i < pairs; ++i) {
        to[2 * i] = even[i];
        to[2 * i + 1] = odd[i];
    }
    if (count % 2 != 0) to[count - 1] = even[pairs];
}

// FillCells for a period of 2, with vectors: what does not agree is filled too, and computed later.
void FillPairs(EffortCpuRun const& run, float const* top, float const* bottom, int32_t below,
               float* line, Filling* memory) {
    int32_t const cells = run.sample_columns;
    float* const beside = memory->beside.data();
    float* const under = memory->below.data();
    float* const between = memory->between.data();
    for (int32_t i = 0; i < cells; ++i) {
        float const first = top[i] + 0.5f * (top[i + 1] - top[i]);
        float const second = bottom[i] + 0.5f * (bottom[i + 1] - bottom[i]);
        beside[i] = first;
        under[i] = top[i] + 0.5f * (bottom[i] - top[i]);
        between[i] = first + 0.5f * (second - first);
    }
    Interleave(top, beside, run.columns, line);
    if (below > 1) Interleave(under, between, run.columns, line + run.columns);
}

// Decides every cell of a map, and fills the outputs of those whose corners agree. How many.
int64_t FillMap(EffortCpuRun const& run, float* map, int32_t rows, Filling* memory,
                int32_t* agree) {
    EffortKnobs const& knobs = run.layer.knobs;
    int32_t const period = knobs.sample_period, columns = run.sample_columns;
    CopySamples(run, map, rows, memory->samples.data());
    int64_t filled = 0;
    for (int32_t row = 0; row < rows; ++row) {
        float const* const top = memory->samples.data() + int64_t{row} * (columns + 1);
        float const* const bottom = top + columns + 1;
        int32_t* const here = memory->agree.data();
        Agree(knobs, top, bottom, columns, here);
        std::copy_n(here, columns, agree + int64_t{row} * columns);
        int32_t const below = std::min(period, run.rows - row * period);
        float* const line = map + int64_t{row} * period * run.columns;
        if (period == 2) {
            FillPairs(run, top, bottom, below, line, memory);
        } else {
            FillCells(run, top, bottom, below, here, line);
        }
        for (int32_t i = 0; i < columns; ++i) {
            int32_t const beside = std::min(period, run.columns - i * period);
            filled -= here[i] * (below * beside - 1);
        }
    }
    return filled;
}

void FillMaps(EffortCpuRun const& run, std::vector<int32_t>* agree, EffortCpuCounts* counts) {
    ConvShape const& shape = run.shape;
    int32_t const rows = DivUp(run.rows, run.layer.knobs.sample_period);
    int64_t const cells = int64_t{rows} * run.sample_columns;
    int64_t const maps = int64_t{shape.samples} * shape.filters;
    agree->resize(static_cast<size_t>(maps * cells));
    int64_t filled = 0;
#pragma omp parallel reduction(+ : filled)
    {
        size_t const columns = static_cast<size_t>(run.sample_columns) + 1;
        Filling memory{std::vector<float>(columns * static_cast<size_t>(rows + 1) + 8),
                       std::vector<float>(columns), std::vector<float>(columns),
                       std::vector<float>(columns), std::vector<int32_t>(columns + 8)};
#pragma omp for schedule(static)
        for (int64_t map = 0; map < maps; ++map) {
            filled += FillMap(run, run.y + map * run.rows * run.columns, rows, &memory,
                              agree->data() + map * cells);
        }
    }
    if (counts != nullptr) counts->filled += filled;
}

int Threads() {
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// Outputs whose row and column leave the rest `phase` when divided by the sample period.
void RunPhase(EffortCpuRun const& run, int32_t const (&phase)[2], EffortCpuCounts* counts) {
    ConvShape const& shape = run.shape;
    int32_t const period = run.layer.knobs.sample_period;
    int32_t const rows = DivUp(std::max(0, run.rows - phase[0]), period);
    int32_t const columns = DivUp(std::max(0, run.columns - phase[1]), period);
    if (rows == 0 || columns == 0) return;
    int32_t const per_group = shape.filters / shape.group;
    int64_t const tiles = DivUp<int64_t>(int64_t{rows} * columns, kLanes);
    int64_t const places = shape.samples * shape.group * tiles;
    // A small map is shared out by filters too, so that every thread has something.
    int32_t const pieces = static_cast<int32_t>(
        std::max<int64_t>(1, std::min<int64_t>(DivUp(per_group, 24), 4 * Threads() / places)));
    int32_t const piece = RoundUp(DivUp(per_group, pieces), 6);
#pragma omp parallel
    {
        EffortCpuTile tile(run);
        EffortCpuCounts mine{0, 0, 0, 0, 0};
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < places * pieces; ++task) {
            int64_t const place = task / pieces;
            int32_t const first = static_cast<int32_t>(task % pieces) * piece;
            if (first >= per_group) continue;
            tile.Compute(EffortCpuPlace{place / tiles / shape.group,
                                        static_cast<int32_t>(place / tiles % shape.group),
                                        first,
                                        std::min(per_group, first + piece),
                                        {phase[0], phase[1]},
                                        rows,
                                        columns,
                                        static_cast<int32_t>(place % tiles) * kLanes},
                         counts == nullptr ? nullptr : &mine);
        }
        if (counts != nullptr) {
#pragma omp critical
            counts->Add(mine);
        }
    }
}

// Each sample without its zeros, where it has enough of them.
void RunSamples(EffortCpuRun run, EffortCpuCounts* counts) {
    int32_t const samples = run.shape.samples;
    run.shape.samples = 1;
    for (int32_t sample = 0; sample < samples; ++sample) {
        if (!RunNonzero(run, counts)) RunPhase(run, {0, 0}, counts);
        run.x += run.shape.channels * run.plane;
        run.y += int64_t{run.shape.filters} * run.rows * run.columns;
    }
}

}  // namespace

bool RunEffortCpuConv(EffortCpuConv const& layer, float const* x, int32_t samples, int32_t height,
                      int32_t width, int32_t effort, bool skips_zeros, float* y,
                      EffortCpuCounts* counts) {
    ConvShape shape = layer.shape;
    shape.samples = samples;
    shape.height = height;
    shape.width = width;
    if (!IsValid(shape)) return false;
    if (samples == 0) return true;
    int32_t const period = layer.knobs.sample_period;
    int32_t const rows = static_cast<int32_t>(OutputSide(shape, 0));
    int32_t const columns = static_cast<int32_t>(OutputSide(shape, 1));
    float const threshold = layer.knobs.input_threshold;
    bool const pads =
        shape.pads[0] + shape.pads[1] + shape.pads[2] + shape.pads[3] > 0 || threshold > 0.0f;
    int32_t const padded_height = height + shape.pads[0] + shape.pads[2];
    int32_t const padded_width = width + shape.pads[1] + shape.pads[3];
    std::vector<float> const padded =
        pads ? Padded(shape, x, padded_height, padded_width, threshold) : std::vector<float>();
    int32_t const level =
        std::min(std::max(effort, 0), static_cast<int32_t>(layer.levels.size()) - 1);
    EffortCpuRun run{layer,
                     shape,
                     pads ? padded.data() + kSlack : x,
                     pads,
                     padded_width,
                     int64_t{padded_height} * padded_width,
                     rows,
                     columns,
                     layer.levels[static_cast<size_t>(level)],
                     skips_zeros,
                     y,
                     nullptr,
                     DivUp(columns, period),
                     {}};
    std::vector<float> packed[kParts];
    for (size_t i = 0; i < layer.parts.size(); ++i) {
        PackPart(layer, layer.parts[i], run.x, samples, run.plane, run.added, &packed[i]);
        run.parts[i] = packed[i].data();
    }
    if (skips_zeros && layer.nonzero.chunks > 0) {
        RunSamples(run, counts);
        return true;
    }
    RunPhase(run, {0, 0}, counts);
    if (period == 1) return true;
    std::vector<int32_t> agree;
    FillMaps(run, &agree, counts);
    run.agree = agree.data();
    for (int32_t phase = 1; phase < period * period; ++phase) {
        RunPhase(run, {phase / period, phase % period}, counts);
    }
    return true;
}

}  // namespace edgesynth
