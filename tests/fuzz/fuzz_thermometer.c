/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any line from the example's thermometer; the first byte is what was asked. A value is in the range that the form allows, and a byte
 * changed in a sound line makes it damaged.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "plugins/examples/thermometer/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double value = 5000, again = 5000;
    char *line;
    enum reply reply;
    if (size < 1)
        return 0;
    line = malloc(size); /* as long as it is, for the sanitizer */
    TG_ASSERT(line);
    memcpy(line, data + 1, size - 1);
    reply = reply_parse(line, size - 1, (char)data[0], &value);
    TG_ASSERT(reply != REPLY_VALUE || (value >= -999.9 && value <= 999.9));
    TG_ASSERT(reply != REPLY_ERROR || (value >= 1 && value <= 3));
    TG_ASSERT(reply == REPLY_VALUE || reply == REPLY_ERROR ? size - 1 <= REPLY_MAX_BYTES : value == 5000);
    if (reply != REPLY_DAMAGED) {
        line[0] = (char)(line[0] ^ 1);
        TG_ASSERT(reply_parse(line, size - 1, (char)data[0], &again) == REPLY_DAMAGED);
    }
    free(line);
    return 0;
}
