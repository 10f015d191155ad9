/* A PKCS#11 module that enters the mount and IPC namespaces of the process ENTER_PID, then is
   the module ENTER_REAL: for a module whose daemon's paths are compiled in. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static int enter(const char *kind) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", atoi(getenv("ENTER_PID")), kind);
    return setns(open(path, O_RDONLY | O_CLOEXEC), 0);
}

unsigned long C_GetFunctionList(void **list) {
    void *real;
    unsigned long (*get)(void **);
    if (enter("ipc") || enter("mnt")) { perror("namespaces"); return 5; }
    real = dlopen(getenv("ENTER_REAL"), RTLD_NOW | RTLD_LOCAL);
    get = real ? (unsigned long (*)(void **))dlsym(real, "C_GetFunctionList") : NULL;
    if (!get) { fprintf(stderr, "%s\n", dlerror()); return 5; }
    return get(list);
}
