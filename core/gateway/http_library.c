/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/http_library.h"

#include <dlfcn.h>
#include <string.h>

int tg_http_library_get(const struct tg_http_library **ret_library, struct tg_error *err)
{
    static struct tg_http_library library;
    struct tg_http_library found = {0};
    void *handle, *symbol;
    if (library.start_daemon) {
        *ret_library = &library;
        return TG_OK;
    }
    handle = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return tg_error_set(err, TG_ENOTFOUND, "libmicrohttpd is not there (Debian's libmicrohttpd12): %s",
                            dlerror());
#define X(name)                                                                                              \
    symbol = dlsym(handle, "MHD_" #name);                                                                    \
    if (!symbol) {                                                                                           \
        dlclose(handle);                                                                                     \
        return tg_error_set(err, TG_EVERSION, "libmicrohttpd is too old: it has no MHD_" #name);             \
    }                                                                                                        \
    memcpy(&found.name, &symbol, sizeof symbol); /* POSIX makes the two the same, ISO C does not */
    TG_HTTP_LIBRARY_FUNCTIONS(X)
#undef X
    library = found;
    *ret_library = &library;
    return TG_OK;
}
