# The Modbus source: pure cores, vectors, the plugin against real and lying peers.
set(modbus_vectors support/vectors.c)
foreach(name values coalesce frames)
  tg_test(vector_modbus_${name} SOURCES unit/vector_modbus_${name}.c ${modbus_vectors}
    LINK tg_modbus PkgConfig::JANSSON m LABELS vector modbus)
endforeach()
foreach(name points frame plan bus)
  tg_test(test_modbus_${name} SOURCES unit/test_modbus_${name}.c LINK tg_modbus m LABELS unit modbus)
endforeach()
