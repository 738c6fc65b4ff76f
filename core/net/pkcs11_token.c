/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/pkcs11_token.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "core/base/secret.h"
#include "core/net/pkcs11.h"

#define SLOTS_MOST 256

/* The values that we act upon or expect to see (PKCS#11 v2.40, section 4 of "Base Specification"). */
enum {
    TOKEN_INITIALIZED = 0x400, /* CKF_… of CK_TOKEN_INFO */
    RV_TOKEN_NOT_PRESENT = 0xe0,
    RV_PIN_INCORRECT = 0xa0,
    RV_PIN_INVALID = 0xa1,
    RV_PIN_LEN_RANGE = 0xa2,
    RV_PIN_LOCKED = 0xa4,
    RV_DEVICE_REMOVED = 0x32,
    RV_SESSION_CLOSED = 0xb0,
    RV_SESSION_HANDLE_INVALID = 0xb3,
    RV_USER_ALREADY_LOGGED_IN = 0x100,
    RV_USER_NOT_LOGGED_IN = 0x101,
    RV_CANT_LOCK = 0x0a,
    RV_ALREADY_INITIALIZED = 0x191
};

static const struct {
    CK_RV rv;
    const char *name;
} rv_names[] = {{0x02, "CKR_HOST_MEMORY"},
                {0x03, "CKR_SLOT_ID_INVALID"},
                {0x05, "CKR_GENERAL_ERROR"},
                {0x06, "CKR_FUNCTION_FAILED"},
                {0x07, "CKR_ARGUMENTS_BAD"},
                {RV_CANT_LOCK, "CKR_CANT_LOCK"},
                {0x12, "CKR_ATTRIBUTE_TYPE_INVALID"},
                {0x20, "CKR_DATA_INVALID"},
                {0x21, "CKR_DATA_LEN_RANGE"},
                {0x30, "CKR_DEVICE_ERROR"},
                {0x31, "CKR_DEVICE_MEMORY"},
                {RV_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
                {0x54, "CKR_FUNCTION_NOT_SUPPORTED"},
                {0x60, "CKR_KEY_HANDLE_INVALID"},
                {0x63, "CKR_KEY_TYPE_INCONSISTENT"},
                {0x68, "CKR_KEY_FUNCTION_NOT_PERMITTED"},
                {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID"},
                {0x71, "CKR_MECHANISM_PARAM_INVALID"},
                {0x82, "CKR_OBJECT_HANDLE_INVALID"},
                {0x90, "CKR_OPERATION_ACTIVE"},
                {RV_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
                {RV_PIN_INVALID, "CKR_PIN_INVALID"},
                {RV_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE"},
                {0xa3, "CKR_PIN_EXPIRED"},
                {RV_PIN_LOCKED, "CKR_PIN_LOCKED"},
                {RV_SESSION_CLOSED, "CKR_SESSION_CLOSED"},
                {0xb1, "CKR_SESSION_COUNT"},
                {RV_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID"},
                {RV_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
                {0xe1, "CKR_TOKEN_NOT_RECOGNIZED"},
                {RV_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN"},
                {RV_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN"},
                {0x102, "CKR_USER_PIN_NOT_INITIALIZED"},
                {0x190, "CKR_CRYPTOKI_NOT_INITIALIZED"},
                {RV_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED"}};

struct tg_pkcs11_module {
    struct tg_pkcs11_module *next;
    void *library;
    CK_FUNCTION_LIST *f;
    char name[];
};

static pthread_mutex_t lists_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tg_pkcs11_module *modules;
static struct tg_pkcs11_token *tokens;

const char *tg_pkcs11_rv_text(char ret[TG_PKCS11_RV_BYTES], CK_RV rv)
{
    for (size_t i = 0; i < sizeof rv_names / sizeof rv_names[0]; i++)
        if (rv_names[i].rv == rv)
            return rv_names[i].name;
    snprintf(ret, TG_PKCS11_RV_BYTES, "PKCS#11 error 0x%lx", rv);
    return ret;
}

/* --- modules --------------------------------------------------------------------------------- */

static int start_module(struct tg_pkcs11_module *m, struct tg_error *err)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_C_GetFunctionList get_list;
    char rv_text[TG_PKCS11_RV_BYTES];
    void *symbol = dlsym(m->library, "C_GetFunctionList");
    if (!symbol)
        return tg_error_set(err, TG_EINVAL, "%s is no PKCS#11 module (it has no C_GetFunctionList)", m->name);
    memcpy(&get_list, &symbol, sizeof get_list); /* ISO C has no cast from an object to a function */
    CK_RV rv = get_list(&m->f);
    if (rv == CKR_OK)
        rv = m->f->C_Initialize(&args);
    if (rv == CKR_OK || rv == RV_ALREADY_INITIALIZED)
        return TG_OK;
    return tg_error_set(err, TG_EIO, "PKCS#11 module %s does not start: %s", m->name,
                        tg_pkcs11_rv_text(rv_text, rv));
}

static int find_module(const struct tg_pkcs11_uri *uri, struct tg_pkcs11_module **ret, struct tg_error *err)
{
    const char *name = uri->module[0] ? uri->module : getenv(TG_PKCS11_MODULE_VARIABLE);
    if (!name || !name[0])
        name = TG_PKCS11_DEFAULT_MODULE;
    for (*ret = modules; *ret; *ret = (*ret)->next)
        if (strcmp((*ret)->name, name) == 0)
            return TG_OK;
    size_t size = strlen(name) + 1;
    struct tg_pkcs11_module *m = tg_calloc(1, sizeof *m + size);
    if (!m)
        return tg_error_set(err, TG_ENOMEM, "PKCS#11: out of memory");
    memcpy(m->name, name, size);
    m->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    int rc = m->library
                 ? start_module(m, err)
                 : tg_error_set(err, TG_EIO, "PKCS#11 module %s cannot be loaded: %s", name, dlerror());
    if (rc < 0) {
        if (m->library)
            dlclose(m->library);
        tg_free(m);
        return rc;
    }
    m->next = modules;
    modules = m;
    *ret = m;
    return TG_OK;
}

/* --- tokens ---------------------------------------------------------------------------------- */

/* Fields of a token are filled up with blanks. */
static void copy_field(char *out, const CK_UTF8CHAR *field, size_t size)
{
    while (size > 0 && (field[size - 1] == ' ' || field[size - 1] == '\0'))
        size--;
    memcpy(out, field, size);
    out[size] = '\0';
}

static bool is_or_open(const char *wanted, const char *have)
{
    return wanted[0] == '\0' || strcmp(wanted, have) == 0;
}

static bool matches(const struct tg_pkcs11_token *t, const struct tg_pkcs11_uri *uri)
{
    return is_or_open(uri->token, t->label) && is_or_open(uri->serial, t->serial) &&
           is_or_open(uri->manufacturer, t->manufacturer) && is_or_open(uri->model, t->model);
}

/* What the process knows of a token with these names; made when it is new. NULL: out of memory. */
static struct tg_pkcs11_token *known_token(const struct tg_pkcs11_module *m,
                                           const struct tg_pkcs11_token *like)
{
    for (struct tg_pkcs11_token *t = tokens; t; t = t->next)
        if (t->module == m && strcmp(t->label, like->label) == 0 && strcmp(t->serial, like->serial) == 0)
            return t;
    struct tg_pkcs11_token *t = tg_malloc(sizeof *t);
    if (!t)
        return NULL;
    *t = *like;
    t->module = m;
    t->f = m->f;
    pthread_mutex_init(&t->lock, NULL);
    t->next = tokens;
    tokens = t;
    return t;
}

struct search {
    struct tg_pkcs11_token found; /* its names */
    CK_SLOT_ID slot;
    size_t count;
    struct tg_writer others; /* labels of the tokens that are there, for people */
};

static void look_into(const struct tg_pkcs11_module *m, CK_SLOT_ID slot, const struct tg_pkcs11_uri *uri,
                      struct search *s)
{
    CK_TOKEN_INFO info;
    struct tg_pkcs11_token t = {.next = NULL};
    if (m->f->C_GetTokenInfo(slot, &info) != CKR_OK || !(info.flags & TOKEN_INITIALIZED))
        return;
    copy_field(t.label, info.label, sizeof info.label);
    copy_field(t.serial, info.serialNumber, sizeof info.serialNumber);
    copy_field(t.manufacturer, info.manufacturerID, sizeof info.manufacturerID);
    copy_field(t.model, info.model, sizeof info.model);
    if (!matches(&t, uri)) {
        char label[TG_QUOTE_BYTES];
        tg_write_fmt(&s->others, "%s%s", s->others.len ? ", " : "",
                     tg_quote(label, t.label, strlen(t.label)));
        return;
    }
    if (s->count++ == 0) {
        s->found = t;
        s->slot = slot;
    }
}

/* Slots are numbered as a module likes (SoftHSM: at random, anew), so the token's names decide. */
static int find_slot(const struct tg_pkcs11_module *m, const struct tg_pkcs11_uri *uri, struct search *s,
                     struct tg_error *err)
{
    CK_SLOT_ID slots[SLOTS_MOST];
    CK_ULONG count = 0;
    char others[100], rv_text[TG_PKCS11_RV_BYTES];
    const char *name = uri->token[0] ? uri->token : uri->serial;
    s->others = tg_writer_init(others, sizeof others);
    CK_RV rv = m->f->C_GetSlotList(CK_TRUE, NULL, &count); /* some modules look for new tokens only now */
    count = SLOTS_MOST;
    if (rv == CKR_OK)
        rv = m->f->C_GetSlotList(CK_TRUE, slots, &count);
    if (rv != CKR_OK)
        return tg_error_set(err, TG_EIO, "PKCS#11 module %s lists no tokens: %s", m->name,
                            tg_pkcs11_rv_text(rv_text, rv));
    for (CK_ULONG i = 0; i < count; i++)
        look_into(m, slots[i], uri, s);
    if (s->count == 0)
        return tg_error_set(err, TG_EIO, "no PKCS#11 token \"%s\" is there (%s%.*s)", name,
                            s->others.len ? "there are " : "there is none", (int)s->others.len,
                            s->others.len ? others : "");
    if (s->count > 1)
        return tg_error_set(err, TG_EINVAL, "%zu PKCS#11 tokens fit \"%s\": add serial=… to the URI",
                            s->count, name);
    return TG_OK;
}

/* --- session --------------------------------------------------------------------------------- */

static void close_session(struct tg_pkcs11_token *t)
{
    if (t->open)
        (void)t->f->C_CloseSession(t->session);
    t->open = t->logged_in = false;
}

void tg_pkcs11_token_failed(struct tg_pkcs11_token *t, CK_RV rv)
{
    switch (rv) {
    case RV_DEVICE_REMOVED:
    case RV_TOKEN_NOT_PRESENT:
    case RV_SESSION_CLOSED:
    case RV_SESSION_HANDLE_INVALID:
    case RV_USER_NOT_LOGGED_IN:
        close_session(t);
        break;
    default:
        break;
    }
}

static bool session_lives(struct tg_pkcs11_token *t)
{
    CK_SESSION_INFO info;
    if (!t->open)
        return false;
    CK_RV rv = t->f->C_GetSessionInfo(t->session, &info);
    if (rv == CKR_OK)
        return true;
    close_session(t);
    return false;
}

static int open_session(struct tg_pkcs11_token *t, CK_SLOT_ID slot, struct tg_error *err)
{
    char rv_text[TG_PKCS11_RV_BYTES];
    CK_RV rv = t->f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session);
    if (rv != CKR_OK)
        return tg_error_set(err, TG_EIO, "PKCS#11 token \"%s\" opens no session: %s", t->label,
                            tg_pkcs11_rv_text(rv_text, rv));
    t->open = true;
    t->logged_in = false;
    t->generation++;
    return TG_OK;
}

static int present_pin(struct tg_pkcs11_token *t, struct tg_secret *pin, const char *file,
                       struct tg_error *err)
{
    uint8_t hash[WC_SHA256_DIGEST_SIZE];
    char rv_text[TG_PKCS11_RV_BYTES];
    if (wc_Sha256Hash(pin->data, (word32)pin->len, hash) != 0)
        return tg_error_set(err, TG_ENOMEM, "PKCS#11: out of memory");
    if (t->has_refused_pin && memcmp(hash, t->refused_pin, sizeof hash) == 0)
        return tg_error_set(
            err, TG_EAUTH,
            "PKCS#11 token \"%s\" refused the PIN in %s before; it is not tried again, so that the "
            "token does not lock. Put the right PIN into the file",
            t->label, file);
    CK_RV rv = t->f->C_Login(t->session, CKU_USER, pin->data, pin->len);
    if (rv == CKR_OK || rv == RV_USER_ALREADY_LOGGED_IN) {
        t->logged_in = true;
        return TG_OK;
    }
    const char *text = tg_pkcs11_rv_text(rv_text, rv);
    if (rv != RV_PIN_INCORRECT && rv != RV_PIN_INVALID && rv != RV_PIN_LEN_RANGE && rv != RV_PIN_LOCKED)
        return tg_error_set(err, TG_EIO, "PKCS#11 token \"%s\": login failed: %s", t->label, text);
    memcpy(t->refused_pin, hash, sizeof hash);
    t->has_refused_pin = true;
    if (rv == RV_PIN_LOCKED)
        return tg_error_set(
            err, TG_EAUTH,
            "PKCS#11 token \"%s\" is locked (%s): its PIN was wrong too often; unlock it with the "
            "security officer's PIN",
            t->label, text);
    return tg_error_set(
        err, TG_EAUTH,
        "PKCS#11 token \"%s\" refused the PIN in %s (%s); it is not tried again until the file holds "
        "another",
        t->label, file, text);
}

static int log_in(struct tg_pkcs11_token *t, const char *pin_file, struct tg_error *err)
{
    struct tg_secret pin;
    if (t->logged_in || !pin_file[0])
        return TG_OK;
    int rc = tg_secret_read(pin_file, TG_SECRET_PRIVATE, &pin, err);
    if (rc < 0)
        return tg_error_wrap(err, "PIN file");
    tg_secret_trim(&pin);
    rc = present_pin(t, &pin, pin_file, err);
    tg_secret_free(&pin);
    return rc;
}

static int acquire(const struct tg_pkcs11_module *m, const struct tg_pkcs11_uri *uri,
                   struct tg_pkcs11_token **ret_token, struct tg_error *err)
{
    struct search s = {.count = 0};
    for (struct tg_pkcs11_token *t = tokens; t; t = t->next) {
        if (t->module != m || !matches(t, uri))
            continue;
        pthread_mutex_lock(&t->lock);
        if (session_lives(t)) {
            *ret_token = t;
            return TG_OK;
        }
        pthread_mutex_unlock(&t->lock);
    }
    int rc = find_slot(m, uri, &s, err);
    if (rc < 0)
        return rc;
    struct tg_pkcs11_token *t = known_token(m, &s.found);
    if (!t)
        return tg_error_set(err, TG_ENOMEM, "PKCS#11: out of memory");
    pthread_mutex_lock(&t->lock);
    rc = open_session(t, s.slot, err);
    if (rc < 0)
        pthread_mutex_unlock(&t->lock);
    else
        *ret_token = t;
    return rc;
}

int tg_pkcs11_token_acquire(const struct tg_pkcs11_uri *uri, struct tg_pkcs11_token **ret_token,
                            struct tg_error *err)
{
    struct tg_pkcs11_module *m;
    struct tg_pkcs11_token *t = NULL;
    pthread_mutex_lock(&lists_lock);
    int rc = find_module(uri, &m, err);
    if (rc == TG_OK)
        rc = acquire(m, uri, &t, err);
    pthread_mutex_unlock(&lists_lock);
    if (rc != TG_OK)
        return rc;
    rc = log_in(t, uri->pin_file, err);
    if (rc < 0) {
        pthread_mutex_unlock(&t->lock);
        return rc;
    }
    *ret_token = t;
    return TG_OK;
}

void tg_pkcs11_fini(void)
{
    pthread_mutex_lock(&lists_lock);
    while (tokens) {
        struct tg_pkcs11_token *next = tokens->next;
        close_session(tokens);
        pthread_mutex_destroy(&tokens->lock);
        tg_free(tokens);
        tokens = next;
    }
    while (modules) {
        struct tg_pkcs11_module *next = modules->next;
        (void)modules->f->C_Finalize(
            NULL); /* the library stays mapped: many leave exit handlers or threads behind */
        tg_free(modules);
        modules = next;
    }
    pthread_mutex_unlock(&lists_lock);
}
