# Every library comes from Debian 12; docs/adr/0002-dependencies.md says what each one carries.
# A missing one stops the configuration with its Debian package name: nothing is guessed or skipped.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(tg_require target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} was not found: install Debian's ${package} (./dev setup does)")
  endif()
endfunction()

tg_require(UV      libuv>=1.44        libuv1-dev)
tg_require(WOLFSSL wolfssl>=5.5       libwolfssl-dev)
tg_require(SQLITE  sqlite3>=3.40      libsqlite3-dev)
tg_require(MODBUS  libmodbus>=3.1.6   libmodbus-dev)
tg_require(FYAML   libfyaml           libfyaml-dev)
tg_require(JANSSON jansson            libjansson-dev)
tg_require(SYSTEMD libsystemd         libsystemd-dev)
tg_require(PCRE2   libpcre2-8         libpcre2-dev)
if(TG_TESTS OR TG_FUZZ)
  tg_require(CMOCKA cmocka libcmocka-dev)
endif()
