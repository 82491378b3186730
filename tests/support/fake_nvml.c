/* A library that stands for libnvidia-ml.so.1 in tests.
 *
 * What it says is written in the file that the variable FAKE_NVML names, read anew at every call:
 *
 *   driver 580.65.06
 *   device UUID INDEX MEMORY_MIB USED_MIB NAME WITH SPACES
 *   mig UUID INDEX MEMORY_MIB USED_MIB NAME       an instance of the device of that index
 *   process UUID PID USED_MIB [graphics|mps]      -1 for a figure that the driver keeps to itself
 *   session UUID PID
 *   util UUID PERCENT
 *   temperature UUID DEGREES
 *   fail FUNCTION CODE [UUID]                     that call answers the code
 *   hang FUNCTION                                 that call returns when the line is gone
 *
 * As the true library does, it learns which cards there are when it is opened; one that is gone from the
 * file afterwards is lost. With OLD_DRIVER defined it lacks the calls that old drivers lack.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 512
#define DEVICES 32
#define MIB (1ull << 20)

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { char uuid[96]; char name[96]; unsigned index; long long total, used; int mig; } device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process;
typedef struct { unsigned id, pid, vgpu, codec, width, height, fps, latency; } session;
typedef struct { unsigned version, sensor; int degrees; } temperature;

static device known[DEVICES];
static unsigned count;
static int opened;

static FILE *state(void) {
    const char *path = getenv("FAKE_NVML");
    return path ? fopen(path, "r") : NULL;
}

/* The next line that begins with a word; what follows the word, or NULL at the end. */
static char *next(FILE *file, const char *word, char *line) {
    size_t length = strlen(word);
    while (file && fgets(line, LINE, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, word, length) && line[length] == ' ') return line + length + 1;
    }
    if (file) fclose(file);
    return NULL;
}

static int parse(const char *rest, device *out, int mig) {
    memset(out, 0, sizeof *out);
    out->mig = mig;
    return sscanf(rest, "%95s %u %lld %lld %95[^\n]", out->uuid, &out->index, &out->total, &out->used,
                  out->name) >= 4;
}

static int hangs(const char *function) {
    char line[LINE], *rest;
    FILE *file = state();
    while ((rest = next(file, "hang", line)))
        if (!strcmp(rest, function)) { fclose(file); return 1; }
    return 0;
}

/* What every call does first: hang or fail as it is told. */
static int enter(const char *function, const device *of) {
    char line[LINE], *rest, name[96], uuid[96];
    int code;
    while (hangs(function)) usleep(5000);
    if (!opened && strcmp(function, "nvmlInitWithFlags")) return UNINITIALIZED;
    FILE *file = state();
    while ((rest = next(file, "fail", line))) {
        int words = sscanf(rest, "%95s %d %95s", name, &code, uuid);
        if (words >= 2 && !strcmp(name, function) && (words == 2 || (of && !strcmp(uuid, of->uuid)))) {
            fclose(file);
            return code;
        }
    }
    return SUCCESS;
}

/* The same for a call about a card, which is lost where the file tells of it no more. */
static int enter_device(const char *function, const device *of, device *now) {
    char line[LINE], *rest;
    int code = enter(function, of);
    if (code) return code;
    FILE *file = state();
    while ((rest = next(file, of->mig ? "mig" : "device", line)))
        if (parse(rest, now, of->mig) && !strcmp(now->uuid, of->uuid)) { fclose(file); return SUCCESS; }
    return GPU_IS_LOST;
}

static void learn(const char *word, int mig) {
    char line[LINE], *rest;
    FILE *file = state();
    while ((rest = next(file, word, line)))
        if (count < DEVICES && parse(rest, &known[count], mig)) count++;
}

/* A figure that a line "WORD UUID FIGURE" gives; -1 where there is none. */
static long figure(const char *word, const char *uuid) {
    char line[LINE], *rest, name[96];
    long value;
    FILE *file = state();
    while ((rest = next(file, word, line)))
        if (sscanf(rest, "%95s %ld", name, &value) == 2 && !strcmp(name, uuid)) { fclose(file); return value; }
    return -1;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = enter("nvmlInitWithFlags", NULL);
    if (code) return code;
    FILE *file = state();
    if (!file) return DRIVER_NOT_LOADED;
    fclose(file);
    count = 0;
    learn("device", 0);
    learn("mig", 1);
    opened = 1;
    return SUCCESS;
}

int nvmlShutdown(void) {
    int code = enter("nvmlShutdown", NULL);
    if (!code) opened = 0;
    return code;
}

const char *nvmlErrorString(int code) { return code == 999 ? "Unknown Error" : "an error"; }

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    char line[LINE], *rest;
    int code = enter("nvmlSystemGetDriverVersion", NULL);
    if (code) return code;
    FILE *file = state();
    rest = next(file, "driver", line);
    snprintf(version, length, "%s", rest ? rest : "1.0");
    if (rest) fclose(file);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *found) {
    int code = enter("nvmlDeviceGetCount_v2", NULL);
    *found = 0;
    for (unsigned i = 0; i < count; i++) *found += !known[i].mig;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
    device now;
    for (unsigned i = 0; i < count; i++)
        if (!known[i].mig && known[i].index == index) {
            *handle = &known[i];
            return enter_device("nvmlDeviceGetHandleByIndex_v2", &known[i], &now);
        }
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetUUID(device *of, char *uuid, unsigned length) {
    device now;
    int code = enter_device("nvmlDeviceGetUUID", of, &now);
    if (!code) snprintf(uuid, length, "%s", of->uuid);
    return code;
}

int nvmlDeviceGetName(device *of, char *name, unsigned length) {
    device now;
    int code = enter_device("nvmlDeviceGetName", of, &now);
    if (!code) snprintf(name, length, "%s", now.name);
    return code;
}

int nvmlDeviceGetMemoryInfo(device *of, memory *out) {
    device now;
    int code = enter_device("nvmlDeviceGetMemoryInfo", of, &now);
    if (code) return code;
    out->total = now.total * MIB;
    out->used = now.used * MIB;
    out->free = out->total - out->used;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(device *of, utilization *out) {
    device now;
    int code = enter_device("nvmlDeviceGetUtilizationRates", of, &now);
    long percent = figure("util", of->uuid);
    if (code) return code;
    if (percent < 0) return NOT_SUPPORTED;
    out->gpu = (unsigned)percent;
    out->memory = 0;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(device *of, unsigned sensor, unsigned *degrees) {
    device now;
    int code = enter_device("nvmlDeviceGetTemperature", of, &now);
    long found = figure("temperature", of->uuid);
    (void)sensor;
    if (code) return code;
    if (found < 0) return NOT_SUPPORTED;
    *degrees = (unsigned)found;
    return SUCCESS;
}

static int processes(const char *function, const char *kind, device *of, unsigned *length, process *out) {
    char line[LINE], *rest, uuid[96], word[16];
    unsigned pid, found = 0;
    long long used;
    device now;
    int code = enter_device(function, of, &now);
    if (code) return code;
    FILE *file = state();
    while ((rest = next(file, "process", line))) {
        strcpy(word, "compute");
        if (sscanf(rest, "%95s %u %lld %15s", uuid, &pid, &used, word) < 3) continue;
        if (strcmp(uuid, of->uuid) || strcmp(word, kind)) continue;
        if (out && found < *length)
            out[found] = (process){pid, used < 0 ? ~0ull : used * MIB, ~0u, ~0u};
        found++;
    }
    code = found && (!out || found > *length) ? INSUFFICIENT_SIZE : SUCCESS;
    *length = found;
    return code;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetTemperatureV(device *of, temperature *out) {
    unsigned degrees;
    int code = nvmlDeviceGetTemperature(of, out->sensor, &degrees);
    if (!code) out->degrees = (int)degrees;
    return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(device *of, unsigned *length, process *out) {
    return processes("nvmlDeviceGetComputeRunningProcesses_v3", "compute", of, length, out);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(device *of, unsigned *length, process *out) {
    return processes("nvmlDeviceGetGraphicsRunningProcesses_v3", "graphics", of, length, out);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(device *of, unsigned *length, process *out) {
    return processes("nvmlDeviceGetMPSComputeRunningProcesses_v3", "mps", of, length, out);
}
#endif

int nvmlDeviceGetEncoderSessions(device *of, unsigned *length, session *out) {
    char line[LINE], *rest, uuid[96];
    unsigned pid, found = 0;
    device now;
    int code = enter_device("nvmlDeviceGetEncoderSessions", of, &now);
    if (code) return code;
    if (of->mig) return NOT_SUPPORTED;
    FILE *file = state();
    while ((rest = next(file, "session", line))) {
        if (sscanf(rest, "%95s %u", uuid, &pid) < 2 || strcmp(uuid, of->uuid)) continue;
        if (out && found < *length) out[found] = (session){found + 1, pid, 0, 0, 1920, 1080, 30, 1000};
        found++;
    }
    *length = found;
    return SUCCESS;
}

/* A card is in MIG mode where the file gives instances of it. */
int nvmlDeviceGetMigMode(device *of, unsigned *current, unsigned *pending) {
    device now;
    int code = enter_device("nvmlDeviceGetMigMode", of, &now);
    if (code) return code;
    *current = 0;
    for (unsigned i = 0; i < count; i++) *current |= known[i].mig && known[i].index == of->index;
    *pending = *current;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(device *of, unsigned *most) {
    device now;
    *most = 7;
    return enter_device("nvmlDeviceGetMaxMigDeviceCount", of, &now);
}

int nvmlDeviceGetMigDeviceHandleByIndex(device *of, unsigned index, device **handle) {
    device now;
    unsigned number = 0;
    int code = enter_device("nvmlDeviceGetMigDeviceHandleByIndex", of, &now);
    if (code) return code;
    for (unsigned i = 0; i < count; i++)
        if (known[i].mig && known[i].index == of->index && number++ == index) {
            *handle = &known[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}
