tg_library(tg_filter SOURCES filter.c derive.c LINK tg_base m)
tg_library(tg_plugins SOURCES plugin_loader.c plugin_trust.c plugin_host.c plugin_check.c plugin_discovered.c plugin_worker.c plugin_on_loop.c
  LINK tg_base tg_net ${CMAKE_DL_LIBS})
# Not pure: opens ports. Linked by the plugins that have one, and by `tidegate module`.
tg_library(tg_serial SOURCES serial_port.c serial_lock.c LINK tg_base)
