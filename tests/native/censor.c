/* Swallows messages with a blocked word, writes over a masked one, and tells what it was configured with. */
#define _GNU_SOURCE
#include "boardtalk_module.h"

#include <stdlib.h>
#include <string.h>

struct words {
    const char *blocked, *masked;
};

static void note(mesibo_module_t *mod, const char *format, ...) {
    va_list args;
    va_start(args, format);
    mesibo_vlog(mod, 0, format, args);
    va_end(args);
}

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text,
                               mesibo_uint_t len) {
    struct words *words = mod->ctx;
    char *found = strstr(text, words->masked);
    mesibo_log(mod, 1, "%s to %s: %u bytes, id %08x\n", p->from, p->to, (unsigned)len, (unsigned)p->id);
    if (strstr(text, words->blocked)) {
        note(mod, "dropped %.1f %s %d%%\n", 0.5, "of", 100);
        return MESIBO_RESULT_CONSUMED;
    }
    if (found) memset(found, '*', strlen(words->masked));
    return MESIBO_RESULT_PASS;
}

static mesibo_int_t on_cleanup(mesibo_module_t *mod) {
    mesibo_log(mod, 0, "filter ends");
    free(mod->ctx);
    return MESIBO_RESULT_OK;
}

MESIBO_EXPORT int mesibo_module_censor_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    struct words *words;
    mesibo_int_t index;
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    if (!mod->config) {
        mesibo_log(mod, 0, "%s: Missing Configuration\n", mod->name);
        return MESIBO_RESULT_FAIL;
    }
    for (index = 0; index < mod->config->count; index++)
        mesibo_log(mod, 0, "%s is %s\n", mod->config->items[index].name, mod->config->items[index].value);
    words = calloc(1, sizeof *words);
    words->blocked = mesibo_util_getconfig(mod, "blocked");
    words->masked = mesibo_util_getconfig(mod, "masked");
    free(mod->config);
    mod->ctx = words;
    mod->description = strdup("filters");
    mod->on_message = on_message;
    mod->on_cleanup = on_cleanup;
    return MESIBO_RESULT_OK;
}
