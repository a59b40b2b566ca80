// Written as the documentation prints the API, and built with the header of today.
#define BOARDTALK_AS_DOCUMENTED
#include "module.h"

#include <cstdio>
#include <cstring>

static char status_heard[64] = "none";

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text, mesibo_uint_t len) {
    mesibo_message_params_t back = *p;
    char *next, *found = mesibo_util_json_extract(text, "word", &next);
    const char *answer = found ? found : status_heard;
    if (!strcmp(text, "online only") && !p->to_online) return MESIBO_RESULT_FAIL;
    back.to = p->from;
    back.from = p->to;
    back.refid = p->id;
    back.id = 11;
    if (mesibo_message(mod, &back, answer, strlen(answer)) == MESIBO_RESULT_FAIL)
        mesibo_log(mod, MODULE_LOG_LEVEL_0VERRIDE, "%s can't answer\n", mod->name);
    return MESIBO_RESULT_CONSUMED;
}

static mesibo_int_t on_message_status(mesibo_module_t *mod, mesibo_message_params_t *p, mesibo_uint_t status) {
    const char *what = status == MSGSTATUS_DELIVERED ? "delivered" : "else";
    snprintf(status_heard, sizeof status_heard, "%s of %d", what, (int)p->id);
    return MESIBO_RESULT_OK;
}

MESIBO_EXPORT int mesibo_module_documented_init(mesibo_int_t version, mesibo_module_t *m, mesibo_uint_t len) {
    MESIBO_MODULE_SANITY_CHECK(m, version, len);
    m->on_message = on_message;
    m->on_message_status = on_message_status;
    return MESIBO_RESULT_OK;
}
