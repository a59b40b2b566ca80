"""What `boardtalk new-module --c` writes: a module in C, its Makefile and a test."""

from __future__ import annotations

from typing import Final

from boardtalk.native.build import HEADERS

CODE: Final = """\
/* What {name} does. See include/boardtalk_module.h for all there is. */
#include "boardtalk_module.h"

#include <stdio.h>
#include <string.h>

static const char *address; /* `address` of the block: messages to it are ours */
static unsigned long count;

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *params, char *text,
                               mesibo_uint_t len) {{
    mesibo_message_params_t answer = *params;
    char words[64];
    if (strcmp(params->to, address)) return MESIBO_RESULT_PASS;
    mesibo_log(mod, 1, "%s says %.*s", params->from, (int)len, text);
    snprintf(words, sizeof words, "%lu times", ++count);
    answer.to = params->from;
    answer.from = params->to;
    answer.refid = params->id;
    answer.id = 0;
    mesibo_message(mod, &answer, words, strlen(words));
    return MESIBO_RESULT_CONSUMED;
}}

MESIBO_EXPORT int mesibo_module_{name}_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {{
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    address = mesibo_util_getconfig(mod, "address");
    if (!address) {{
        mesibo_log(mod, 0, "the block needs `address = {name}`");
        return MESIBO_RESULT_FAIL;
    }}
    mod->description = "counts what it is told";
    mod->on_message = on_message;
    return MESIBO_RESULT_OK;
}}
"""
MAKEFILE: Final = """\
CFLAGS = -std=c11 -O2 -g -Wall -Wextra

mesibo_mod_{name}.so: {name}.c include/boardtalk_module.h
	$(CC) $(CFLAGS) -Iinclude -shared -fPIC -o $@.new $<
	mv $@.new $@

test: mesibo_mod_{name}.so
	python3 -m pytest

.PHONY: test
"""
TEST: Final = '''\
"""What {name} does, tried on a gateway in a temporary folder. `make test` compiles it first."""

from pathlib import Path

from boardtalk.testing import bench, planned

MODULE = planned("{name}", Path(__file__).parent, "address = {name}")


async def test_it_answers() -> None:
    async with bench(MODULE) as gateway:
        gateway.say("alice", "{name}", "hello")
        assert (await gateway.hears("alice", "times")).body == "1 times"


async def test_what_is_not_for_it_goes_on() -> None:
    async with bench(MODULE) as gateway:
        gateway.say("alice", "bob", "hello")
        await gateway.hears("bob", "hello")
'''


def files(name: str) -> dict[str, str]:
    """What stands in its folder besides the configuration, by name."""
    texts = {f"{name}.c": CODE, "Makefile": MAKEFILE, f"test_{name}.py": TEST}
    headers = {f"include/{header.name}": header.read_text() for header in HEADERS}
    return {file: text.format(name=name) for file, text in texts.items()} | headers
