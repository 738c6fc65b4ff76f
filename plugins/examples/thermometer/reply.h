/* SPDX-License-Identifier: MIT
 *
 * reply - what the thermometer answers. Pure: bytes in, a value out.
 *
 *     request   T?\r                     answer   T=+21.5C*HH\r
 *               H?\r                              H=45.0%*HH\r
 *               L?\r  or  L=+30.0*HH\r            L=+30.0C*HH\r      the limit of its alarm, and setting it
 *               any                               E=n*HH\r           1 unknown request, 2 sensor broken, 3 value not taken
 *
 * HH are two upper-case hexadecimal digits: all bytes before the asterisk, exclusive-or. A number has one to three digits, a point and
 * one digit; temperatures have a sign. Anything else is no answer: a thermometer that says half of something has said nothing.
 */
#ifndef THERMOMETER_REPLY_H
#define THERMOMETER_REPLY_H

#include <stddef.h>

#define REPLY_MAX_BYTES 16 /* of a request or an answer, its \r not counted */

enum reply {
    REPLY_VALUE,   /* *ret_value is what was asked for */
    REPLY_ERROR,   /* the device says why not: *ret_value is its number */
    REPLY_OTHER,   /* sound, but the answer to another request: a late one */
    REPLY_DAMAGED, /* form or checksum are wrong */
};

/* `line` without its \r; `asked` is the letter of the request. *ret_value is untouched for OTHER and DAMAGED. */
enum reply reply_parse(const char *line, size_t len, char asked, double *ret_value);

unsigned reply_checksum(const char *bytes, size_t len);

#endif
