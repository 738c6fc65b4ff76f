/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fuzz_replay - a main that gives every file of the named directories to the fuzz target once, so that
 * ctest replays the committed seeds without a fuzzing compiler. Fails when there is nothing to replay.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1 << 20);
    size_t n;
    if (!f || !data) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    n = fread(data, 1, 1 << 20, f);
    /* An exact-size copy, so that AddressSanitizer sees the first byte past the input. */
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
    fclose(f);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *e;
        if (!dir) {
            fprintf(stderr, "no seed directory %s\n", argv[i]);
            return 1;
        }
        while ((e = readdir(dir)) != NULL) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            count += replay_file(path);
        }
        closedir(dir);
    }
    printf("%d seeds replayed\n", count);
    return count > 0 ? 0 : 1;
}
