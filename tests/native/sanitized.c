/*
 * The C part of the gateway under AddressSanitizer and UBSan: each text in a buffer of exactly its size.
 * Arguments: seed, rounds.
 */
#define _GNU_SOURCE
#include "boardtalk_module.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As shim.c and json.c have them. */
struct boardtalk_helpers {
    int (*message)(mesibo_uint_t, mesibo_uint_t, mesibo_uint_t, mesibo_uint_t, mesibo_uint_t, mesibo_uint_t,
                   mesibo_uint_t, mesibo_uint_t, const char *, const char *, const void *, mesibo_uint_t);
    void (*log)(mesibo_uint_t, const void *, mesibo_uint_t);
    void *others[6];
};
int boardtalk_open(const struct boardtalk_helpers *, module_config_item_t *, size_t);
void boardtalk_layout(size_t, size_t);
void boardtalk_json_length(int);
void boardtalk_close(void);
int64_t boardtalk_deliver(mesibo_module_t *, const mesibo_uint_t *, const char *, const char *, const char *,
                          size_t);
int boardtalk_status(mesibo_module_t *, const mesibo_uint_t *, mesibo_uint_t, const char *, const char *);
/* The older signature of the same function. */
char *without_length(char *src, const char *key, char **next) __asm__("mesibo_util_json_extract");

static const char *const PIECES[] = {"{",     "}",      "[",     "]",    ":",    ",",  "\"key\"", "\"key\": ",
                                     "\"",    "\\",     "\\u00", "null", "12.5", " ",  "\\ud83d", "\\ude00",
                                     "\"a\"", "\\\"x",  "\n",    "true", "\xc3", "\\n", "{\"key\":", "key"};
static unsigned long delivered, logged, found;

static char *exactly(const char *text, size_t len) {
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    return copy;
}

static size_t invent(char *out, size_t room) {
    size_t len = 0;
    int count = rand() % 24;
    while (count--) {
        const char *piece = PIECES[(size_t)rand() % (sizeof PIECES / sizeof *PIECES)];
        if (len + strlen(piece) >= room) break;
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

static void search(void) {
    char text[512], *src, *at, *next, *value;
    size_t len = invent(text, sizeof text);
    if (!len) return;
    boardtalk_json_length(1);
    src = exactly(text, len);
    at = src;
    while ((value = mesibo_util_json_extract(at, (int)(len - (size_t)(at - src)), "key", &next))) {
        found += strlen(value) + 1; /* it has an end, inside */
        if (next < at || next > src + len) abort();
        if (next == src + len || next == at) break;
        at = next;
    }
    free(src);
    boardtalk_json_length(0);
    text[len] = 0;
    src = exactly(text, len + 1);
    without_length(src, "key", NULL);
    free(src);
    boardtalk_json_length(1);
}

static int message(mesibo_uint_t aid, mesibo_uint_t id, mesibo_uint_t refid, mesibo_uint_t groupid,
                   mesibo_uint_t flags, mesibo_uint_t type, mesibo_uint_t expiry, mesibo_uint_t uflags,
                   const char *to, const char *from, const void *text, mesibo_uint_t len) {
    if (aid != 1 || id != 2 || refid != 3 || groupid != 4 || flags != 5 || type != 6 || expiry != 7 || uflags != 8)
        abort();
    if (strcmp(to, "bob") || strcmp(from, "alice")) abort();
    return len && ((const char *)text)[len - 1] == 0 ? -1 : 0;
}

static void note(mesibo_uint_t level, const void *text, mesibo_uint_t len) {
    if (level != 1 || len != strlen(text)) abort();
    __atomic_add_fetch(&logged, 1, __ATOMIC_RELAXED);
}

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text, mesibo_uint_t len) {
    (void)mod;
    if (strlen(text) > len) abort();
    delivered++;
    if (len % 3 == 0) return mesibo_message(mod, p, text, len);
    if (len % 3 == 1) text[len - 1] ^= 1;
    return MESIBO_RESULT_CONSUMED;
}

static mesibo_int_t on_status(mesibo_module_t *mod, mesibo_message_params_t *p) {
    (void)mod;
    if (p->status != 3 || strcmp(p->from, "alice")) abort();
    return MESIBO_RESULT_OK;
}

static void *talk(void *data) {
    int size;
    for (size = 1; size < 6000; size += 97) mesibo_log(data, 1, "%*d %s", size, size, "done");
    return data;
}

static void deliver(mesibo_module_t *mod) {
    static const mesibo_uint_t words[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    size_t len = rand() % 20 ? (size_t)(rand() % 70) : (size_t)(rand() % (64 * 1024 + 1));
    char *text = malloc(len + 1);
    int64_t result;
    memset(text, 'a', len);
    text[len] = 0;
    result = boardtalk_deliver(mod, words, "bob", "alice", text, len);
    if ((result & 0xFFFFFFFF) != (len % 3 != 0) || (result >> 32) != (len % 3 == 1)) abort();
    if (boardtalk_status(mod, words, 3, "bob", "alice")) abort();
    free(text);
}

int main(int count, char **arguments) {
    struct boardtalk_helpers helpers = {message, note, {NULL}};
    char key[] = "name", given[] = "value";
    module_config_item_t items[] = {{key, given}};
    mesibo_module_t mod;
    pthread_t threads[4];
    long rounds = count > 2 ? atol(arguments[2]) : 1000, round;
    srand(count > 1 ? (unsigned)atoi(arguments[1]) : 1);
    memset(&mod, 0, sizeof mod);
    mod.on_message = on_message;
    mod.on_message_status = on_status;
    if (boardtalk_open(&helpers, items, 1)) return 1;
    boardtalk_layout(15, 16);
    for (round = 0; round < 4; round++) pthread_create(&threads[round], NULL, talk, &mod);
    for (round = 0; round < rounds; round++) {
        search();
        deliver(&mod);
    }
    for (round = 0; round < 4; round++) pthread_join(threads[round], NULL);
    if (mesibo_util_getconfig(&mod, "name") != given || mesibo_util_getconfig(&mod, "no")) abort();
    boardtalk_close();
    if (mesibo_log(&mod, 1, "nobody hears this") != -1) abort();
    printf("%lu delivered, %lu logged, %lu found\n", delivered, logged, found);
    return 0;
}
