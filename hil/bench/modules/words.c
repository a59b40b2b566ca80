/* A filter in C, for the benchmark of native modules: words.py does the same. */
#define _GNU_SOURCE
#include <string.h>

#include "boardtalk_module.h"

static const char *blocked[64];

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *params, char *text,
                               mesibo_uint_t len) {
    const char **word;
    (void)mod, (void)params;
    for (word = blocked; *word; word++)
        if (memmem(text, len, *word, strlen(*word))) return MESIBO_RESULT_CONSUMED;
    return MESIBO_RESULT_PASS;
}

MESIBO_EXPORT int mesibo_module_words_c_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    char *rest, *word;
    int count = 0;
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    word = strtok_r(mesibo_util_getconfig(mod, "blocked"), ", ", &rest);
    for (; word && count < 63; word = strtok_r(NULL, ", ", &rest)) blocked[count++] = word;
    mod->on_message = on_message;
    return MESIBO_RESULT_OK;
}
