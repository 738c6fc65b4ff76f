/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <tidegate/plugin.h>
#include <unistd.h>

static const struct {
    int64_t baud;
    speed_t speed;
} rates[] = {
    {300, B300},         {600, B600},         {1200, B1200},       {2400, B2400},       {4800, B4800},
    {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},     {115200, B115200},
    {230400, B230400},   {460800, B460800},   {500000, B500000},   {576000, B576000},   {921600, B921600},
    {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000}, {2000000, B2000000}, {2500000, B2500000},
    {3000000, B3000000}, {3500000, B3500000}, {4000000, B4000000},
};

static speed_t speed_of(int64_t baud)
{
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (rates[i].baud == baud)
            return rates[i].speed;
    }
    return B0;
}

bool tg_serial_baud_known(int64_t baud)
{
    return speed_of(baud) != B0;
}

const char *tg_serial_advice(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return "; is the device plugged in?";
    case EACCES:
        return "; the service's user needs the group dialout";
    case EBUSY:
        return "; another program (ModemManager? a udev rule with ENV{ID_MM_PORT_IGNORE}=\"1\" keeps it off) "
               "has it";
    default:
        return "";
    }
}

int tg_serial_configure(int fd, const char *path, int64_t baud, bool rtscts, char *error, size_t error_size)
{
    struct termios t, is;
    speed_t speed = speed_of(baud);
    if (tcgetattr(fd, &t) < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return TG_PLUGIN_EIO;
    }
    cfmakeraw(&t);
    t.c_cflag &= (tcflag_t) ~(CSTOPB | HUPCL | CRTSCTS);
    t.c_cflag |= CLOCAL | CREAD | (rtscts ? CRTSCTS : 0);
    t.c_cc[VMIN] = 1; /* with 0 a read without data would look like an unplugged device */
    t.c_cc[VTIME] = 0;
    if (speed == B0 || cfsetispeed(&t, speed) < 0 || cfsetospeed(&t, speed) < 0) {
        snprintf(error, error_size, "%s: no such rate: %lld baud", path, (long long)baud);
        return TG_PLUGIN_EINVAL;
    }
    if (tcsetattr(fd, TCSANOW, &t) < 0 || tcgetattr(fd, &is) < 0) {
        snprintf(error, error_size, "%s: cannot be set to %lld baud: %s", path, (long long)baud,
                 strerror(errno));
        return TG_PLUGIN_EIO;
    }
    if (cfgetospeed(&is) != speed || cfgetispeed(&is) != speed) {
        snprintf(error, error_size, "%s does not do %lld baud", path, (long long)baud);
        return TG_PLUGIN_EIO;
    }
    if ((is.c_cflag & CRTSCTS) != (t.c_cflag & CRTSCTS) || (is.c_lflag & (ICANON | ECHO)) != 0) {
        snprintf(error, error_size, "%s does not do %s", path, rtscts ? "RTS/CTS flow control" : "raw mode");
        return TG_PLUGIN_EIO;
    }
    (void)tcflush(fd, TCIOFLUSH);
    return TG_PLUGIN_OK;
}

int tg_serial_open(const char *path, int64_t baud, bool rtscts, char *error, size_t error_size)
{
    int rc, fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        int errnum = errno;
        snprintf(error, error_size, "%s cannot be opened: %s%s", path, strerror(errnum),
                 tg_serial_advice(errnum));
        return TG_PLUGIN_EIO;
    }
    rc = tg_serial_claim(fd, path, error, error_size);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    rc = tg_serial_configure(fd, path, baud, rtscts, error, error_size);
    if (rc < 0) {
        tg_serial_close(fd);
        return rc;
    }
    return fd;
}

uint32_t tg_serial_queued(int fd)
{
    int n = 0;
    return ioctl(fd, TIOCOUTQ, &n) == 0 && n > 0 ? (uint32_t)n : 0;
}

void tg_serial_close(int fd)
{
    tg_serial_release(fd);
    close(fd);
}
