/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The socket file, and the end that the commands hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/gateway/control_client.h"
#include "support/control_peer.h"

static struct tg_gateway g;

static int setup(void **state)
{
    struct tg_error err = {0};
    (void)state;
    tg_peer_gateway = &g;
    tg_control_rig_begin(&g);
    if (tg_control_rig_open(&g, &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_control_rig_end(&g);
    return 0;
}

static int sample(double x)
{
    struct tg_point_value v = {.point = 0, .value = tg_value_real(x)};
    return tg_router_sample(g.router, g.device, 1000, &v, 1);
}

/* --- the socket file ---------------------------------------------------------------------------------------
 */

static void test_mode(void **state)
{
    struct stat st;
    mode_t before = umask(0);
    struct tg_error err = {0};
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    assert_int_equal(tg_control_rig_open(&g, &err), 0);
    assert_int_equal(umask(before), 0); /* as it was */
    assert_int_equal(stat(g.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_a_living_gateway_keeps_its_socket(void **state)
{
    struct tg_control *second = NULL;
    struct tg_error err = {0};
    struct tg_peer *p;
    (void)state;
    assert_int_equal(tg_control_new(&g.loop, &g, g.path, &second, &err), TG_EEXISTS);
    assert_non_null(strstr(err.text, "another gateway answers there"));
    assert_null(second);
    p = tg_peer_new();
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_peer_free(p);
}

static void test_a_dead_gateways_socket_is_replaced(void **state)
{
    struct sockaddr_un a;
    struct tg_error err = {0};
    struct tg_peer *p;
    int fd;
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    a = tg_peer_address();
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd); /* the file stays, as after kill -9 */
    assert_int_equal(access(g.path, F_OK), 0);
    assert_int_equal(tg_control_rig_open(&g, &err), 0);
    p = tg_peer_new();
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_peer_free(p);
}

static void test_a_full_queue_is_no_dead_gateway(void **state)
{
    struct sockaddr_un a;
    struct tg_error err = {0};
    int fd, fill[8];
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    a = tg_peer_address();
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    assert_int_equal(tg_control_rig_open(&g, &err), TG_EEXISTS); /* and it does not wait for it */
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

static void test_what_is_no_socket_stays(void **state)
{
    struct tg_error err = {0};
    char byte = 0;
    int fd;
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    fd = open(g.path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "k", 1), 1);
    close(fd);
    assert_int_equal(tg_control_rig_open(&g, &err), TG_EEXISTS);
    assert_non_null(strstr(err.text, "not a socket"));
    fd = open(g.path, O_RDONLY);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'k');
    close(fd);
}

static void test_paths_that_cannot_be(void **state)
{
    struct tg_control *c = NULL;
    struct tg_error err = {0};
    char long_path[200];
    (void)state;
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(tg_control_new(&g.loop, &g, long_path, &c, &err), TG_ETOOBIG);
    assert_int_equal(tg_control_new(&g.loop, &g, "/nonexistent/tidegate/c.sock", &c, &err), TG_EIO);
    assert_non_null(strstr(err.text, "is its folder there"));
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_control_new(&g.loop, &g, "/nonexistent/tidegate/c.sock", &c, &err), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(c);
}

/* --- the commands' end
 * ---------------------------------------------------------------------------------------- */

static int client_line(struct tg_control_client *c, char **line)
{
    int rc;
    while ((rc = tg_control_line(c, 0, line)) == TG_ETIMEOUT)
        tg_control_rig_turn(&g);
    return rc;
}

static void test_client(void **state)
{
    struct tg_control_client c;
    char *line = NULL;
    (void)state;
    assert_int_equal(tg_control_connect(&c, g.path), 0);
    assert_int_equal(tg_control_send(&c, "{\"verb\":\"status\"}"), 0);
    assert_int_equal(tg_control_send(&c, "{\"verb\":\"tail\"}"), 0);
    assert_int_equal(tg_control_send(&c, "nonsense"), 0);
    assert_int_equal(client_line(&c, &line), 0);
    assert_string_equal(line, "{\"fine\":true}");
    assert_int_equal(client_line(&c, &line), 0);
    tg_peer_assert_says(line, "error");
    assert_int_equal(tg_control_line(&c, 0, &line), TG_ETIMEOUT);
    assert_int_equal(sample(7), TG_OK);
    assert_int_equal(sample(8), TG_OK);
    assert_int_equal(client_line(&c, &line), 0);
    tg_peer_assert_says(line, "\"p0\":7");
    assert_int_equal(client_line(&c, &line), 0);
    tg_peer_assert_says(line, "\"p0\":8");
    tg_control_rig_close(&g);
    assert_int_equal(client_line(&c, &line), TG_EEOF);
    assert_int_equal(tg_control_send(&c, "{}"), TG_EEOF);
    tg_control_disconnect(&c);
    tg_control_rig_turn(&g);
    assert_int_equal(tg_control_connect(&c, g.path), TG_ECONNECT);
}

#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROOM(test_mode),
                                       ROOM(test_a_living_gateway_keeps_its_socket),
                                       ROOM(test_a_dead_gateways_socket_is_replaced),
                                       ROOM(test_a_full_queue_is_no_dead_gateway),
                                       ROOM(test_what_is_no_socket_stays),
                                       ROOM(test_paths_that_cannot_be),
                                       ROOM(test_client)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
