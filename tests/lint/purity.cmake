# Fails when a static library calls what a sans-I/O core must not: anything outside the list below and ALLOW.
#
#     cmake -DNM=nm -DLIBRARY=libtg_mqtt.a "-DALLOW=tg_read_.* tg_write_.*" -P purity.cmake
#
# Each object is looked at by itself; symbols that another object of the same library defines are its own.
cmake_minimum_required(VERSION 3.25)

# No allocation, no file, no clock, no printf. The __…_chk are the fortified forms; __gcov belongs to
# coverage builds; the arithmetic helpers are libgcc's on 32-bit machines.
set(allowed memcpy memmove memset memcmp memchr strlen strnlen strcmp strncmp
  "__mem(cpy|move|set)_chk" __stack_chk_fail __stack_chk_fail_local _GLOBAL_OFFSET_TABLE_
  "__gcov_.*" "__aeabi_.*" "__u?(div|mod|divmod)[sdt]i[34]" "__(popcount|clz|ctz)[sd]i2")
string(REPLACE " " ";" extra "${ALLOW}")
list(APPEND allowed ${extra})
list(JOIN allowed "|" allowed)

function(symbols ret)
  execute_process(COMMAND "${NM}" ${ARGN} "${LIBRARY}" OUTPUT_VARIABLE text ERROR_VARIABLE errors RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${NM} cannot read ${LIBRARY}: ${errors}")
  endif()
  string(REPLACE "[" "(" text "${text}") # brackets would keep a list from being split
  string(REPLACE "]" ")" text "${text}")
  string(REPLACE "\n" ";" text "${text}")
  set(${ret} "${text}" PARENT_SCOPE)
endfunction()

symbols(defined --defined-only --extern-only --format=posix)
set(own "")
foreach(line IN LISTS defined)
  if(line MATCHES "^([^ ]+) [A-Za-z]")
    list(APPEND own "${CMAKE_MATCH_1}")
  endif()
endforeach()
if(NOT own)
  message(FATAL_ERROR "${LIBRARY} defines nothing: is it the right file?")
endif()

symbols(undefined --undefined-only --format=posix)
set(object "")
set(bad "")
foreach(line IN LISTS undefined)
  if(line MATCHES "\\(([^()]*)\\):$") # lib.a(mqtt_client.c.o):
    set(object "${CMAKE_MATCH_1}")
  elseif(line MATCHES "^([^ ]+) [Uw]")
    set(symbol "${CMAKE_MATCH_1}")
    if(NOT symbol IN_LIST own AND NOT symbol MATCHES "^(${allowed})$")
      string(APPEND bad "\n  ${object}: ${symbol}")
    endif()
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "${LIBRARY} must stay free of I/O, clocks, allocation and logging, but calls:${bad}")
endif()
list(LENGTH own count)
message(STATUS "${LIBRARY}: ${count} functions and objects, nothing impure is called")
