/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * stream - one client connection to a cloud: name resolution, TCP and TLS (wolfSSL, non-blocking) on the
 * loop; where the options say so through an HTTP proxy (CONNECT), and in WebSocket frames (MQTT's subprotocol).
 *
 * Always verified: chain, host name (or IP SAN when `host` is an address) and time; TLS 1.2 or 1.3 with an
 * AEAD suite list; see docs/tls.md and the chain matrix in the tests. wolfSSL as Debian builds it verifies
 * nothing by default and trusts look-alikes of its CAs (CVE-2026-93302): tls_context sets what that needs.
 * A stream without TLS exists for local brokers in tests and plants (`tls: off`), never by fallback.
 *
 *     open() ─► resolving ─► connecting ─► [proxy] ─► handshaking ─► [WebSocket] ─► on_ready ─► on_data … ─► on_end
 *                   └────────────┴────────────┴───────────┴───────────────┴────── on_end(error) ─────────────┘
 *
 * With a proxy its name is resolved here and the target's there; TLS goes through it to the target, whose name
 * is verified as ever. A WebSocket shows only in the bytes on the wire: what is written goes as one binary frame,
 * what comes is given as it comes, pings are answered, and a close frame is the peer's orderly end.
 *
 * on_end comes exactly once unless tg_stream_close() was called before; after it the owner still calls
 * tg_stream_close(). Resolution, connect (each address in turn) and handshake are bounded in time.
 * All on the loop thread. TCP_NODELAY is on; sockets live at descriptors ≥ 1024 (libmodbus aborts there, so
 * the low ones are left to it). Callbacks may call tg_stream_close().
 */
#ifndef TG_NET_STREAM_H
#define TG_NET_STREAM_H

#include "core/base/bytes.h"
#include "core/net/loop.h"

/* What all connections to one cloud share: roots, versions, suites. One per cloud, not per device: the
 * root store is some hundred kilobytes. */
struct tg_tls_context;

struct tg_tls_options {
    const char *ca_file; /* PEM; NULL = the system's roots (/etc/ssl/certs/ca-certificates.crt) */
    bool tls12_only;     /* smaller sessions, and what the hubs speak */
};
int tg_tls_context_new(const struct tg_tls_options *o, struct tg_tls_context **ret_ctx,
                       struct tg_error *err) TG_CHECKED;
void tg_tls_context_free(struct tg_tls_context *ctx); /* after its last stream is closed */

/* A client certificate with its key, loaded once per identity and shared by its connections. PEM texts, the
 * leaf first, then the chain. TG_ECERT when key and certificate do not belong together, when it cannot be
 * parsed. The key's memory is wiped when freed. */
struct tg_tls_credential;
int tg_tls_credential_new(struct tg_bytes certificate_pem, struct tg_bytes key_pem,
                          struct tg_tls_credential **ret_credential, struct tg_error *err) TG_CHECKED;
/* The same with a key that stays in a PKCS#11 token (pkcs11.h: the URI and the further codes). RSA keys of 2048 bits only:
 * wolfSSL 5.5.4 takes no other length for granted. */
int tg_tls_credential_new_token(struct tg_bytes certificate_pem, const char *key_uri,
                                struct tg_tls_credential **ret_credential, struct tg_error *err) TG_CHECKED;
void tg_tls_credential_free(struct tg_tls_credential *c);
/* Upper-case hexadecimal thumbprints of the leaf (as hubs list them), its common name, and its validity. */
#define TG_TLS_NAME_BYTES 136
struct tg_tls_credential_info {
    char sha1[41], sha256[65], common_name[TG_TLS_NAME_BYTES];
    int64_t not_before_s, not_after_s;
    bool key_in_token;
};
void tg_tls_credential_info(const struct tg_tls_credential *c, struct tg_tls_credential_info *ret_info);

/* Where a stream keeps its TLS session between connections, for resumption. Zero-initialise; owned by the
 * session; free with tg_tls_ticket_fini(). */
struct tg_tls_ticket {
    void *session;
};
void tg_tls_ticket_fini(struct tg_tls_ticket *t);

struct tg_stream_options {
    const char *host; /* name or IP address; also SNI and the verified name */
    uint16_t port;
    struct tg_tls_context *tls;                 /* NULL = no TLS */
    const struct tg_tls_credential *credential; /* NULL = no client certificate */
    struct tg_tls_ticket *ticket;               /* NULL = no resumption */
    uint32_t connect_timeout_ms;   /* resolution, TCP and the proxy's answer together; default 10000 when 0 */
    uint32_t handshake_timeout_ms; /* TLS, and again the WebSocket's; default 10000 when 0 */
    /* Data that the peer's TCP leaves unacknowledged for so long ends the connection; 0 = TG_TCP_USER_TIMEOUT_MS */
    uint32_t user_timeout_ms;
    /* A protocol that the server has to agree to in TLS ("x-amzn-mqtt-ca" of AWS on port 443): TG_ETLS when it does
     * not. NULL = none is offered. */
    const char *alpn;
    /* MQTT over WebSocket at this path ("/$iothub/websocket"; tg_ws_path_check()). NULL = none. */
    const char *websocket_path;
    /* HTTP CONNECT through this host (without brackets). NULL = directly. The password is looked at in tg_stream_open() only;
     * proxy_user NULL = no authentication. */
    const char *proxy_host, *proxy_user;
    uint16_t proxy_port;
    struct tg_bytes proxy_password;
    /* What `tls`, `credential`, `ticket` and `alpn` point to must live until tg_stream_close() is called: a stream that
     * lingers does not look at them. The other texts are copied. */
};

struct tg_stream;

struct tg_stream_callbacks {
    void (*on_ready)(void *user);
    /* Decrypted bytes, borrowed for the call. Everything must be taken or copied. */
    void (*on_data)(void *user, struct tg_bytes data);
    /* There is room again after tg_stream_write() said TG_EFULL. */
    void (*on_writable)(void *user);
    /* err: why it ended, for people ("certificate of hub.example expired on 2026-01-31 …"). TG_EEOF = the
     * peer closed in order; TG_ECERT = its certificate was refused; TG_EAUTH = it refused ours (with TLS 1.3
     * that comes after on_ready), or the proxy our password; TG_EPROTO = no answer of a proxy or a WebSocket; TG_ECLOCK = our clock cannot judge a certificate; TG_EDNS, TG_ECONNECT,
     * TG_ETIMEOUT, TG_ETLS, TG_EIO, TG_ENOMEM. Never called from inside tg_stream_open() or
     * tg_stream_write(). */
    void (*on_end)(void *user, const struct tg_error *err);
};

/* The result of the attempt comes by callback, also when it fails at once. TG_EINVAL: no host or port, a path or a
 * proxy's user that cannot be sent; TG_ENOMEM. */
int tg_stream_open(struct tg_loop *loop, const struct tg_stream_options *o,
                   const struct tg_stream_callbacks *cb, void *user, struct tg_stream **ret_stream,
                   struct tg_error *err) TG_CHECKED;

/* Sends all of `data` as one TLS record per 16 KiB; copies what the socket does not take at once. TG_EFULL
 * when TG_STREAM_QUEUE_BYTES are already waiting (nothing is taken), TG_ETOOBIG for more than
 * TG_STREAM_WRITE_MAX_BYTES (nothing is taken), TG_ESTATE before on_ready and after on_end. After any other
 * error the connection is lost: on_end follows. So at most QUEUE + WRITE_MAX bytes wait, and a record's
 * overhead for each 16 KiB of them. */
#define TG_STREAM_QUEUE_BYTES     (256 * 1024)
#define TG_STREAM_WRITE_MAX_BYTES (1024 * 1024)
int tg_stream_write(struct tg_stream *s, struct tg_bytes data) TG_CHECKED;
/* Bytes accepted but not yet taken by the kernel. */
size_t tg_stream_queued(const struct tg_stream *s);

/* Stops reading, so that the peer has to wait, and begins again. What was read from the socket already
 * (TG_LOOP_WIRE_BYTES at most) still comes by on_data. Meanwhile an end is only noticed by writing. */
void tg_stream_hold(struct tg_stream *s, bool hold);

struct tg_stream_stats {
    uint64_t bytes_in, bytes_out; /* on the wire, TLS included */
    uint64_t
        handshake_bytes; /* of these, both directions, until TLS was up (a proxy's answer included); 0 without TLS */
    uint64_t
        segments; /* TCP segments sent and received, by the kernel's count; each costs its IP and TCP headers */
    bool resumed;
    bool connected, ready; /* how far it came: TCP; everything */
    bool
        throttled; /* it ended because a WebSocket server has had enough (429, 503), or a proxy (429, or 503 with a Retry-After) */
    uint32_t retry_after_s; /* … and for so long (retry_after.h); 0 = it did not say */
    char version[12], cipher[48];
};
void tg_stream_stats(const struct tg_stream *s, struct tg_stream_stats *ret_stats);
/* Both ends of the connection that stands: the address here, and the peer's (a proxy's, where there is one). False: there is none (yet). */
bool tg_stream_ends(const struct tg_stream *s, struct sockaddr_storage *ret_here,
                    struct sockaddr_storage *ret_there);
/* How often in a row TCP has sent data again without an answer; 0 = it is answered, or nothing is on its way. */
uint32_t tg_stream_unanswered(const struct tg_stream *s);

/* Ends the connection: queued bytes are flushed for at most `linger_ms`, then (a close frame,) close_notify and FIN. `closed`
 * (may be NULL) runs when the stream's memory is gone; no other callback comes after this call. */
void tg_stream_close(struct tg_stream *s, uint32_t linger_ms, void (*closed)(void *user), void *user);

/* wolfSSL_Init, SIGPIPE ignored process-wide; once per process. */
int tg_tls_global_init(struct tg_error *err) TG_CHECKED;
void tg_tls_global_fini(void);
/* Gives back what wolfSSL keeps for the next handshake: its tables of curve points, which belong to the
 * calling thread (up to 12 MB after work with NIST curves), and spare session memory. For the loop thread
 * when no handshake has run for a while; for any other thread that signs or verifies with EC keys before it
 * ends, else its tables are lost. */
void tg_tls_trim(void);

#endif
