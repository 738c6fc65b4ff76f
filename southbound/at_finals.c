/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/at_finals.h"

enum match { EXACT, PREFIX };

static const struct {
    const char *text;
    const char *number; /* ATV0 form */
    enum match match;
    enum tg_at_status status;
    bool connected, of_a_call;
} finals[] = {
    {"OK", "0", EXACT, TG_AT_OK, false, false},
    {"ERROR", "4", EXACT, TG_AT_ERROR, false, false},
    {"CONNECT", "1", EXACT, TG_AT_OK, true, true},
    {"CONNECT ", "5", PREFIX, TG_AT_OK, true, true},
    {"ABORTED", NULL, EXACT, TG_AT_ABORTED, false, false},
    {"NO CARRIER", "3", EXACT, TG_AT_NO_CARRIER, false, true},
    {"NO DIALTONE", "6", EXACT, TG_AT_NO_DIALTONE, false, true},
    {"NO DIAL TONE", NULL, EXACT, TG_AT_NO_DIALTONE, false, true},
    {"BUSY", "7", EXACT, TG_AT_BUSY, false, true},
    {"NO ANSWER", "8", EXACT, TG_AT_NO_ANSWER, false, true},
    {"+CME ERROR:", NULL, PREFIX, TG_AT_CME_ERROR, false, false},
    {"+CMS ERROR:", NULL, PREFIX, TG_AT_CMS_ERROR, false, false},
    {"+EXT ERROR:", NULL, PREFIX, TG_AT_ERROR, false, false},
    {"MODEM ERROR:", NULL, PREFIX, TG_AT_ERROR, false, false},
    {"ERROR:", NULL, PREFIX, TG_AT_ERROR, false, false},
    {"COMMAND NOT SUPPORT", NULL, EXACT, TG_AT_ERROR, false, false},
    {"NA", NULL, EXACT, TG_AT_ERROR, false, false},
};

int32_t tg_at_code(struct tg_bytes text)
{
    int32_t code = 0;
    size_t i = 0, digits = 0;
    while (i < text.len && text.data[i] == ' ')
        i++;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++, digits++) {
        if (code > 99999999)
            return -1;
        code = code * 10 + (text.data[i] - '0');
    }
    while (i < text.len && text.data[i] == ' ')
        i++;
    return digits > 0 && i == text.len ? code : -1;
}

bool tg_at_final_parse(struct tg_bytes line, bool numeric_results, struct tg_at_final *ret_final)
{
    for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
        size_t n = strlen(finals[i].text);
        bool hit = finals[i].match == EXACT ? tg_bytes_eq_str(line, finals[i].text)
                                            : tg_bytes_starts(line, finals[i].text);
        bool number = numeric_results && finals[i].number && tg_bytes_eq_str(line, finals[i].number);
        if (!hit && !number)
            continue;
        *ret_final = (struct tg_at_final){.status = finals[i].status,
                                          .code = -1,
                                          .connected = finals[i].connected,
                                          .of_a_call = finals[i].of_a_call,
                                          .ambiguous = number || tg_bytes_eq_str(line, "NA")};
        if (hit && finals[i].match == PREFIX && !finals[i].connected)
            ret_final->code = tg_at_code(tg_bytes(line.data + n, line.len - n));
        return true;
    }
    return false;
}

const char *tg_at_status_name(enum tg_at_status status)
{
    static const char *const names[] = {
        [TG_AT_OK] = "ok",
        [TG_AT_ERROR] = "error",
        [TG_AT_CME_ERROR] = "cme_error",
        [TG_AT_CMS_ERROR] = "cms_error",
        [TG_AT_ABORTED] = "aborted",
        [TG_AT_NO_CARRIER] = "no_carrier",
        [TG_AT_NO_DIALTONE] = "no_dialtone",
        [TG_AT_BUSY] = "busy",
        [TG_AT_NO_ANSWER] = "no_answer",
        [TG_AT_TIMEOUT] = "timeout",
        [TG_AT_HANGUP] = "hangup",
    };
    return (size_t)status < sizeof names / sizeof names[0] ? names[status] : "unknown";
}
