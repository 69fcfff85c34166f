/* Answers as NVIDIA's libnvidia-ml.so.1 does, from the text file that FAKE_NVML names: our idea of NVML, not
 * the driver. Lines are `key = value`; `[gpu]` and `[mig]` (a slice of the GPU above it) begin a section.
 * `fail.FUNCTION = CODE` makes a function answer CODE, `hang.FUNCTION = 1` makes it never answer,
 * `crash.FUNCTION = 1` makes it take the process along. Sizes are in MiB. Compiled with -DOLD it lacks the
 * calls that drivers before 2015 had not.
 * The signatures are those of https://docs.nvidia.com/deploy/nvml-api/. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, NO_FILE = 9, LOST = 15 };
enum { MOST = 64, KEYS = 48, TEXT = 128 };

typedef struct { char key[64], value[TEXT]; } Entry;
typedef struct { int kind, parent, index, entries; Entry entry[KEYS]; } Section; /* kind 0 machine, 1 GPU, 2 slice */
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } Process;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;

static Section section[MOST];
static int sections, loaded;

static void trim(char *text) {
    char *start = text + strspn(text, " \t");
    memmove(text, start, strlen(start) + 1);
    text[strcspn(text, "\r\n")] = 0;
    for (size_t end = strlen(text); end && strchr(" \t", text[end - 1]); end--) text[end - 1] = 0;
}

static void begin(int kind) {
    int parent = 0, index = 0;
    for (int at = 1; at < sections; at++) {
        if (kind == 1 && section[at].kind == 1) index++;
        if (kind == 2 && section[at].kind == 1) parent = at, index = 0;
        if (kind == 2 && section[at].kind == 2) index++;
    }
    section[sections++] = (Section){.kind = kind, .parent = parent, .index = index};
}

static void load(void) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    sections = 0;
    begin(0);
    loaded = file != NULL;
    while (file && fgets(line, sizeof line, file)) {
        trim(line);
        char *equals = strchr(line, '=');
        if (!strcmp(line, "[gpu]") || !strcmp(line, "[mig]")) begin(line[1] == 'g' ? 1 : 2);
        if (!equals || line[0] == '#' || section[sections - 1].entries == KEYS) continue;
        Entry *entry = &section[sections - 1].entry[section[sections - 1].entries++];
        *equals = 0;
        trim(line);
        trim(equals + 1);
        snprintf(entry->key, sizeof entry->key, "%s", line);
        snprintf(entry->value, sizeof entry->value, "%s", equals + 1);
    }
    if (file) fclose(file);
}

static const char *value(const Section *of, const char *key) {
    for (int at = 0; at < of->entries; at++)
        if (!strcmp(of->entry[at].key, key)) return of->entry[at].value;
    return NULL;
}

static int fault(const char *function, const Section *of) {
    const char *kinds[] = {"fail", "hang", "crash"};
    char key[80];
    for (int kind = 0; kind < 3; kind++) {
        snprintf(key, sizeof key, "%s.%s", kinds[kind], function + 4);
        const char *found = value(&section[0], key);
        if (!found && of) found = value(of, key);
        if (found && kind == 1) for (;;) pause();
        if (found && kind == 2) abort();
        if (found) return atoi(found);
    }
    return of && value(of, "lost") ? LOST : 0;
}

static int text(const char *from, char *to, unsigned size) {
    if (!from) return NOT_SUPPORTED;
    if (strlen(from) >= size) return SMALL;
    strcpy(to, from);
    return 0;
}

static int number(const Section *of, const char *key, unsigned *to) {
    const char *from = value(of, key);
    if (!from) return NOT_SUPPORTED;
    *to = (unsigned)strtoul(from, NULL, 10);
    return 0;
}

#define ASK(of) { int code = fault(__func__, of); if (code) return code; }
#define SIMPLE(name, key) int name(Section *of, unsigned *to) { ASK(of) return number(of, key, to); }

#ifndef OLD
int nvmlInitWithFlags(unsigned flags) { (void)flags; load(); if (!loaded) return NO_FILE; ASK(NULL) return 0; }
#endif
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { ASK(NULL) return text(value(&section[0], "driver"), to, size); }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { ASK(NULL) return number(&section[0], "cuda", (unsigned *)to); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    ASK(NULL)
    *count = 0;
    for (int at = 1; at < sections; at++) *count += section[at].kind == 1;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Section **to) {
    ASK(NULL)
    for (int at = 1; at < sections; at++)
        if (section[at].kind == 1 && section[at].index == (int)index) { *to = &section[at]; return 0; }
    return INVALID;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Section **to) {
    ASK(NULL)
    for (int at = 1; at < sections; at++)
        if (value(&section[at], "uuid") && !strcmp(value(&section[at], "uuid"), uuid)) { *to = &section[at]; return 0; }
    return NOT_FOUND;
}

int nvmlDeviceGetName(Section *of, char *to, unsigned size) {
    ASK(of)
    char named[3 * TEXT];
    const char *profile = value(of, "profile"), *name = value(of->kind == 2 ? &section[of->parent] : of, "name");
    snprintf(named, sizeof named, profile ? "%s MIG %s" : "%s", name ? name : "", profile);
    return text(named, to, size);
}

int nvmlDeviceGetUUID(Section *of, char *to, unsigned size) { ASK(of) return text(value(of, "uuid"), to, size); }
SIMPLE(nvmlDeviceGetMinorNumber, "minor")
SIMPLE(nvmlDeviceGetComputeMode, "compute-mode")
SIMPLE(nvmlDeviceGetPersistenceMode, "persistence")
SIMPLE(nvmlDeviceGetPowerUsage, "power")
SIMPLE(nvmlDeviceGetGpuInstanceId, "gpu-instance")
SIMPLE(nvmlDeviceGetComputeInstanceId, "compute-instance")

int nvmlDeviceGetTemperature(Section *of, int sensor, unsigned *to) { ASK(of) (void)sensor; return number(of, "temperature", to); }

int nvmlDeviceGetPciInfo_v3(Section *of, Pci *to) {
    ASK(of)
    memset(to, 0, sizeof *to);
    return text(value(of, "bus"), to->bus_id, sizeof to->bus_id);
}

int nvmlDeviceGetMemoryInfo(Section *of, Memory *to) {
    ASK(of)
    unsigned total = 0, used = 0;
    int code = number(of, "memory", &total);
    number(of, "used", &used);
    *to = (Memory){(unsigned long long)total << 20, (unsigned long long)(total - used) << 20, (unsigned long long)used << 20};
    return code;
}

int nvmlDeviceGetCudaComputeCapability(Section *of, int *major, int *minor) {
    ASK(of)
    const char *from = value(of, "capability");
    return from && sscanf(from, "%d.%d", major, minor) == 2 ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetMigMode(Section *of, unsigned *now, unsigned *pending) { ASK(of) *pending = 0; return number(of, "mig", now); }
int nvmlDeviceGetEccMode(Section *of, unsigned *now, unsigned *pending) { ASK(of) *pending = 0; return number(of, "ecc", now); }

int nvmlDeviceGetMaxMigDeviceCount(Section *of, unsigned *to) { ASK(of) *to = value(of, "mig") ? 7 : 0; return 0; }

int nvmlDeviceGetMigDeviceHandleByIndex(Section *of, unsigned index, Section **to) {
    ASK(of)
    for (int at = 1; at < sections; at++)
        if (section[at].kind == 2 && &section[section[at].parent] == of && section[at].index == (int)index) {
            *to = &section[at];
            return 0;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetTotalEccErrors(Section *of, int kind, int counter, unsigned long long *to) {
    ASK(of)
    (void)kind, (void)counter;
    unsigned count = 0;
    int code = number(of, "ecc-errors", &count);
    *to = count;
    return code;
}

static int clock_of(Section *of, int kind, const char *prefix, unsigned *to) {
    static const char *const kinds[] = {"graphics", "sm", "memory"};
    char key[64];
    if (kind < 0 || kind > 2) return INVALID;
    snprintf(key, sizeof key, "%s%s-clock", prefix, kinds[kind]);
    return number(of, key, to);
}

int nvmlDeviceGetClockInfo(Section *of, int kind, unsigned *to) { ASK(of) return clock_of(of, kind, "", to); }
int nvmlDeviceGetMaxClockInfo(Section *of, int kind, unsigned *to) { ASK(of) return clock_of(of, kind, "max-", to); }

int nvmlDeviceGetUtilizationRates(Section *of, Utilization *to) {
    ASK(of)
    to->memory = 0;
    return number(of, "utilisation", &to->gpu);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Section *of, unsigned *count, Process *to) {
    ASK(of)
    unsigned found = 0, room = *count;
    for (int at = 0; at < of->entries; at++) {
        unsigned long long memory = 0;
        unsigned pid = 0;
        if (strcmp(of->entry[at].key, "process") || sscanf(of->entry[at].value, "%u %llu", &pid, &memory) < 1) continue;
        if (to && found < room) to[found] = (Process){pid, memory << 20, ~0U, ~0U};
        found++;
    }
    *count = found;
    return found > room || (!to && found) ? SMALL : 0;
}
