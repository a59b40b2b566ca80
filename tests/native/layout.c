/* As modules of the first release are (SIZE 176), or as the documentation prints the structures (112). */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef intptr_t word;
struct params;
struct user;
typedef struct module {
    word version, flags;
    const char *name, *description;
    void *ctx;
    struct {
        int count;
        struct {
            char *name, *value;
        } items[];
    } * config;
    word (*on_cleanup)(struct module *);
    word (*on_message)(struct module *, struct params *, char *, word);
    word (*on_message_status)(struct module *, struct params *, word);
    word (*on_call)(struct module *), (*on_call_status)(struct module *);
    word (*on_login)(struct module *, struct user *);
    uint64_t signature;
#if SIZE == 176
    word reserved[8];
#endif
    void *invoke;
} module_t;

struct params {
    word aid, id, refid, groupid, flags, type, expiry, to_online;
#if SIZE == 176
    word reserved[4];
#endif
    char *to, *from;
};

struct user {
    word flags;
#if SIZE == 176
    word online;
    char *address;
    word reserved[4];
#else
    char *address;
    word online;
#endif
};

_Static_assert(sizeof(module_t) == SIZE, "the size is what it is about");

extern word mesibo_log(module_t *, word, const char *, ...);
extern word mesibo_message(module_t *, struct params *, const char *, word);
extern char *mesibo_util_json_extract(char *, const char *, char **);
extern char *mesibo_util_getconfig(module_t *, const char *);
extern word mesibo_http(module_t *, const char *, const char *,
                        word (*)(void *, word, word, const char *, word), void *, void *);

/* Whoever reads 64 bits of a result reads nonsense: some modules return `int`. */
#define ONLY_LOW_BITS(result) ((result) | (word)0x5a5a5a5a << 32)

static char heard[1024];

static void hear(const char *what, const char *who, word value) {
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "%s %s %ld; ", what, who, (long)value);
}

static word on_data(void *mod, word state, word progress, const char *data, word size) {
    (void)state;
    mesibo_log(mod, 0, "got %ld: %.*s", (long)progress, (int)size, data ? data : "");
    return 0;
}

static word on_message(module_t *mod, struct params *p, char *text, word len) {
    struct params back = *p;
    char *next, *found;
    if (text[0] == '=') {
        memcpy(text, mod->config->items[0].value, strlen(mod->config->items[0].value));
        return ONLY_LOW_BITS(0);
    }
    if (!strncmp(text, "http", 4)) return ONLY_LOW_BITS(!mesibo_http(mod, text, "q=1", on_data, mod, NULL));
    found = mesibo_util_json_extract(text, "word", &next);
    back.to = p->from;
    back.from = p->to;
    back.refid = p->id;
    back.id = 7;
    mesibo_message(mod, &back, found ? found : heard, strlen(found ? found : heard));
    return ONLY_LOW_BITS(1);
}

static word on_message_status(module_t *mod, struct params *p, word status) {
    hear("status", p->from, status + 1000 * (p->id == 7));
    return 0;
}

static word on_login(module_t *mod, struct user *user) {
    hear("login", user->address, user->online);
    return 0;
}

long mesibo_module_layout_init(word version, module_t *m, word len) {
    if (version != 1) return -1;
    if (len != sizeof *m) {
        mesibo_log(m, 0, "module size mismatch\n");
        return -1;
    }
    if (m->signature != 0xAA55773388FF1100) return -1;
    m->on_message = on_message;
    m->on_message_status = on_message_status;
    m->on_login = on_login;
    if (mesibo_message(m, NULL, "", 0) != -1) return -1; /* in 64 bits, as the headers of then declare it */
    return m->config->count == 2 ? ONLY_LOW_BITS(0) : -1;
}
