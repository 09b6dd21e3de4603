/* The calls of the CUDA runtime that edgesynth_rt makes, on the host's memory and clock.
 * Streams do everything at once and in order, so an event is the time at which it is recorded.
 * What is asked for and given back is counted: see es_live(). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int live = 0, devices = 1, runtime = 10020, fail_next = 0;
static unsigned flags = 99;

int es_live(void) { return live; }
unsigned es_flags(void) { return flags; }
void es_devices(int count) { devices = count; }
void es_runtime(int version) { runtime = version; }
void es_fail_next(int status) { fail_next = status; }

static int status(void) { int s = fail_next; fail_next = 0; return s; }
static int make(void **out, size_t size) {
    int s = status();
    if (s) return s;
    *out = malloc(size);
    live += 1;
    return *out ? 0 : 2;
}
static int drop(void *p) { free(p); live -= p != NULL; return 0; }

const char *cudaGetErrorString(int s) {
    return s == 2 ? "out of memory" : s == 35 ? "CUDA driver version is insufficient" : "unknown";
}
int cudaGetDeviceCount(int *n) { *n = devices < 0 ? 0 : devices; return devices < 0 ? 35 : 0; }
int cudaSetDeviceFlags(unsigned f) { flags = f; return 0; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    if (device != 0) return 101;
    if (attribute == 75) *value = 6;
    else if (attribute == 76) *value = 2;
    else if (attribute == 18) *value = 1;
    else return 1;
    return 0;
}
int cudaRuntimeGetVersion(int *v) { *v = runtime; return 0; }
int cudaDriverGetVersion(int *v) { *v = 10020; return 0; }
int cudaMemGetInfo(size_t *free_, size_t *total) { *free_ = 1 << 20; *total = 8u << 20; return 0; }
/* 712 bytes is cudaDeviceProp of CUDA 10.2; later ones are longer, the name stays in front */
int cudaGetDeviceProperties(char *p, int device) {
    memset(p, 0x5a, 712);
    strcpy(p, "NVIDIA Tegra X2");
    return device ? 101 : 0;
}
int cudaMalloc(void **p, size_t size) { return make(p, size); }
int cudaFree(void *p) { return drop(p); }
int cudaHostAlloc(void **p, size_t size, unsigned f) { return f == 1 || f == 2 ? make(p, size) : 1; }
int cudaFreeHost(void *p) { return drop(p); }
int cudaHostGetDevicePointer(void **d, void *h, unsigned f) { *d = h; return f ? 1 : 0; }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    int s = status();
    if (s || !stream || (kind != 1 && kind != 2)) return s ? s : 1;
    memcpy(to, from, size);
    return 0;
}
int cudaStreamCreateWithFlags(void **s, unsigned f) { return f == 1 ? make(s, 8) : 1; }
int cudaStreamDestroy(void *s) { return drop(s); }
int cudaStreamSynchronize(void *s) { return s ? 0 : 400; }
int cudaEventCreateWithFlags(void **e, unsigned f) {
    int s = f <= 1 ? make(e, sizeof(double)) : 1;
    if (!s) *(double *)*e = -1;
    return s;
}
int cudaEventDestroy(void *e) { return drop(e); }
int cudaEventRecord(void *e, void *stream) {
    struct timespec t;
    if (!stream) return 400;
    clock_gettime(CLOCK_MONOTONIC, &t);
    *(double *)e = t.tv_sec * 1e3 + t.tv_nsec / 1e6;
    return 0;
}
int cudaEventSynchronize(void *e) { return *(double *)e < 0 ? 600 : 0; }
int cudaEventElapsedTime(float *ms, void *a, void *b) {
    if (*(double *)a < 0 || *(double *)b < 0) return 600;
    *ms = (float)(*(double *)b - *(double *)a);
    return 0;
}
