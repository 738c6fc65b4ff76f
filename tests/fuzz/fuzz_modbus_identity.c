/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes from a wire as answers to "what are you?". Beside not crashing: the texts end and are printable, and nothing
 * is taken from a frame that is refused.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "southbound/modbus_identity.h"

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void printable(const char text[TG_MODBUS_IDENTITY_TEXT])
{
    demand(memchr(text, 0, TG_MODBUS_IDENTITY_TEXT) != NULL);
    for (; *text; text++)
        demand(*text >= 0x20 && *text < 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tg_modbus_identity nothing;
    if (size < 2)
        return 0;
    enum tg_modbus_identity_kind kind = data[0] & 1 ? TG_MODBUS_DEVICE_ID : TG_MODBUS_SERVER_ID;
    bool tcp = data[0] & 2;
    uint8_t unit = data[1];
    data += 2;
    size -= 2;
    size_t need = tg_modbus_identity_need(tcp, data, size), take = need > 0 && need < size ? need : size;
    struct tg_modbus_identity id = {0};
    enum tg_modbus_verdict v = tg_modbus_identity_check(kind, unit, tcp, 0x1234, data, take, &id);
    if (v == TG_MODBUS_EXCEPTION)
        id.exception = 0;
    if (v != TG_MODBUS_ANSWER)
        demand(memcmp(&id, &nothing, sizeof id) == 0);
    else
        demand(need == take);
    printable(id.vendor);
    printable(id.product);
    printable(id.revision);
    printable(id.server_id);
    return 0;
}
