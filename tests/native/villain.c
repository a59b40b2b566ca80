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

/* Leaves a child behind that wants to outlive it. */
static void daemonize(void) {
    if (fork()) *nowhere = 1;
    setsid();
    for (;;) pause();
}

static int recurse(int depth) {
    volatile char room[4096];
    room[0] = (char)depth;
    return recurse(depth + 1) + room[0];
}

/* Of the network ------------------------------------------------------------------------------- */

static mesibo_int_t on_status(void *cbdata, mesibo_int_t status, const char *type) { return crashes("on_status"); }

static mesibo_int_t on_data(void *cbdata, mesibo_int_t state, mesibo_int_t progress, const char *data,
                            mesibo_int_t len) {
    return crashes("on_data");
}

static void on_close(void *cbdata, mesibo_int_t result) { crashes("on_close"); }

static void on_connect(void *cbdata, mesibo_int_t sock, mesibo_int_t fd) {
    crashes("on_connect");
    mesibo_util_socket_write(sock, "hello\r\n\r\n", 9);
}

static void on_write(void *cbdata) { crashes("on_write"); }

static mesibo_int_t on_socket(void *cbdata, const char *data, mesibo_int_t len) { return crashes("on_socket"); }

static void on_closed(void *cbdata, mesibo_int_t type) { crashes("on_closed"); }

static mesibo_int_t on_script(void *cbdata, mesibo_int_t result, const char *data, mesibo_int_t len) {
    return crashes("on_script");
}

static void ask(int port) {
    char url[64];
    mesibo_http_t http = {.url = url, .on_data = on_data, .on_status = on_status, .on_close = on_close};
    mesibo_socket_t sock = {.url = url, .on_connect = on_connect, .on_write = on_write, .on_data = on_socket,
                            .on_close = on_closed};
    mesibo_fcgi_t fcgi = {.USER = "villain"};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    mesibo_util_http(&http, NULL);
    snprintf(url, sizeof url, "sock://127.0.0.1:%d", port);
    mesibo_util_socket_connect(&sock, NULL);
    mesibo_util_fcgi(&fcgi, "127.0.0.1", 1, 0, on_script, NULL); /* nobody listens there */
}

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text,
                               mesibo_uint_t len) {
    int result, port;
    crashes("on_message");
    if (!strncmp(text, "cut", 3)) text[len - 1] = (char)0xC3;
    if (!strncmp(text, "fill", 4)) memset(text + 4, 0, len - 4);
    if (!strcmp(text, "tell and crash")) {
        mesibo_message_params_t params = *p;
        params.to = p->from;
        mesibo_message(mod, &params, "told", 4);
        *nowhere = 1;
    }
    if (strcmp(p->to, "villain")) return MESIBO_RESULT_PASS;
    if (sscanf(text, "ask %d", &port) == 1) ask(port);
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
    if (!strcmp(text, "daemonize")) daemonize();
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

static mesibo_int_t on_call_status(mesibo_module_t *mod) { return crashes("on_call_status"); }

static mesibo_int_t on_config(mesibo_module_t *mod, mesibo_uint_t type, void *config) {
    return crashes("on_config");
}

static mesibo_int_t on_cleanup(mesibo_module_t *mod) { return crashes("on_cleanup"); }

MESIBO_EXPORT int mesibo_module_villain_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    where = mesibo_util_getconfig(mod, "where");
    crashes("init");
    mod->on_message = on_message;
    mod->on_message_status = on_message_status;
    mod->on_login = on_login;
    mod->on_call = on_call;
    mod->on_call_status = on_call_status;
    mod->on_config = on_config;
    mod->on_cleanup = on_cleanup;
    return MESIBO_RESULT_OK;
}
