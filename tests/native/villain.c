/* Commits a crime of each kind, on the message that names it. */
#define _GNU_SOURCE
#include "boardtalk_module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int *nowhere;
static const char *where; /* the callback in which it crashes */

static int crashes(const char *here) {
    if (where && !strcmp(where, here)) *nowhere = 1;
    return MESIBO_RESULT_OK;
}

static void *crash(void *data) {
    *nowhere = 1;
    return data;
}

static int recurse(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return recurse(depth + 1) + room[0];
}

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text,
                               mesibo_uint_t len) {
    int result;
    crashes("on_message");
    if (!strncmp(text, "cut", 3)) text[len - 1] = (char)0xC3;
    if (!strncmp(text, "fill", 4)) memset(text + 4, 0, len - 4);
    if (strcmp(p->to, "villain")) return MESIBO_RESULT_PASS;
    if (!strcmp(text, "crash")) *nowhere = 1;
    if (!strcmp(text, "abort")) abort();
    if (!strcmp(text, "exit")) exit(3);
    if (!strcmp(text, "spin")) for (;;) {}
    if (!strcmp(text, "leak")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    if (!strcmp(text, "write past the end")) memset(text, 'x', len + 64);
    if (!strcmp(text, "read past the end")) {
        mesibo_message_params_t params = *p;
        params.to = p->from;
        params.from = p->to;
        return mesibo_message(mod, &params, text, len + 4096);
    }
    if (!strcmp(text, "free the text")) free(text);
    if (!strcmp(text, "free itself")) free(mod);
    if (!strcmp(text, "thread")) mesibo_util_create_thread(crash, NULL, 0, "crashes");
    if (!strcmp(text, "recurse")) return recurse(0);
    if (!strcmp(text, "wrong pointers")) {
        mesibo_message_params_t params;
        memset(&params, 0x5a, sizeof params);
        return mesibo_message(mod, &params, text, len);
    }
    if (!strcmp(text, "jump")) ((void (*)(void))0x5a5a)();
    if (sscanf(text, "return %d", &result) == 1) return result;
    if (!strcmp(text, "send")) {
        mesibo_message_params_t params = *p;
        params.to = p->from;
        params.from = p->to;
        params.id = 5;
        mesibo_message(mod, &params, "sent", 4);
    }
    return MESIBO_RESULT_CONSUMED;
}

static mesibo_int_t on_message_status(mesibo_module_t *mod, mesibo_message_params_t *p) {
    return crashes("on_message_status");
}

static mesibo_int_t on_login(mesibo_module_t *mod, mesibo_user_t *user) { return crashes("on_login"); }

static mesibo_int_t on_call(mesibo_module_t *mod) { return crashes("on_call"); }

static mesibo_int_t on_cleanup(mesibo_module_t *mod) { return crashes("on_cleanup"); }

MESIBO_EXPORT int mesibo_module_villain_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    where = mesibo_util_getconfig(mod, "where");
    crashes("init");
    mod->on_message = on_message;
    mod->on_message_status = on_message_status;
    mod->on_login = on_login;
    mod->on_call = on_call;
    mod->on_cleanup = on_cleanup;
    return MESIBO_RESULT_OK;
}
