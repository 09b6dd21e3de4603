/* A libnvidia-ml with the functions that are used, answering as NVIDIA_FAKE says:
 *   counter   a GPU with an energy counter: 250 J more at each question
 *   power     a GPU without one, 61.5 W
 *   tegra     the GPU is found, every question is "Not Supported"
 *   lost      the first two readings work, then the GPU has fallen off the bus
 *   nodriver  the library without a driver
 * Types and numbers are those of NVIDIA's nvml.h. */
#include <stdlib.h>
#include <string.h>

typedef struct nvmlDevice_st *nvmlDevice_t;
static unsigned long long energy_mj = 5000000000000ULL; /* beyond 32 bits, as after 57 days */
static int questions = 0;

static int is(const char *kind) {
    const char *wanted = getenv("NVIDIA_FAKE");
    return wanted && !strcmp(wanted, kind);
}

int nvmlInit_v2(void) { return is("nodriver") ? 9 : 0; }
int nvmlShutdown(void) { return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    if (index != 0) return 2;
    *device = (nvmlDevice_t)&energy_mj;
    return 0;
}

int nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts) {
    if (device != (nvmlDevice_t)&energy_mj) return 2;
    if (is("tegra")) return 3;
    *milliwatts = 61500;
    return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *millijoules) {
    if (device != (nvmlDevice_t)&energy_mj) return 2;
    if (is("tegra") || is("power")) return 3;
    if (is("lost") && ++questions > 2) return 15;
    energy_mj += 250000;
    *millijoules = energy_mj;
    return 0;
}

const char *nvmlErrorString(int code) {
    switch (code) {
    case 2: return "Invalid Argument";
    case 3: return "Not Supported";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    default: return "Unknown Error";
    }
}
