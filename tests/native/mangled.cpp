// In C++, without MESIBO_EXPORT: its init has the name that the compiler makes of it.
#include "module.h"

#include <cstring>
#include <string>

static mesibo_int_t on_message(mesibo_module_t *mod, mesibo_message_params_t *p, char *text, mesibo_uint_t len) {
    std::string forward(text, len);
    std::string back(forward.rbegin(), forward.rend());
    std::memcpy(text, back.data(), len);
    return MESIBO_RESULT_PASS;
}

int mesibo_module_mangled_init(mesibo_int_t version, mesibo_module_t *mod, mesibo_uint_t len) {
    MESIBO_MODULE_SANITY_CHECK(mod, version, len);
    mod->on_message = on_message;
    return MESIBO_RESULT_OK;
}
