/* Does what it is told in a message to its address, and answers what came of it. */
#define _GNU_SOURCE
#include "boardtalk_module.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static mesibo_module_t *module;
static char heard[4096]; /* what it was told by callbacks */
static mesibo_int_t socket_now = -1;

/* Who asked, copied: parameters are gone after the call. */
struct asker {
    mesibo_message_params_t params;
    char to[64], from[64];
    char got[1 << 16];
    size_t length;
    mesibo_int_t status, pieces, progress;
    atomic_int working; /* threads that need it */
};

static struct asker *remember(const mesibo_message_params_t *p) {
    struct asker *asker = calloc(1, sizeof *asker);
    asker->params = *p;
    snprintf(asker->to, sizeof asker->to, "%s", p->to);
    snprintf(asker->from, sizeof asker->from, "%s", p->from);
    asker->params.to = asker->from;
    asker->params.from = asker->to;
    asker->params.refid = p->id;
    asker->params.id = (mesibo_uint_t)mesibo_util_usec();
    return asker;
}

static int answer(struct asker *asker, const char *text) {
    return mesibo_message(module, &asker->params, text, strlen(text));
}

static void answer_once(const mesibo_message_params_t *p, const char *text) {
    struct asker *asker = remember(p);
    if (answer(asker, text)) mesibo_log(module, 0, "not sent: %s", text);
    free(asker);
}

/* HTTP ------------------------------------------------------------------------------------------ */

static mesibo_int_t on_data(void *cbdata, mesibo_int_t state, mesibo_int_t progress, const char *buffer,
                            mesibo_int_t size) {
    struct asker *asker = cbdata;
    if (state != MODULE_HTTP_STATE_RESPBODY || progress < asker->progress) abort();
    asker->pieces++;
    asker->progress = progress;
    if (asker->length + (size_t)size >= sizeof asker->got) return MESIBO_RESULT_FAIL;
    memcpy(asker->got + asker->length, buffer, (size_t)size);
    asker->length += (size_t)size;
    return MESIBO_RESULT_OK;
}

static mesibo_int_t on_status(void *cbdata, mesibo_int_t status, const char *content_type) {
    struct asker *asker = cbdata;
    if (asker->pieces) abort();
    asker->status = status;
    mesibo_log(module, 1, "type %s", content_type ? content_type : "none");
    return MESIBO_RESULT_OK;
}

static void on_close(void *cbdata, mesibo_int_t result) {
    struct asker *asker = cbdata;
    char text[256], *found = mesibo_util_json_extract(asker->got, (int)asker->length, "fulfillmentText", NULL);
    if (!found) found = asker->got;
    snprintf(text, sizeof text, "%d %d %d %.100s", (int)result, (int)asker->status, (int)asker->progress, found);
    answer(asker, text);
    free(asker);
}

static void ask(const mesibo_message_params_t *p, char *url, const char *post, mesibo_uint_t since) {
    char header[] = "X-Puppet: yes\r\nX-More: too"; /* gone when this returns */
    mesibo_http_t request;
    memset(&request, 0, sizeof request);
    request.url = url;
    request.post = post;
    request.content_type = post ? "application/json" : NULL;
    request.extra_header = header;
    request.user_agent = "puppet";
    request.conn_timeout = 1;
    request.header_timeout = 1000; /* ms */
    request.body_timeout = 1000;
    request.ims = since;
    request.on_data = on_data;
    request.on_status = on_status;
    request.on_close = on_close;
    if (mesibo_util_http(&request, remember(p))) answer_once(p, "refused");
    memset(url, 'x', strlen(url));
    memset(header, 'x', sizeof header - 1);
    memset(&request, 'x', sizeof request);
}

/* Sockets --------------------------------------------------------------------------------------- */

static void on_connect(void *cbdata, mesibo_int_t sock, mesibo_int_t fd) {
    socket_now = sock;
    answer(cbdata, "connected");
    mesibo_util_socket_write(sock, "hello ", 6);
    mesibo_util_socket_write(sock, "there", 5);
}

static void on_write(void *cbdata) { ((struct asker *)cbdata)->pieces++; }

static mesibo_int_t on_socket(void *cbdata, const char *data, mesibo_int_t len) {
    struct asker *asker = cbdata;
    memcpy(asker->got + asker->length, data, (size_t)len);
    asker->length += (size_t)len;
    if (!strcmp(asker->got, "hello there")) mesibo_util_socket_close(socket_now);
    return MESIBO_RESULT_OK;
}

static void on_closed(void *cbdata, mesibo_int_t type) {
    struct asker *asker = cbdata;
    char text[256];
    snprintf(text, sizeof text, "closed %d, %d written, got %.100s", (int)type, (int)asker->pieces, asker->got);
    answer(asker, text);
    free(asker);
}

static void talk(const mesibo_message_params_t *p, const char *url) {
    mesibo_socket_t socket;
    memset(&socket, 0, sizeof socket);
    socket.url = url;
    socket.ws_protocol = "chat";
    socket.ssl_ctx = &socket;
    socket.keepalive = -1;
    socket.on_connect = on_connect;
    socket.on_write = on_write;
    socket.on_data = on_socket;
    socket.on_close = on_closed;
    mesibo_util_socket_connect(&socket, remember(p));
}

static mesibo_int_t on_script(void *cbdata, mesibo_int_t result, const char *buffer, mesibo_int_t size) {
    char text[256];
    snprintf(text, sizeof text, "script %d: %.*s", (int)result, (int)size, buffer ? buffer : "");
    answer(cbdata, text);
    free(cbdata);
    return MESIBO_RESULT_OK;
}

static void run_script(const mesibo_message_params_t *p, int port) {
    mesibo_fcgi_t request;
    memset(&request, 0, sizeof request);
    request.USER = p->from;
    request.SCRIPT_FILENAME = "/srv/answer.php";
    request.body = "what?";
    request.bodylen = 5;
    mesibo_util_fcgi(&request, "127.0.0.1", port, 0, on_script, remember(p));
}

/* Threads --------------------------------------------------------------------------------------- */

#define THREADS 8
#define EACH 25

static void *work(void *data) {
    struct asker *asker = data;
    mesibo_message_params_t params = asker->params;
    int number;
    const char *text = "from a thread";
    params.id = params.refid = 0;
    for (number = 0; number < EACH; number++) {
        mesibo_log(module, 2, "thread says %d", number);
        if (mesibo_message(module, &params, text, strlen(text))) abort();
    }
    if (atomic_fetch_sub(&asker->working, 1) == 1) {
        answer(asker, "threads are done");
        free(asker);
    }
    return NULL;
}

static void *for_ever(void *data) {
    for (;; usleep(1000)) mesibo_log(module, 2, "still here %p", data);
    return NULL;
}

/* Callbacks ------------------------------------------------------------------------------------- */

static void hear(const char *what, const char *who, unsigned long value) {
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "%s %s %lx; ", what, who, value);
}

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text,
                               mesibo_uint_t len) {
    char *rest = strchr(text, ' ');
    if (mod != module || strlen(text) != len) abort();
    if (strcmp(p->to, "puppet")) {
        hear("saw", p->to, p->groupid ? 1 : 0);
        return MESIBO_RESULT_PASS;
    }
    if (rest) *rest++ = 0;
    if (!strcmp(text, "json")) {
        char *key = rest, *source = strchr(rest, ' '), *next = NULL, *first;
        *source++ = 0;
        first = mesibo_util_json_extract(source, (int)strlen(source), key, &next);
        answer_once(p, first ? first : "nothing");
        if (first && next && (first = mesibo_util_json_extract(next, 0, key, NULL))) answer_once(p, first);
    } else if (!strcmp(text, "get")) {
        ask(p, rest, NULL, 0);
    } else if (!strcmp(text, "never")) {
        ask(p, rest, NULL, (mesibo_uint_t)-1); /* a time that no calendar has */
    } else if (!strcmp(text, "post")) {
        char *body = strchr(rest, ' ');
        *body++ = 0;
        ask(p, rest, body, 0);
    } else if (!strcmp(text, "talk")) {
        talk(p, rest);
    } else if (!strcmp(text, "flood")) {
        mesibo_socket_t socket = {.url = "sock://127.0.0.1:1"};
        char line[64];
        int tried, taken = 0;
        for (tried = 0; tried < 120; tried++) taken += !mesibo_util_socket_connect(&socket, NULL);
        snprintf(line, sizeof line, "%d of %d", taken, tried);
        answer_once(p, line);
    } else if (!strcmp(text, "script")) {
        run_script(p, atoi(rest));
    } else if (!strcmp(text, "threads")) {
        int count;
        struct asker *asker = remember(p);
        asker->working = THREADS;
        for (count = 0; count < THREADS; count++) mesibo_util_create_thread(work, asker, 0, "worker");
    } else if (!strcmp(text, "linger")) {
        mesibo_util_create_thread(for_ever, mod, 16384, "lingers");
        answer_once(p, "it lingers");
    } else if (!strcmp(text, "heard")) {
        answer_once(p, heard);
    } else if (!strcmp(text, "config")) {
        char *value = mesibo_util_getconfig(mod, rest);
        answer_once(p, value ? value : "none");
        if (value) *value = '!';
    } else if (!strcmp(text, "group")) {
        struct asker *asker = remember(p);
        asker->params.groupid = strtoul(rest, NULL, 0);
        if (answer(asker, "to all of you")) answer_once(p, "no such group");
        free(asker);
    } else if (!strcmp(text, "long")) {
        struct asker *asker = remember(p);
        if (mesibo_message(mod, &asker->params, heard, 1 << 20)) answer_once(p, "too long");
        free(asker);
    } else if (!strcmp(text, "nobody")) {
        static char endless[1 << 20];
        struct asker *asker = remember(p);
        memset(endless, 'a', sizeof endless - 1);
        asker->params.from = endless;
        if (answer(asker, "from nobody")) answer_once(p, "no such sender");
        asker->params.from = asker->to;
        asker->params.to = endless;
        if (answer(asker, "to nobody")) answer_once(p, "no such recipient");
        free(asker);
    } else if (!strcmp(text, "overrun")) {
        char *room = malloc(len);
        memset(room, 0, len + 1);
        free(room);
    } else if (!strcmp(text, "say")) {
        answer_once(p, rest);
    } else if (!strcmp(text, "params")) {
        char line[256];
        snprintf(line, sizeof line, "%lu %lu %lx %lu %lu %lu %lu", p->aid, p->refid ? 1ul : 0ul, p->flags, p->type,
                 p->expiry, p->uflags, p->groupid);
        answer_once(p, line);
    }
    return MESIBO_RESULT_CONSUMED;
}

static mesibo_int_t on_message_status(mesibo_module_t *mod, mesibo_message_params_t *p) {
    if (p->id) hear("status", p->from, p->status);
    return MESIBO_RESULT_OK;
}

static mesibo_int_t on_login(mesibo_module_t *mod, mesibo_user_t *user) {
    hear("login", user->address, (unsigned long)user->online);
    return MESIBO_RESULT_OK;
}

static mesibo_int_t on_call(mesibo_module_t *mod) {
    hear("call", mod->name, 0);
    return MESIBO_RESULT_OK;
}

static mesibo_int_t on_config(mesibo_module_t *mod, mesibo_uint_t type, void *config) {
    hear("config", ((module_config_t *)config)->items[0].name, type);
    return MESIBO_RESULT_OK;
}

MESIBO_EXPORT int mesibo_module_puppet_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    module = mod;
    mod->on_message = on_message;
    mod->on_message_status = on_message_status;
    mod->on_login = on_login;
    mod->on_call = on_call;
    mod->on_call_status = on_call;
    mod->on_config = on_config;
    return MESIBO_RESULT_OK;
}
