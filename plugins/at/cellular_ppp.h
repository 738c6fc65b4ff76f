/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cellular_ppp - the data link: dials, hands the port to pppd, looks after it, hangs up, tries again with back-off.
 *
 *   WAIT     until the modem is registered and the back-off is over                         → DIAL
 *   DIAL     (single port: the source gives the port away first) sync, `ppp_dial`; CONNECT  → RUN
 *            anything else                                                                  → HANGUP or WAIT
 *   RUN      pppd has the port; its end                                                     → HANGUP
 *   HANGUP   silence, "+++", silence, ATH, so that the modem hears commands again           → WAIT
 *
 * A modem that does not answer when its port is opened may be online still, left so by a crash: it is hung up first.
 *
 * With one port nothing is asked from DIAL to WAIT: points keep their last values, and the signal is not known. With `data_port` AT goes on
 * over `port`.
 *
 * pppd is started without a shell and with fixed arguments; the password goes through a pipe (passwordfd.so), never through arguments,
 * environment or files of ours. Its output goes to the log, and "local  IP address" in it says that the link is up. One pppd an
 * instance; at the end of an instance it gets SIGTERM, and SIGKILL ten seconds later from whichever instance is there then.
 */
#ifndef TG_PLUGINS_AT_CELLULAR_PPP_H
#define TG_PLUGINS_AT_CELLULAR_PPP_H

#include "plugins/at/cellular.h"

/* 0 (also without `ppp: true`), or a negative tg_plugin_error with the reason. */
int at_ppp_build(struct at_cellular *c, char *error, size_t error_size);
void at_ppp_free(struct at_cellular *c);
void at_ppp_tick(struct at_cellular *c, int64_t now_ms);
/* True: the descriptor was one of its own. */
bool at_ppp_fd_ready(struct at_source *s, int fd, uint32_t events, int64_t now_ms);
/* The modem does not answer on the port that is the data link's too: it may be online still, from before a restart. Hangs up. */
void at_ppp_rescue(struct at_source *s, int64_t now_ms);
int64_t at_ppp_deadline(const struct at_cellular *c);
/* The uplink as the data link makes it: up while it is up, down when it has ended or the modem has no network. `modem`: what the modem
 * says; may replace the text. */
enum tg_cell_uplink at_ppp_uplink(const struct at_ppp *p, enum tg_cell_uplink modem, char *text, size_t size);

#endif
