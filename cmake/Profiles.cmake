# tg_profiles(PLUGIN SYMBOL): the data files profiles/*.yaml beside the plugin's sources become its built-in profiles, `const struct
# tg_profile SYMBOL[]`, and are installed as examples to copy. The line `about: "…"` of a file is its description.
function(tg_profiles plugin symbol)
  file(GLOB files CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/profiles/*.yaml")
  set(texts "")
  set(table "")
  set(number 0)
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
    file(STRINGS "${file}" about REGEX "^about: \".*\"$" LIMIT_COUNT 1)
    if(NOT about)
      message(FATAL_ERROR "${file} has no line about: \"…\"")
    endif()
    string(REGEX REPLACE "^about: (.*)$" "\\1" about "${about}")
    string(REPLACE "\\;" ";" about "${about}") # file(STRINGS) gives a list
    string(APPEND texts "static const char text_${number}[] = {${hex}0};\n")
    string(APPEND table "    {.name = \"${name}\", .doc = ${about}, .yaml = text_${number}},\n")
    math(EXPR number "${number} + 1")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  endforeach()
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${plugin}_profiles.c" CONTENT "/* made from profiles/ */
#include <tidegate/plugin.h>
extern const struct tg_profile ${symbol}[];
@texts@const struct tg_profile ${symbol}[] = {
@table@    {.name = NULL}};
" @ONLY)
  target_sources(plugin_${plugin} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/${plugin}_profiles.c")
  install(FILES ${files} DESTINATION "${CMAKE_INSTALL_DATADIR}/tidegate/profiles/${plugin}")
endfunction()
