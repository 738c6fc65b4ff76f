/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/hub_judge.h"

#include "tests/peers/hub_record.h"
#include "tests/peers/hub_tls.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 30 /* for what never answers; a busy machine is late with everything */

static char answer[512];

static void put_field(FILE *line, const char *name, const char *value)
{
    fprintf(line, ",\"%s\":", name);
    if (value) {
        hub_record_string(line, value, strlen(value));
    } else {
        (void)fputs("null", line);
    }
}

static void put_certificate(FILE *line, X509 *leaf)
{
    uint8_t *der = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    int len = leaf ? i2d_X509(leaf, &der) : 0;
    if (len <= 0 || !X509_digest(leaf, EVP_sha256(), digest, &digest_len)) {
        (void)fputs(",\"certificate\":null,\"chain\":null", line);
        return;
    }
    const char *problem = hub_tls_chain_problem(digest);
    (void)fputs(",\"certificate\":", line);
    hub_record_base64(line, der, (size_t)len);
    put_field(line, "chain", problem ? problem : "");
    OPENSSL_free(der);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    if (strlen(path) >= sizeof address.sun_path) {
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
                    connect(fd, (struct sockaddr *)&address, sizeof address) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool write_login(int fd, const struct mosquitto_evt_basic_auth *login)
{
    char *text = NULL;
    size_t len = 0;
    FILE *line = open_memstream(&text, &len);
    if (!line) {
        return false;
    }
    const char *client = mosquitto_client_id(login->client);
    X509 *leaf = mosquitto_client_certificate(login->client);
    (void)fputs("{\"client\":", line);
    hub_record_string(line, client, strlen(client));
    put_field(line, "username", login->username);
    put_field(line, "password", login->password);
    put_certificate(line, leaf);
    (void)fputs("}\n", line);
    X509_free(leaf);
    bool ok = fclose(line) == 0 && send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
    free(text);
    return ok;
}

const char *hub_judge_ask(const char *path, const struct mosquitto_evt_basic_auth *login,
                          int64_t *ret_expires)
{
    size_t used = 0;
    int fd = connect_to(path);
    if (fd < 0) {
        return "judge: nobody listens at its socket";
    }
    if (write_login(fd, login)) {
        ssize_t n;
        while (used + 1 < sizeof answer && (n = recv(fd, answer + used, sizeof answer - 1 - used, 0)) > 0) {
            used += (size_t)n;
        }
    }
    close(fd);
    answer[used] = '\0';
    answer[strcspn(answer, "\r\n")] = '\0';
    if (strcmp(answer, "ok") == 0 || strncmp(answer, "ok ", 3) == 0) {
        *ret_expires = strtoll(answer + 2, NULL, 10);
        return NULL;
    }
    return answer[0] ? answer : "judge: no answer in time";
}
