/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_patterns - comma-separated topic filters in which %c is the client id and %d what follows its last slash.
 */
#ifndef TESTS_PEERS_HUB_PATTERNS_H
#define TESTS_PEERS_HUB_PATTERNS_H

#include <stdbool.h>

/* Whether one of them matches the topic. A filter that somebody asks for has to be written as one of them, or
 * lie below one without wildcards of its own. "#" allows everything. */
bool hub_pattern_allows(const char *patterns, const char *name, const char *topic);

#endif
