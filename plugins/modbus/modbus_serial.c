/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A serial port through libmodbus, which knows how to set it up; locked, because libmodbus does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "plugins/modbus/modbus_ports.h"
#include "southbound/serial_port.h"

/* What modbus_connect() of libmodbus 3.1.6 knows; anything else becomes 9600 silently. */
const char *const tg_modbus_baud_names[] = {"110",     "300",     "600",     "1200",    "2400",    "4800",
                                            "9600",    "19200",   "38400",   "57600",   "115200",  "230400",
                                            "460800",  "500000",  "576000",  "921600",  "1000000", "1152000",
                                            "1500000", "2500000", "3000000", "3500000", "4000000", NULL};

bool tg_modbus_baud_known(int baud)
{
    for (size_t i = 0; tg_modbus_baud_names[i]; i++)
        if (atoi(tg_modbus_baud_names[i]) == baud)
            return true;
    return false;
}

/* A descriptor of its own carries the lock, so that the port is locked before libmodbus reconfigures it. */
static int lock_port(const char *path, struct tg_error *err)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == EBUSY)
        return tg_error_set(err, TG_EBUSY, "%s is in use by another program", path);
    if (fd < 0) {
        const int errnum = errno;
        return tg_error_set(err, errnum == ENOENT ? TG_ENOTFOUND : tg_code_from_errno(errnum), "%s: %s%s",
                            path, strerror(errnum), tg_serial_advice(errnum));
    }
    char why[256];
    if (!isatty(fd)) {
        close(fd);
        return tg_error_set(err, TG_EINVAL, "%s is not a serial port", path);
    }
    if (tg_serial_claim(fd, path, why, sizeof why) < 0) {
        close(fd);
        return tg_error_set(err, TG_EBUSY, "%s", why);
    }
    /* libmodbus opens the port once more, which exclusiveness would not let it: again when it has. */
    (void)ioctl(fd, TIOCNXCL);
    return fd;
}

int tg_modbus_serial_open(const struct tg_modbus_link_config *config, modbus_t **ret_context, int *ret_lock,
                          struct tg_error *err)
{
    int rc = TG_OK;
    int lock = lock_port(config->path, err);
    if (lock < 0)
        return lock;
    if (!tg_modbus_baud_known(config->baud)) {
        rc = tg_error_set(err, TG_EINVAL, "%s: %d baud cannot be set", config->path, config->baud);
        goto unlock;
    }
    modbus_t *ctx = modbus_new_rtu(config->path, config->baud, config->parity, 8, config->stop_bits);
    if (!ctx) {
        rc = tg_error_set(err, TG_ENOMEM, "%s: %s", config->path, modbus_strerror(errno));
        goto unlock;
    }
    /* Recovery stays off: its loops never return once the port is gone. */
    (void)modbus_set_error_recovery(ctx, MODBUS_ERROR_RECOVERY_NONE);
    if (modbus_connect(ctx) < 0) {
        rc = tg_error_set(err, TG_EIO, "%s cannot be set up: %s", config->path, modbus_strerror(errno));
        goto free_context;
    }
    if (config->rs485 && modbus_rtu_set_serial_mode(ctx, MODBUS_RTU_RS485) < 0) {
        rc = tg_error_set(err, TG_EUNSUPPORTED, "%s: its driver has no RS-485 mode (%s); remove rs485: true",
                          config->path, modbus_strerror(errno));
        goto close_port;
    }
    (void)ioctl(modbus_get_socket(ctx), TIOCEXCL); /* not every driver has it; the lock above holds anyway */
    *ret_context = ctx;
    *ret_lock = lock;
    return TG_OK;
close_port:
    modbus_close(ctx);
free_context:
    modbus_free(ctx);
unlock:
    tg_serial_release(lock);
    close(lock);
    return rc;
}

void tg_modbus_serial_close(modbus_t *context, int lock)
{
    tg_serial_release(lock);
    modbus_close(context);
    modbus_free(context);
    close(lock);
}
