/*
 * mesibo_util_json_extract: the first value of a key at any depth, ended inside the text itself.
 *
 * Two signatures are about: (src, len, key, next), and of the first ones (src, key, next). Which of them a
 * module was built with, its layout tells: boardtalk_json_length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int has_length = 1;

void boardtalk_json_length(int given);
char *mesibo_util_json_extract(char *src, uintptr_t second, uintptr_t third, uintptr_t fourth);
char *boardtalk_json_extract(char *src, const char *key, char **next);

void boardtalk_json_length(int given) { has_length = given; }

static char *blank(char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

/* Of a string that begins at `at`: its closing quote; NULL: it has none. */
static char *closing(char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\') at++;
    return at < end ? at : NULL;
}

static int hex(const char *at, const char *end, unsigned *value) {
    int count;
    *value = 0;
    for (count = 0; count < 4; count++, at++) {
        if (at >= end) return 0;
        *value <<= 4;
        if (*at >= '0' && *at <= '9') *value |= (unsigned)(*at - '0');
        else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'f') *value |= (unsigned)((*at | 0x20) - 'a' + 10);
        else return 0;
    }
    return 1;
}

static char *utf8(char *out, unsigned code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/*
 * The character of \uXXXX, and of a pair of them; `at` is behind the u. What is no character becomes U+FFFD,
 * what is no number a question mark: it has to fit where it stood.
 */
static unsigned character(char **at, const char *end) {
    unsigned code, low;
    if (!hex(*at, end, &code)) return '?';
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' &&
        hex(*at + 2, end, &low) && low >= 0xDC00 && low < 0xE000) {
        *at += 6;
        return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return code && (code < 0xD800 || code > 0xDFFF) ? code : 0xFFFD;
}

/* Write a string's characters over itself; that never takes more room. Its closing quote becomes its end. */
static void plain(char *from, char *quote) {
    char *out = from, *at = from;
    while (at < quote) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        at++;
        switch (*at++) {
            case 'n': *out++ = '\n'; break;
            case 't': *out++ = '\t'; break;
            case 'r': *out++ = '\r'; break;
            case 'b': *out++ = '\b'; break;
            case 'f': *out++ = '\f'; break;
            case 'u': out = utf8(out, character(&at, quote)); break;
            default: *out++ = at[-1];
        }
    }
    *out = 0;
}

/* The first character behind a value that is no string: a number, a word, an object, a list. */
static char *behind(char *at, const char *end) {
    int depth = 0;
    for (; at < end; at++) {
        if (*at == '"') {
            at = closing(at, end);
            if (!at) return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (!depth) return at;
            if (!--depth) return at + 1;
        } else if (!depth && (*at == ',' || blank(at, end) > at)) {
            return at;
        }
    }
    return NULL;
}

static char *value(char *at, const char *end, char **next) {
    char *last = *at == '"' ? closing(at, end) : behind(at, end);
    if (!last) return NULL;
    if (next) *next = last < end ? last + 1 : last;
    if (*at == '"') {
        plain(at + 1, last);
        return at + 1;
    }
    if (last >= end) return NULL; /* nowhere to end it */
    *last = 0;
    return strcmp(at, "null") ? at : NULL;
}

static char *find(char *src, const char *end, const char *key, char **next) {
    size_t wanted = strlen(key);
    char *at = src;
    while (at < end) {
        char *quote, *colon;
        if (*at != '"') {
            at++;
            continue;
        }
        quote = closing(at, end);
        if (!quote) return NULL;
        colon = blank(quote + 1, end);
        if (colon < end && *colon == ':' && (size_t)(quote - at - 1) == wanted && !memcmp(at + 1, key, wanted)) {
            at = blank(colon + 1, end);
            return at < end ? value(at, end, next) : NULL;
        }
        at = quote + 1;
    }
    return NULL;
}

static char *extract(char *src, int len, const char *key, char **next) {
    if (next) *next = NULL;
    if (!src || !key) return NULL;
    return find(src, src + (len > 0 ? (size_t)len : strlen(src)), key, next);
}

char *mesibo_util_json_extract(char *src, uintptr_t second, uintptr_t third, uintptr_t fourth) {
    if (has_length) return extract(src, (int)second, (const char *)third, (char **)fourth);
    return extract(src, 0, (const char *)second, (char **)third);
}

/* For sources of today that are written as the documentation is. */
char *boardtalk_json_extract(char *src, const char *key, char **next) { return extract(src, 0, key, next); }
