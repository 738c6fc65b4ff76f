# What the gateway and the process of an isolated plugin say to each other: pure.
tg_library(tg_plugin_wire SOURCES plugin_wire.c LINK tg_base)
tg_library(tg_plugins SOURCES plugin_loader.c plugin_trust.c plugin_host.c plugin_services.c plugin_requests.c plugin_check.c plugin_discovered.c plugin_emit.c plugin_blocks.c plugin_notes.c plugin_carry.c plugin_worker.c plugin_on_loop.c
  plugin_process.c plugin_process_send.c plugin_process_receive.c plugin_confine_support.c
  LINK tg_plugin_wire tg_base tg_net ${CMAKE_DL_LIBS})
# Not pure: opens ports. Linked by the plugins that have one, and by `tidegate module`.
tg_library(tg_serial SOURCES serial_port.c serial_lock.c LINK tg_base)

# The process of an isolated plugin. Without one of these libraries it is less confined, and says so (tidegate check, status).
add_executable(tidegate-plugin-host plugin_child.c plugin_child_say.c plugin_child_model.c plugin_confine.c plugin_landlock.c)
target_link_libraries(tidegate-plugin-host PRIVATE tg_plugins tg_flags)
target_link_options(tidegate-plugin-host PRIVATE -Wl,--as-needed)
set_target_properties(tidegate-plugin-host PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
install(TARGETS tidegate-plugin-host RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/tidegate)
foreach(library CAPNG SECCOMP)
  if(${library}_FOUND)
    target_link_libraries(tidegate-plugin-host PRIVATE PkgConfig::${library})
    target_compile_definitions(tidegate-plugin-host PRIVATE TG_HAVE_${library})
    target_compile_definitions(tg_plugins PRIVATE TG_HAVE_${library})
  endif()
endforeach()
