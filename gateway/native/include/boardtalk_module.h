/*
 * Native modules for boardtalk: what a shared library and the gateway say to each other.
 *
 *     #include "boardtalk_module.h"
 *
 *     static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p,
 *                                    char *text, mesibo_uint_t len) {
 *         return MESIBO_RESULT_PASS;
 *     }
 *
 *     MESIBO_EXPORT int mesibo_module_NAME_init(mesibo_int_t version, mesibo_module_t *mod,
 *                                               mesibo_uint_t len) {
 *         MESIBO_MODULE_SANITY_CHECK(mod, version, len);
 *         mod->on_message = on_message;
 *         return MESIBO_RESULT_OK;
 *     }
 *
 * Build it as mesibo_mod_NAME.so: cc -shared -fPIC -o mesibo_mod_NAME.so NAME.c
 * Names, numbers and layouts are those of mesibo's loadable modules, "version 1" with 192 bytes, so that
 * modules written for these need no change. 64-bit processors only.
 *
 * Each instance has a process of its own. Callbacks come from one thread of it, one after the other, and all
 * messages wait meanwhile: be quick. Helpers may be called from any thread. More: docs/modules/native.md.
 *
 * The documentation prints some of it otherwise than the samples have it: on_message_status with the status as
 * third argument, mesibo_util_json_extract without a length, MSGSTATUS_… without what is before it. For sources
 * like that: -DBOARDTALK_AS_DOCUMENTED.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BOARDTALK_MODULE_H
#define BOARDTALK_MODULE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define MESIBO_EXPORT extern "C"
extern "C" {
#else
#define MESIBO_EXPORT
#endif

/* Compilers of older distributions speak older standards unless told otherwise. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define BOARDTALK_ASSERT(what, text) static_assert(what, text)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define BOARDTALK_ASSERT(what, text) _Static_assert(what, text)
#else
#define BOARDTALK_ASSERT(what, text) extern char boardtalk_assert[(what) ? 1 : -1]
#endif

/* What some standards lack and all compilers have: -pedantic has nothing to say about it. */
#ifdef __GNUC__
#define BOARDTALK_EXTENSION __extension__
#else
#define BOARDTALK_EXTENSION
#endif

#ifndef BOARDTALK_PRINTF
#ifdef __GNUC__
#define BOARDTALK_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define BOARDTALK_PRINTF(at, first)
#endif
#endif

typedef intptr_t mesibo_int_t;
typedef uintptr_t mesibo_uint_t;

#define MESIBO_MODULE_SIGNATURE 0xAA55773388FF1100ull
#define MESIBO_MODULE_VERSION 1

#define MESIBO_RESULT_OK 0
#define MESIBO_RESULT_FAIL (-1)

#define MODULE_LOG_LEVEL_0VERRIDE 0 /* always printed; spelled as the documentation has it */

/* What on_message returns. Anything else is a failure of the module: see `on_fail` of its block. */
#define MESIBO_RESULT_PASS 0     /* the message goes on, as `text` is now */
#define MESIBO_RESULT_CONSUMED 1 /* it ends here */

/* What became of a message that the module sent. */
#define MESIBO_MODULE_MSGSTATUS_SENT 1
#define MESIBO_MODULE_MSGSTATUS_DELIVERED 2
#define MESIBO_MODULE_MSGSTATUS_READ 3 /* of a robot: it is done */
#define MESIBO_MODULE_MSGSTATUS_MAX 3
#define MESIBO_MODULE_MSGSTATUS_FAIL 0x80
#define MESIBO_MODULE_MSGSTATUS_NOTACTIVE 0x81
#define MESIBO_MODULE_MSGSTATUS_INBOXFULL 0x82
#define MESIBO_MODULE_MSGSTATUS_INVALIDDEST 0x83
#define MESIBO_MODULE_MSGSTATUS_EXPIRED 0x84
#define MESIBO_MODULE_MSGSTATUS_NOINCOMING 0x86
#define MESIBO_MODULE_MSGSTATUS_BLOCKED 0x88
#define MESIBO_MODULE_MSGSTATUS_FAILMAX 0x88

#ifdef BOARDTALK_AS_DOCUMENTED
#define MSGSTATUS_SENT MESIBO_MODULE_MSGSTATUS_SENT
#define MSGSTATUS_DELIVERED MESIBO_MODULE_MSGSTATUS_DELIVERED
#define MSGSTATUS_READ MESIBO_MODULE_MSGSTATUS_READ
#endif

/* Bits of `flags`. */
#define MOD_MESIBO_MSGFLAG_DELIVERYRECEIPT 0x1
#define MOD_MESIBO_MSGFLAG_READRECEIPT 0x2
#define MOD_MESIBO_MSGFLAG_TRANSIENT 0x4 /* never stored */
#define MOD_MESIBO_MSGFLAG_PRESENCE 0x8  /* news of a person, such as that he is typing; never stored */
#define MOD_MESIBO_MSGFLAG_SENDMESSAGE 0xF
#define MOD_MESIBO_MSGFLAG_MEDIA 0x100
#define MOD_MESIBO_MSGFLAG_OUTGOING 0x10000

/* Bits of `uflags`. */
#define MOD_MESIBO_UFLAG_DESTONLINE 0x1 /* only if the recipient is online */

#define MOD_MESIBO_FLAG_INCOMING 0x1
#define MOD_MESIBO_FLAG_OUTGOING 0x2

typedef struct mesibo_module_s mesibo_module_t;

/* The module's own keys in its block, in their order. Strings may be changed; never free them. */
typedef struct module_config_item_s {
    char *name, *value;
} module_config_item_t;

typedef struct module_config_s {
    mesibo_int_t count;
    BOARDTALK_EXTENSION module_config_item_t items[];
} module_config_t;

typedef struct mesibo_message_params_s {
    mesibo_uint_t aid;     /* application; copy it into answers */
    mesibo_uint_t id;      /* 32 bits; of what a module sends: its own choice, 0: no status wanted */
    mesibo_uint_t refid;   /* id of the message that is answered */
    mesibo_uint_t groupid; /* 0: one to one */
    mesibo_uint_t flags;
    mesibo_uint_t type;    /* free for applications */
    mesibo_uint_t expiry;  /* seconds; 0: now or never */
    BOARDTALK_EXTENSION union {
        mesibo_uint_t uflags;
        mesibo_uint_t to_online; /* its older name */
    };
    mesibo_uint_t status;  /* in on_message_status */
    mesibo_uint_t sid;     /* 0 */
    mesibo_uint_t device;  /* 0 */
    mesibo_uint_t reserved_0, reserved_1, reserved_2, reserved_3;
    char *to, *from;       /* never NULL; valid during the call */
} mesibo_message_params_t;

typedef struct mesibo_user_s {
    mesibo_uint_t flags;
    mesibo_int_t online; /* whether he came or went */
    char *address;
    mesibo_uint_t reserved_0, reserved_1, reserved_2, reserved_3;
} mesibo_user_t;

/* One instance: allocated by the gateway, at one address as long as the process lives. */
struct mesibo_module_s {
    mesibo_uint_t version;
    mesibo_uint_t flags;
    const char *name;
    const char *description;
    void *ctx;               /* for the module */
    module_config_t *config; /* NULL: the block has no keys for it */

    mesibo_int_t (*on_cleanup)(mesibo_module_t *mod);
    mesibo_int_t (*on_message)(mesibo_module_t *mod, mesibo_message_params_t *params, char *message,
                               mesibo_uint_t len);
#ifdef BOARDTALK_AS_DOCUMENTED
    mesibo_int_t (*on_message_status)(mesibo_module_t *mod, mesibo_message_params_t *params, mesibo_uint_t status);
#else
    mesibo_int_t (*on_message_status)(mesibo_module_t *mod, mesibo_message_params_t *params);
#endif
    mesibo_int_t (*on_call)(mesibo_module_t *mod);
    mesibo_int_t (*on_call_status)(mesibo_module_t *mod);
    mesibo_int_t (*on_login)(mesibo_module_t *mod, mesibo_user_t *user);
    mesibo_int_t (*on_config)(mesibo_module_t *mod, mesibo_uint_t type, void *config);
    void *custom_fns;

    mesibo_uint_t signature;
    mesibo_uint_t reserved_0, reserved_1, reserved_2, reserved_3;
    mesibo_uint_t reserved_4, reserved_5, reserved_6, reserved_7;
    mesibo_int_t (*invoke)(mesibo_int_t id, mesibo_module_t *mod, ...); /* NULL */
};

/* HTTP: on_status, then on_data for each piece, and on_close exactly once, at the end. */
typedef enum {
    MODULE_HTTP_STATE_REQUEST,
    MODULE_HTTP_STATE_REQBODY,
    MODULE_HTTP_STATE_RESPHEADER,
    MODULE_HTTP_STATE_RESPBODY,
    MODULE_HTTP_STATE_DONE
} module_http_state_t;

typedef mesibo_int_t (*mesibo_http_ondata_t)(void *cbdata, mesibo_int_t state, mesibo_int_t progress,
                                             const char *buffer, mesibo_int_t size);
typedef mesibo_int_t (*mesibo_http_onstatus_t)(void *cbdata, mesibo_int_t status, const char *content_type);
typedef void (*mesibo_http_onclose_t)(void *cbdata, mesibo_int_t result);

typedef struct mesibo_http_s {
    const char *url, *post; /* with `post`: POST, otherwise GET */
    const char *content_type, *extra_header, *user_agent, *referrer, *origin, *cookie;
    const char *encoding, *cache_control, *accept, *etag;
    mesibo_uint_t ims; /* If-Modified-Since, UTC seconds */
    mesibo_uint_t conn_timeout, header_timeout, body_timeout, total_timeout; /* seconds; from 1000 on: ms */
    mesibo_http_ondata_t on_data;
    mesibo_http_onstatus_t on_status;
    mesibo_http_onclose_t on_close;
} mesibo_http_t;

typedef mesibo_int_t (*mesibo_fcgi_ondata_t)(void *cbdata, mesibo_int_t result, const char *buffer,
                                             mesibo_int_t size);

typedef struct mesibo_fcgi_s {
    char *USER, *SCRIPT_FILENAME, *QUERY_STRING, *CONTENT_TYPE, *SCRIPT_NAME, *REQUEST_URI, *DOCUMENT_URI;
    char *DOCUMENT_ROOT, *SERVER_PROTOCOL, *REQUEST_SCHEME, *REMOTE_ADDR, *REMOTE_PORT, *SERVER_ADDR;
    char *SERVER_PORT, *SERVER_NAME, *HTTP_HOST, *HTTP_CONNECTION, *HTTP_CACHE_CONTROL;
    char *HTTP_UPGRADE_INSECURE_REQUESTS, *HTTP_USER_AGENT, *HTTP_ACCEPT, *HTTP_ACCEPT_ENCODING;
    char *HTTP_ACCEPT_LANGUAGE;
    char *body;
    uint64_t bodylen;
} mesibo_fcgi_t;

typedef void (*mesibo_socket_onconnect_t)(void *cbdata, mesibo_int_t sock, mesibo_int_t fd);
typedef void (*mesibo_socket_onwrite_t)(void *cbdata);
typedef mesibo_int_t (*mesibo_socket_ondata_t)(void *cbdata, const char *data, mesibo_int_t len);
typedef void (*mesibo_socket_onclose_t)(void *cbdata, mesibo_int_t type);

typedef struct mesibo_socket_s {
    const char *url; /* sock://HOST:PORT, socks:// (TLS), ws:// or wss:// */
    const char *ws_protocol;
    mesibo_int_t keepalive;   /* seconds of silence after which the other side is probed; 0: 30 */
    mesibo_int_t verify_host; /* 0: anybody may answer, for a network of your own */
    void *ssl_ctx;            /* ignored */
    mesibo_socket_onconnect_t on_connect;
    mesibo_socket_onwrite_t on_write;
    mesibo_socket_ondata_t on_data;
    mesibo_socket_onclose_t on_close;
} mesibo_socket_t;

/* Helpers. 0 or -1, unless they say otherwise. */
mesibo_int_t mesibo_message(mesibo_module_t *mod, mesibo_message_params_t *params, const char *message,
                            mesibo_uint_t len);
mesibo_int_t mesibo_log(mesibo_module_t *mod, mesibo_uint_t level, const char *format, ...)
    BOARDTALK_PRINTF(3, 4);
mesibo_int_t mesibo_vlog(mesibo_module_t *mod, mesibo_uint_t level, const char *format, va_list args);
mesibo_int_t mesibo_util_http(mesibo_http_t *req, void *cbdata);
mesibo_int_t mesibo_util_fcgi(mesibo_fcgi_t *req, const char *host, mesibo_int_t port, mesibo_int_t keepalive,
                              mesibo_fcgi_ondata_t cb, void *cbdata);
mesibo_int_t mesibo_util_socket_connect(mesibo_socket_t *sock, void *cbdata);
mesibo_int_t mesibo_util_socket_write(mesibo_int_t sock, const char *data, mesibo_int_t len);
void mesibo_util_socket_close(mesibo_int_t sock);
/* The value of a key, NULL: there is none. It may be changed, and lives as long as the process. */
char *mesibo_util_getconfig(mesibo_module_t *mod, const char *name);
/* The first value of a key, at any depth, as text that is ended inside `src`. NULL: there is none. */
char *mesibo_util_json_extract(char *src, mesibo_int_t len, const char *key, char **next);
#ifdef BOARDTALK_AS_DOCUMENTED
char *boardtalk_json_extract(char *src, const char *key, char **next);
#define mesibo_util_json_extract boardtalk_json_extract
#endif
void mesibo_util_create_thread(void *(*fn)(void *), void *data, size_t stacksize, const char *name);
mesibo_int_t mesibo_util_usec(void); /* microseconds, for differences */

/* Returns -1 from the enclosing function if the module was built for another gateway. */
#define MESIBO_MODULE_SANITY_CHECK(m, version, len)                           \
    do {                                                                      \
        if ((version) != MESIBO_MODULE_VERSION) {                             \
            mesibo_log((m), 0, "module version mismatch\n");                  \
            return MESIBO_RESULT_FAIL;                                        \
        }                                                                     \
        if ((size_t)(len) != sizeof(mesibo_module_t)) {                       \
            mesibo_log((m), 0, "module size mismatch\n");                     \
            return MESIBO_RESULT_FAIL;                                        \
        }                                                                     \
        if ((m)->signature != MESIBO_MODULE_SIGNATURE) {                      \
            mesibo_log((m), 0, "module signature mismatch\n");                \
            return MESIBO_RESULT_FAIL;                                        \
        }                                                                     \
    } while (0)

#define BOARDTALK_AT(type, field, offset) \
    BOARDTALK_ASSERT(offsetof(type, field) == (offset), #type "." #field " is at another place")

BOARDTALK_ASSERT(sizeof(void *) == 8, "native modules are for 64-bit processors");
BOARDTALK_ASSERT(sizeof(module_config_item_t) == 16, "module_config_item_t has 16 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_module_t) == 192, "mesibo_module_t has 192 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_message_params_t) == 136, "mesibo_message_params_t has 136 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_user_t) == 56, "mesibo_user_t has 56 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_http_t) == 160, "mesibo_http_t has 160 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_fcgi_t) == 200, "mesibo_fcgi_t has 200 bytes");
BOARDTALK_ASSERT(sizeof(mesibo_socket_t) == 72, "mesibo_socket_t has 72 bytes");
BOARDTALK_AT(module_config_t, items, 8);
BOARDTALK_AT(mesibo_module_t, config, 40);
BOARDTALK_AT(mesibo_module_t, on_cleanup, 48);
BOARDTALK_AT(mesibo_module_t, on_message, 56);
BOARDTALK_AT(mesibo_module_t, on_message_status, 64);
BOARDTALK_AT(mesibo_module_t, on_login, 88);
BOARDTALK_AT(mesibo_module_t, on_config, 96);
BOARDTALK_AT(mesibo_module_t, signature, 112);
BOARDTALK_AT(mesibo_module_t, invoke, 184);
BOARDTALK_AT(mesibo_message_params_t, uflags, 56);
BOARDTALK_AT(mesibo_message_params_t, status, 64);
BOARDTALK_AT(mesibo_message_params_t, to, 120);
BOARDTALK_AT(mesibo_message_params_t, from, 128);
BOARDTALK_AT(mesibo_user_t, address, 16);
BOARDTALK_AT(mesibo_http_t, ims, 96);
BOARDTALK_AT(mesibo_http_t, on_data, 136);
BOARDTALK_AT(mesibo_fcgi_t, body, 184);
BOARDTALK_AT(mesibo_socket_t, on_connect, 40);

#ifdef __cplusplus
}
#endif
#endif
