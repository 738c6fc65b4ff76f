/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "reply.h"

static const struct {
    const char *line; /* the checksum is added where it ends in an asterisk */
    char asked;
    enum reply expected;
    double value;
} cases[] = {
    {"T=+21.5C*", 'T', REPLY_VALUE, 21.5}, {"T=-0.5C*", 'T', REPLY_VALUE, -0.5},
    {"T=+125.0C*", 'T', REPLY_VALUE, 125}, {"H=45.0%*", 'H', REPLY_VALUE, 45},
    {"L=+30.0C*", 'L', REPLY_VALUE, 30},   {"E=2*", 'T', REPLY_ERROR, 2},
    {"H=45.0%*", 'T', REPLY_OTHER, 0},     {"T=21.5C*", 'T', REPLY_DAMAGED, 0},
    {"H=+45.0%*", 'H', REPLY_DAMAGED, 0},  {"T=+21.5F*", 'T', REPLY_DAMAGED, 0},
    {"T=+21.55C*", 'T', REPLY_DAMAGED, 0}, {"T=+1234.0C*", 'T', REPLY_DAMAGED, 0},
    {"T=+.5C*", 'T', REPLY_DAMAGED, 0},    {"T=+21C*", 'T', REPLY_DAMAGED, 0},
    {"T=+21.5C *", 'T', REPLY_DAMAGED, 0}, {"X=+21.5C*", 'X', REPLY_DAMAGED, 0},
    {"E=4*", 'T', REPLY_DAMAGED, 0},       {"E=22*", 'T', REPLY_DAMAGED, 0},
    {"T=*", 'T', REPLY_DAMAGED, 0},        {"*", 'T', REPLY_DAMAGED, 0},
    {"", 'T', REPLY_DAMAGED, 0},           {"T=+21.5C*00", 'T', REPLY_DAMAGED, 0},
    {"T=+21.5C", 'T', REPLY_DAMAGED, 0},   {"T=+2e1.5C*", 'T', REPLY_DAMAGED, 0},
};

static int check(const char *line, size_t len, char asked, enum reply expected, double value)
{
    double got = -999;
    enum reply reply = reply_parse(line, len, asked, &got);
    int has_value = expected == REPLY_VALUE || expected == REPLY_ERROR;
    if (reply == expected && (has_value ? got == value : got == -999))
        return 0;
    printf("\"%.*s\" asked %c: %d %g, expected %d %g\n", (int)len, line, asked, reply, got, expected, value);
    return 1;
}

int main(void)
{
    static const char good[] = "T=+21.5C*19";
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[40];
        size_t n = strlen(cases[i].line);
        memcpy(line, cases[i].line, n + 1);
        if (n && line[n - 1] == '*')
            n += (size_t)sprintf(line + n, "%02X", reply_checksum(line, n - 1));
        wrong += check(line, n, cases[i].asked, cases[i].expected, cases[i].value);
    }
    /* Worked out by hand, so that both sides cannot be wrong together; then every single byte of it damaged, and every cut. */
    wrong += check(good, strlen(good), 'T', REPLY_VALUE, 21.5);
    for (size_t at = 0; at < strlen(good); at++) {
        wrong += check(good, at, 'T', REPLY_DAMAGED, 0);
        for (int bit = 0; bit < 8; bit++) {
            char line[sizeof good];
            memcpy(line, good, sizeof good);
            line[at] = (char)(line[at] ^ 1 << bit);
            wrong += check(line, strlen(good), 'T', REPLY_DAMAGED, 0);
        }
    }
    printf("%d wrong\n", wrong);
    return wrong != 0;
}
