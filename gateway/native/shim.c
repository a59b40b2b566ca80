/*
 * The helpers of native modules, as the symbols that they are linked against, and the way to on_message.
 *
 * Opened with RTLD_GLOBAL, before the module. The work is done in Python: here is what that can't do, which is
 * varargs, a buffer with a guard behind it, and the few helpers that need nobody.
 */
#define _GNU_SOURCE
#include "boardtalk_module.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_BYTES 64
#define LOG_BYTES 4096
#define LONGEST_TEXT (64 * 1024)
#define ALIGNED_TO 16
/* The helpers are Python, which takes more of a stack than C does. */
#define LEAST_STACK (512 * 1024)
#define USUAL_STACK (1024 * 1024)
#define THREAD_NAME_BYTES 16

/* Words of a parameters block that are alike in all layouts: aid … uflags. */
#define SHARED_WORDS 8
#define MOST_WORDS 17
#define STATUS_WORD 8

/* What Python does. */
struct boardtalk_helpers {
    int (*message)(mesibo_uint_t aid, mesibo_uint_t id, mesibo_uint_t refid, mesibo_uint_t groupid,
                   mesibo_uint_t flags, mesibo_uint_t type, mesibo_uint_t expiry, mesibo_uint_t uflags,
                   const char *to, const char *from, const void *text, mesibo_uint_t len);
    void (*log)(mesibo_uint_t level, const void *text, mesibo_uint_t len);
    int (*http)(const void *request, void *cbdata);
    int (*fetch)(const char *url, const char *post, void *callback, void *cbdata);
    int (*fcgi)(const void *request, const char *host, int port, void *callback, void *cbdata);
    int (*connect)(const void *socket, void *cbdata);
    int (*write)(mesibo_int_t socket, const void *data, mesibo_int_t len);
    void (*close)(mesibo_int_t socket);
};

static struct boardtalk_helpers helpers;
static atomic_bool in_service;
static size_t to_word, from_word;
static module_config_item_t *config;
static size_t config_count;
static char *guard; /* the first byte behind the buffer; nobody may touch it */

int boardtalk_open(const struct boardtalk_helpers *given, module_config_item_t *items, size_t count);
void boardtalk_layout(size_t to, size_t from);
void boardtalk_close(void);
char *boardtalk_text(size_t len);
int64_t boardtalk_deliver(mesibo_module_t *mod, const mesibo_uint_t words[SHARED_WORDS], const char *to,
                          const char *from, const char *text, size_t len);
int boardtalk_status(mesibo_module_t *mod, const mesibo_uint_t words[SHARED_WORDS], mesibo_uint_t status,
                     const char *to, const char *from);
mesibo_int_t mesibo_http(mesibo_module_t *mod, const char *url, const char *post, void *callback, void *cbdata,
                         void *options);

/* Begin. 0, or an errno. The items stay where they are. */
int boardtalk_open(const struct boardtalk_helpers *given, module_config_item_t *items, size_t count) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (LONGEST_TEXT / page + 1) * page;
    char *buffer = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) return errno;
    guard = buffer + size;
    if (mprotect(guard, page, PROT_NONE)) return errno;
    helpers = *given;
    config = items;
    config_count = count;
    setvbuf(stdout, NULL, _IOLBF, 0); /* it is a pipe: what is printed shall be seen at once */
    in_service = 1;
    return 0;
}

/* Where in a parameters block, in words, the addresses stand. */
void boardtalk_layout(size_t to, size_t from) {
    to_word = to;
    from_word = from;
}

/* Python is about to end: threads of the module find nobody any more. */
void boardtalk_close(void) { in_service = 0; }

/* Where a text of this length lies while on_message runs: its NUL is as near to the guard as can be. */
char *boardtalk_text(size_t len) {
    return guard - (len + ALIGNED_TO) / ALIGNED_TO * ALIGNED_TO;
}

static void fill(mesibo_uint_t params[MOST_WORDS], const mesibo_uint_t words[SHARED_WORDS], const char *to,
                 const char *from, char to_[ADDRESS_BYTES], char from_[ADDRESS_BYTES]) {
    memset(params, 0, MOST_WORDS * sizeof *params);
    memcpy(params, words, SHARED_WORDS * sizeof *params);
    snprintf(to_, ADDRESS_BYTES, "%s", to);
    snprintf(from_, ADDRESS_BYTES, "%s", from);
    params[to_word] = (mesibo_uint_t)to_;
    params[from_word] = (mesibo_uint_t)from_;
}

/* Call on_message: its result in the low half, in the high one whether it changed the text. */
int64_t boardtalk_deliver(mesibo_module_t *mod, const mesibo_uint_t words[SHARED_WORDS], const char *to,
                          const char *from, const char *text, size_t len) {
    mesibo_uint_t params[MOST_WORDS];
    char to_[ADDRESS_BYTES], from_[ADDRESS_BYTES], *buffer;
    uint32_t result;
    if (!mod->on_message) return MESIBO_RESULT_PASS;
    if (len > LONGEST_TEXT) return MESIBO_RESULT_FAIL;
    buffer = boardtalk_text(len);
    memcpy(buffer, text, len);
    memset(buffer + len, 0, (size_t)(guard - buffer) - len);
    fill(params, words, to, from, to_, from_);
    result = (uint32_t)mod->on_message(mod, (mesibo_message_params_t *)params, buffer, len);
    return (int64_t)result | (int64_t)(memcmp(buffer, text, len) != 0) << 32;
}

/* Call on_message_status. Those that take two arguments do not see the third. */
int boardtalk_status(mesibo_module_t *mod, const mesibo_uint_t words[SHARED_WORDS], mesibo_uint_t status,
                     const char *to, const char *from) {
    mesibo_uint_t params[MOST_WORDS];
    char to_[ADDRESS_BYTES], from_[ADDRESS_BYTES];
    mesibo_int_t (*call)(mesibo_module_t *, mesibo_message_params_t *, mesibo_uint_t) =
        (mesibo_int_t(*)(mesibo_module_t *, mesibo_message_params_t *, mesibo_uint_t))(void (*)(void))
            mod->on_message_status;
    if (!call) return MESIBO_RESULT_OK;
    fill(params, words, to, from, to_, from_);
    if (to_word > STATUS_WORD) params[STATUS_WORD] = status;
    return (int)call(mod, (mesibo_message_params_t *)params, status);
}

MESIBO_EXPORT mesibo_int_t mesibo_message(mesibo_module_t *mod, mesibo_message_params_t *params,
                                          const char *message, mesibo_uint_t len) {
    const mesibo_uint_t *words = (const mesibo_uint_t *)params;
    (void)mod;
    if (!in_service || !params || (!message && len)) return MESIBO_RESULT_FAIL;
    return helpers.message(words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7],
                           (const char *)words[to_word], (const char *)words[from_word], message, len);
}

MESIBO_EXPORT mesibo_int_t mesibo_vlog(mesibo_module_t *mod, mesibo_uint_t level, const char *format,
                                       va_list args) {
    char here[LOG_BYTES], *text = here;
    va_list again;
    int len;
    (void)mod;
    if (!in_service || !format) return MESIBO_RESULT_FAIL;
    va_copy(again, args);
    len = vsnprintf(here, sizeof here, format, args);
    if (len >= (int)sizeof here) {
        text = len < LONGEST_TEXT ? malloc((size_t)len + 1) : NULL;
        if (text)
            vsnprintf(text, (size_t)len + 1, format, again);
        else
            text = here, len = sizeof here - 1;
    }
    va_end(again);
    if (len >= 0) helpers.log(level, text, (mesibo_uint_t)len);
    if (text != here) free(text);
    return len < 0 ? MESIBO_RESULT_FAIL : MESIBO_RESULT_OK;
}

MESIBO_EXPORT mesibo_int_t mesibo_log(mesibo_module_t *mod, mesibo_uint_t level, const char *format, ...) {
    va_list args;
    mesibo_int_t result;
    va_start(args, format);
    result = mesibo_vlog(mod, level, format, args);
    va_end(args);
    return result;
}

MESIBO_EXPORT mesibo_int_t mesibo_util_http(mesibo_http_t *req, void *cbdata) {
    if (!in_service || !req || !req->url) return MESIBO_RESULT_FAIL;
    return helpers.http(req, cbdata);
}

/* Of the first release, whose modules have 176 bytes. */
MESIBO_EXPORT mesibo_int_t mesibo_http(mesibo_module_t *mod, const char *url, const char *post, void *callback,
                                       void *cbdata, void *options) {
    (void)mod, (void)options;
    if (!in_service || !url) return MESIBO_RESULT_FAIL;
    return helpers.fetch(url, post, callback, cbdata);
}

MESIBO_EXPORT mesibo_int_t mesibo_util_fcgi(mesibo_fcgi_t *req, const char *host, mesibo_int_t port,
                                            mesibo_int_t keepalive, mesibo_fcgi_ondata_t cb, void *cbdata) {
    (void)keepalive; /* each request has a connection of its own */
    if (!in_service || !req || !host) return MESIBO_RESULT_FAIL;
    return helpers.fcgi(req, host, (int)port, (void *)(uintptr_t)cb, cbdata);
}

MESIBO_EXPORT mesibo_int_t mesibo_util_socket_connect(mesibo_socket_t *sock, void *cbdata) {
    if (!in_service || !sock || !sock->url) return MESIBO_RESULT_FAIL;
    return helpers.connect(sock, cbdata);
}

MESIBO_EXPORT mesibo_int_t mesibo_util_socket_write(mesibo_int_t sock, const char *data, mesibo_int_t len) {
    if (!in_service || len < 0 || (!data && len)) return MESIBO_RESULT_FAIL;
    return helpers.write(sock, data, len);
}

MESIBO_EXPORT void mesibo_util_socket_close(mesibo_int_t sock) {
    if (in_service) helpers.close(sock);
}

MESIBO_EXPORT char *mesibo_util_getconfig(mesibo_module_t *mod, const char *name) {
    size_t index;
    (void)mod;
    for (index = 0; name && index < config_count; index++)
        if (!strcmp(config[index].name, name)) return config[index].value;
    return NULL;
}

struct start {
    void *(*fn)(void *);
    void *data;
    char name[THREAD_NAME_BYTES];
};

static void *begin(void *given) {
    struct start start = *(struct start *)given;
    free(given);
    if (*start.name) pthread_setname_np(pthread_self(), start.name);
    return start.fn(start.data);
}

MESIBO_EXPORT void mesibo_util_create_thread(void *(*fn)(void *), void *data, size_t stacksize,
                                             const char *name) {
    pthread_attr_t attributes;
    pthread_t thread;
    struct start *start = malloc(sizeof *start);
    int error = ENOMEM;
    if (!stacksize) stacksize = USUAL_STACK;
    if (stacksize < LEAST_STACK) stacksize = LEAST_STACK;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (stacksize + 0xFFFF) & ~(size_t)0xFFFF);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (start) {
        start->fn = fn;
        start->data = data;
        snprintf(start->name, sizeof start->name, "%s", name ? name : "");
        error = pthread_create(&thread, &attributes, begin, start);
    }
    if (error) {
        free(start);
        mesibo_log(NULL, 0, "thread %s does not start: %s", name ? name : "", strerror(error));
    }
    pthread_attr_destroy(&attributes);
}

MESIBO_EXPORT mesibo_int_t mesibo_util_usec(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
