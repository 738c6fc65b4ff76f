/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * broker_judge - what really arrived at the broker: a subscriber of its own that knows every sample by topic and "seq".
 *
 *     broker_judge PORT QOS [USER PASSWORD_FILE]      {"ready":true}
 *     report            {"ok":true,"messages":…, …}   everything that was heard so far
 *     report N          "missing" counts to N (one topic) instead of to the highest number that came
 *     wait N MS         answers like report when N different samples are there, or after MS milliseconds
 *
 * Messages without a "seq" are none of its business.
 *
 * "distinct" numbers, "twice" that came again, "late" that came after a higher one, "changed" that came again with another text
 * (a number given twice: a loss that no gap shows), "missing" below the highest; first_ns and last_ns on CLOCK_MONOTONIC. "errors": lost
 * connections. A topic of IoT Hub ends at "/events/": the properties behind it make no topic of its own.
 */
#include <mosquitto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STREAMS_MAX = 2048, SAMPLES_MAX = 20000000 };

struct stream {
    char *topic;
    uint32_t *text_of; /* by number; 0: has not come */
    uint64_t room, highest, distinct;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct stream streams[STREAMS_MAX];
static size_t stream_count;
static uint64_t messages, twice, late, changed, bytes, errors, distinct;
static int64_t first_ns, last_ns;
static bool subscribed;
static int qos;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct stream *stream_of(const char *topic)
{
    const char *events = strstr(topic, "/events/");
    size_t len = events ? (size_t)(events - topic) : strlen(topic);
    static size_t newest;
    if (newest < stream_count && !strncmp(streams[newest].topic, topic, len) && !streams[newest].topic[len])
        return &streams[newest];
    for (newest = 0; newest < stream_count; newest++)
        if (!strncmp(streams[newest].topic, topic, len) && !streams[newest].topic[len])
            return &streams[newest];
    if (stream_count == STREAMS_MAX || !(streams[stream_count].topic = strndup(topic, len)))
        return NULL;
    return &streams[stream_count++];
}

static bool grow(struct stream *s, uint64_t number)
{
    uint64_t room = s->room ? s->room : 65536;
    uint32_t *grown;
    if (number >= SAMPLES_MAX)
        return false;
    while (room <= number)
        room *= 2;
    if (room == s->room)
        return true;
    grown = realloc(s->text_of, room * sizeof *grown);
    if (!grown)
        return false;
    memset(grown + s->room, 0, (room - s->room) * sizeof *grown);
    s->text_of = grown;
    s->room = room;
    return true;
}

static uint32_t hash(const char *text, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h ? h : 1;
}

static void judge(struct stream *s, uint64_t number, uint32_t text)
{
    if (!grow(s, number))
        return;
    if (s->text_of[number]) {
        twice++;
        changed += s->text_of[number] != text;
        return;
    }
    s->text_of[number] = text;
    s->distinct++;
    distinct++;
    if (number < s->highest)
        late++;
    else
        s->highest = number;
}

static void on_message(struct mosquitto *m, void *user, const struct mosquitto_message *message)
{
    static const char key[] = "\"seq\":";
    const char *at = message->payload, *end = at + message->payloadlen;
    struct stream *s;
    (void)m;
    (void)user;
    pthread_mutex_lock(&lock);
    at = memmem(at, (size_t)(end - at), key, sizeof key - 1);
    s = at ? stream_of(message->topic) : NULL;
    if (s) {
        last_ns = now_ns();
        first_ns = first_ns ? first_ns : last_ns;
        messages++;
        bytes += (uint64_t)message->payloadlen;
    }
    while (s && at) {
        const char *next = memmem(at + 1, (size_t)(end - at - 1), key, sizeof key - 1);
        judge(s, strtoull(at + sizeof key - 1, NULL, 10), hash(at, (size_t)((next ? next : end) - at)));
        at = next;
    }
    pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&lock);
}

static void on_connect(struct mosquitto *m, void *user, int code)
{
    (void)user;
    if (code || mosquitto_subscribe(m, NULL, "#", qos))
        exit(1);
}

static void on_subscribe(struct mosquitto *m, void *user, int id, int count, const int *granted)
{
    (void)m;
    (void)user;
    (void)id;
    (void)count;
    (void)granted;
    pthread_mutex_lock(&lock);
    subscribed = true;
    pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&lock);
}

static void on_disconnect(struct mosquitto *m, void *user, int code)
{
    (void)m;
    (void)user;
    (void)code;
    pthread_mutex_lock(&lock);
    errors++;
    pthread_mutex_unlock(&lock);
}

static void report(uint64_t upto)
{
    uint64_t missing = 0, highest = 0;
    for (size_t i = 0; i < stream_count; i++) {
        uint64_t last = upto ? upto : streams[i].highest;
        highest += streams[i].highest;
        for (uint64_t n = 1; n <= last; n++)
            missing += n >= streams[i].room || !streams[i].text_of[n];
    }
    if (!stream_count)
        missing = upto;
    printf("{\"ok\":true,\"messages\":%lu,\"streams\":%zu,\"distinct\":%lu,\"twice\":%lu,\"late\":%lu,"
           "\"changed\":%lu,\"missing\":%lu,"
           "\"highest\":%lu,\"bytes\":%lu,\"first_ns\":%ld,\"last_ns\":%ld,\"errors\":%lu}\n",
           messages, stream_count, distinct, twice, late, changed, missing, highest, bytes, first_ns, last_ns,
           errors);
}

static void wait_for(uint64_t wanted, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000 + (until.tv_nsec + ms % 1000 * 1000000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ms % 1000 * 1000000) % 1000000000;
    while (distinct < wanted && !pthread_cond_timedwait(&arrived, &lock, &until))
        ;
}

static void login(struct mosquitto *m, const char *user, const char *password_file)
{
    char password[256] = "";
    FILE *file = fopen(password_file, "r");
    if (!file || !fgets(password, sizeof password, file))
        exit(1);
    fclose(file);
    password[strcspn(password, "\n")] = 0;
    mosquitto_username_pw_set(m, user, password);
}

int main(int argc, char **argv)
{
    char line[128];
    struct mosquitto *m;
    if (argc != 3 && argc != 5)
        return 2;
    qos = atoi(argv[2]);
    mosquitto_lib_init();
    m = mosquitto_new(NULL, true, NULL); /* an id of its own: another judge may be there */
    if (!m)
        return 1;
    if (argc == 5)
        login(m, argv[3], argv[4]);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_disconnect_callback_set(m, on_disconnect);
    mosquitto_message_callback_set(m, on_message);
    if (mosquitto_connect(m, "127.0.0.1", atoi(argv[1]), 60) || mosquitto_loop_start(m))
        return 1;
    pthread_mutex_lock(&lock);
    while (!subscribed)
        pthread_cond_wait(&arrived, &lock);
    pthread_mutex_unlock(&lock);
    puts("{\"ready\":true}");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        unsigned long number = 0;
        long ms = 0;
        pthread_mutex_lock(&lock);
        if (sscanf(line, "wait %lu %ld", &number, &ms) == 2) {
            wait_for(number, ms);
            report(0);
        } else {
            sscanf(line, "report %lu", &number);
            report(number);
        }
        pthread_mutex_unlock(&lock);
        fflush(stdout);
    }
    return 0;
}
