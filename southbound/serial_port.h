/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * serial_port - opens a tty for one owner, raw, and reports honestly whether the settings took.
 *
 * O_NOCTTY | O_NONBLOCK, then flock, a lock file and TIOCEXCL (root bypasses TIOCEXCL), raw mode 8N1, CLOCAL, CRTSCTS as
 * asked, HUPCL off (closing does not drop DTR, so the modem is not reset). tcsetattr() says success when
 * *any* setting took: all are read back. Never blocks. read() of 0 bytes, EIO, ENXIO or ENODEV mean that the
 * device was unplugged: close at once, else its name stays taken and it returns under another.
 */
#ifndef TG_SOUTHBOUND_SERIAL_PORT_H
#define TG_SOUTHBOUND_SERIAL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 300 … 4000000, the rates that Linux names. */
bool tg_serial_baud_known(int64_t baud);

/* Claims a descriptor that somebody else has opened: flock (which decides between programs that lock the device itself), the
 * lock file /var/lock/LCK..NAME of older programs (one whose process lives is honoured, a stale one is replaced, ours is
 * written where the folder lets us), and TIOCEXCL. 0, or a negative tg_plugin_error with the reason in `error`. */
int tg_serial_claim(int fd, const char *path, char *error, size_t error_size);
/* The same with another folder of lock files. */
int tg_serial_claim_in(int fd, const char *path, const char *lock_dir, char *error, size_t error_size);
/* Ends the claims on a descriptor that stays open, or is closed next. */
void tg_serial_release(int fd);
void tg_serial_release_in(int fd, const char *lock_dir);

/* How long an FTDI adapter waits before it hands over a short answer, in ms; -1 for other ports. sys_dir: normally
 * "/sys/bus/usb-serial/devices". */
int tg_serial_latency_ms(const char *path, const char *sys_dir);

/* What to do about a port that cannot be opened, to stand behind strerror(): "; is the device plugged in?", or empty. */
const char *tg_serial_advice(int errnum);

/* The descriptor, or a negative tg_plugin_error with the reason and what to do in `error`. */
int tg_serial_open(const char *path, int64_t baud, bool rtscts, char *error, size_t error_size);
/* Sets an open port to another rate and drops what it holds; 0, or a negative tg_plugin_error with the reason. */
int tg_serial_configure(int fd, const char *path, int64_t baud, bool rtscts, char *error, size_t error_size);
/* Bytes that were written and have not left the port yet; 0 where the driver cannot tell. */
uint32_t tg_serial_queued(int fd);
/* Ends the claims and closes; fd ≥ 0. */
void tg_serial_close(int fd);

#endif
