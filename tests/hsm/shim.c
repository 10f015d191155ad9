/* A PKCS#11 module that passes every call to the one in SHIM_REAL, except as SHIM_DOES says:
   "C_Login:hang", "C_Sign:segfault", ... after SHIM_AFTER harmless calls of that function.
   Every C_Login is noted in SHIM_LOGINS with its user type; one without a PIN gets the one that
   is typed on SHIM_PAD, the reader's own. PKCS#11 v2.40, 3.4 gives the
   order of the function list. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef unsigned long CK_RV, CK_ULONG;
typedef unsigned char CK_BYTE;
typedef struct { unsigned char version[2]; void *function[68]; } LIST;
enum { INITIALIZE = 0, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, SIGN = 43 };

static LIST ours, *theirs;
static int calls[68];

/* What a module could do besides its task: read SHIM_FILE, write beside it, call SHIM_PORT. */
static void spy(void) {
    const char *name = getenv("SHIM_FILE");
    char beside[4096];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("SHIM_PORT")))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(beside, sizeof beside, "%s.written", name);
    fprintf(stderr, "read %s\n", access(name, R_OK) ? "no" : "yes");
    fprintf(stderr, "write %s\n", open(beside, O_WRONLY | O_CREAT, 0600) < 0 ? "no" : "yes");
    fprintf(stderr, "call %s\n",
            connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to) ? "no" : "yes");
}

static CK_RV does(int which, const char *name) {
    const char *wanted = getenv("SHIM_DOES"), *after = getenv("SHIM_AFTER");
    size_t length = strlen(name);
    if (!wanted || strncmp(wanted, name, length) || wanted[length] != ':') return 0;
    if (calls[which]++ < (after ? atoi(after) : 0)) return 0;
    wanted += length + 1;
    if (!strcmp(wanted, "segfault")) raise(SIGSEGV);
    if (!strcmp(wanted, "abort")) abort();
    if (!strcmp(wanted, "exit")) exit(0);
    if (!strcmp(wanted, "hang")) for (;;) pause();
    if (!strcmp(wanted, "vendor")) return 0x80001234UL;
    if (!strcmp(wanted, "removed")) return 0x32UL; /* CKR_DEVICE_REMOVED */
    if (!strcmp(wanted, "invalid")) return 0x70UL; /* CKR_MECHANISM_INVALID */
    if (!strcmp(wanted, "pinlocked")) return 0xA4UL;
    if (!strcmp(wanted, "cancel")) return 0x50UL;
    if (!strcmp(wanted, "spy")) spy();
    if (!strcmp(wanted, "print"))
        for (int i = 0; i < 8000; i++) {
            printf("chatter on standard output %d\n", i);
            fprintf(stderr, "chatter on standard error %d\n", i);
        }
    return 0;
}

static CK_RV initialize(void *arguments) {
    CK_RV rv = does(INITIALIZE, "C_Initialize");
    return rv ? rv : ((CK_RV (*)(void *))theirs->function[INITIALIZE])(arguments);
}

static CK_RV login(CK_ULONG session, CK_ULONG user, CK_BYTE *pin, CK_ULONG length) {
    const char *log = getenv("SHIM_LOGINS");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) { fprintf(file, "%lu\n", user); fclose(file); }
    if (getenv("SHIM_TELLS")) { fprintf(stderr, "pin %.*s\n", (int)length, (char *)pin); fflush(stderr); }
    CK_RV rv = does(LOGIN, "C_Login");
    if (rv) return rv;
    const char *pad = getenv("SHIM_PAD");
    if (pad && !pin) { pin = (CK_BYTE *)pad; length = strlen(pad); }
    return ((CK_RV (*)(CK_ULONG, CK_ULONG, CK_BYTE *, CK_ULONG))theirs->function[LOGIN])(
        session, user, pin, length);
}

static CK_RV sign(CK_ULONG session, CK_BYTE *data, CK_ULONG size, CK_BYTE *out, CK_ULONG *length) {
    CK_RV rv = out ? does(SIGN, "C_Sign") : 0;
    const char *wanted = getenv("SHIM_DOES"), *after = getenv("SHIM_AFTER");
    if (rv) return rv;
    rv = ((CK_RV (*)(CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *))theirs->function[SIGN])(
        session, data, size, out, length);
    if (out && wanted && !strcmp(wanted, "C_Sign:flip") && calls[SIGN] > (after ? atoi(after) : 0))
        out[*length / 2] ^= 1;
    return rv;
}

/* SHIM_SWAPPED: a file; once it is there, the slot that it names answers for the one asked for, as
   after a card was exchanged in its reader. */
static CK_ULONG now_in(CK_ULONG slot) {
    const char *name = getenv("SHIM_SWAPPED");
    FILE *file = name ? fopen(name, "r") : NULL;
    if (!file) return slot;
    if (fscanf(file, "%lu", &slot) != 1) abort();
    fclose(file);
    return slot;
}

static CK_RV open_session(CK_ULONG slot, CK_ULONG flags, void *application, void *notify,
                          CK_ULONG *session) {
    return ((CK_RV (*)(CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *))
                theirs->function[OPEN_SESSION])(now_in(slot), flags, application, notify, session);
}

/* SHIM_FLAGS: flags to add to CK_TOKEN_INFO, whose flags stand after 32 + 32 + 16 + 16 bytes;
   "/..." is a file that holds them, read each time.
   SHIM_BROKEN: slots whose token was never initialised answer with an error instead. */
static CK_RV get_token_info(CK_ULONG slot, CK_BYTE *info) {
    CK_RV rv = ((CK_RV (*)(CK_ULONG, CK_BYTE *))theirs->function[GET_TOKEN_INFO])(
        now_in(slot), info);
    const char *flags = getenv("SHIM_FLAGS");
    char read[16] = "";
    CK_ULONG value;
    if (rv) return rv;
    memcpy(&value, info + 96, sizeof value);
    if (getenv("SHIM_BROKEN") && !(value & 0x400)) return 0x30UL; /* CKR_DEVICE_ERROR */
    if (!flags) return rv;
    if (*flags == '/') {
        FILE *file = fopen(flags, "r");
        if (file) { if (!fgets(read, sizeof read, file)) *read = 0; fclose(file); }
        flags = read;
    }
    value |= strtoul(flags, NULL, 16);
    memcpy(info + 96, &value, sizeof value);
    return rv;
}

CK_RV C_GetFunctionList(LIST **list) {
    void *real = dlopen(getenv("SHIM_REAL"), RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(LIST **) = real ? (CK_RV (*)(LIST **))dlsym(real, "C_GetFunctionList") : NULL;
    if (!get || get(&theirs)) return 5;
    ours = *theirs;
    ours.function[INITIALIZE] = (void *)initialize;
    ours.function[GET_TOKEN_INFO] = (void *)get_token_info;
    ours.function[OPEN_SESSION] = (void *)open_session;
    ours.function[LOGIN] = (void *)login;
    ours.function[SIGN] = (void *)sign;
    *list = &ours;
    return 0;
}
