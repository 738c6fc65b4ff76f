/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * status_page - the page at / of the HTTP endpoint (status_page.html): one HTML text with its style and script in it, which asks for /status.json
 * every two seconds. Nothing is loaded from anywhere else, and every text is set as text, never as HTML.
 */
#ifndef TG_GATEWAY_STATUS_PAGE_H
#define TG_GATEWAY_STATUS_PAGE_H

/* What the browser may do with it: run this very script (its hash; scenario_http compares), and ask this server. */
#define TG_STATUS_PAGE_POLICY                                                                                \
    "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action "       \
    "'none'; "                                                                                               \
    "frame-ancestors 'none'; script-src 'sha256-FdFbvb1yhpjay7BZQY1UXansZuYZEjG00xszMOZh/Ss='"

extern const char tg_status_page[];

#endif
