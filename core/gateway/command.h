/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * command - the verbs of the command line and what they share.
 *
 * Exit codes: 0 ok, 1 the answer is no, 2 wrong usage, 3 cannot reach the running gateway. Every verb has --help, every
 * reading verb --json.
 */
#ifndef TG_GATEWAY_COMMAND_H
#define TG_GATEWAY_COMMAND_H

#include "config/config.h"
#include "southbound/plugin_loader.h"

#define TG_EXIT_OK          0
#define TG_EXIT_NO          1
#define TG_EXIT_USAGE       2
#define TG_EXIT_UNREACHABLE 3

#define TG_DEFAULT_CONFIG "/etc/tidegate/tidegate.yaml"
#define TG_DEFAULT_SOCKET "/run/tidegate/control.sock"

struct tg_command {
    const char *name, *usage, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

int tg_cmd_run(int argc, char **argv);
int tg_cmd_check(int argc, char **argv);
int tg_cmd_schema(int argc, char **argv);
int tg_cmd_status(int argc, char **argv);
int tg_cmd_tail(int argc, char **argv);
int tg_cmd_send(int argc, char **argv);
int tg_cmd_outbox(int argc, char **argv);
int tg_cmd_device(int argc, char **argv);
int tg_cmd_plugin(int argc, char **argv);
int tg_cmd_plugin_new(int argc, char **argv); /* argv[0] is "plugin new" and so on: for messages */
int tg_cmd_plugin_test(int argc, char **argv);
int tg_cmd_decode(int argc, char **argv);
int tg_cmd_discover(int argc, char **argv);
int tg_cmd_identity(int argc, char **argv);
int tg_cmd_module(int argc, char **argv);

/* The options that most verbs share, taken out of argv; what is left stays in args. */
struct tg_args {
    const char *config, *socket; /* NULL = not given */
    const char *plugin_dirs[8];
    uint32_t plugin_dir_count;
    bool json, watch, help;
    const char *args[32];
    uint32_t count;
};
/* Says what is wrong on standard error and returns TG_EXIT_USAGE; 0 = go on. `more` (may be NULL) lists further options
 * that take a value, ended by NULL; they stay in args together with their value. */
int tg_args_parse(int argc, char **argv, const char *const *more, struct tg_args *ret_args);

/* For verbs whose arguments are a plugin's own: only --json and --plugin-dir are taken out; argv[0] is the verb, argv[1] is passed
 * over. The exit code to end with (its message is printed), or 0. */
#define TG_ARGS_REST_MAX 64
int tg_args_rest(int argc, char **argv, struct tg_args *ret_args, const char *ret_rest[TG_ARGS_REST_MAX],
                 int *ret_count);

/* Folders to search for plugins: --plugin-dir, TIDEGATE_PLUGIN_DIR, the configuration's, beside the program, installed
 * (as seen from the program, then as the build was configured). */
int tg_command_plugins(const struct tg_args *args, struct tg_plugin_set **ret_set) TG_CHECKED;
/* Tells the plugins' host where the program of isolated plugins is: beside this program, else where it is installed. */
void tg_command_use_processes(void);
/* Loads a configuration with these plugins and all cloud types; errors go to standard error. */
int tg_command_load(const char *path, struct tg_plugin_set *plugins,
                    struct tg_config **ret_config) TG_CHECKED;
/* As above, with devices that were discovered; one that does not fit is logged and left out. */
int tg_command_load_discovered(const char *path, struct tg_plugin_set *plugins,
                               const struct tg_config_discovered *devices, uint32_t count,
                               struct tg_config **ret_config) TG_CHECKED;
/* The same without a look at the files that it names: for verbs that make them. */
int tg_command_load_without_files(const char *path, struct tg_plugin_set *plugins,
                                  struct tg_config **ret_config) TG_CHECKED;
/* Only the sources of this plugin; the clouds of the file, if it has any, are passed over. */
int tg_command_load_only_plugin(const char *path, struct tg_plugin_set *plugins, const char *name,
                                struct tg_config **ret_config) TG_CHECKED;
/* The control socket: --socket, the file given with -c, or the default. Lives in `memory`. */
int tg_command_socket(const struct tg_args *args, char *memory, size_t size) TG_CHECKED;

#endif
